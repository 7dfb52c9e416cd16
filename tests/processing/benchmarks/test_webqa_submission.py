"""WebQA's submission and scoring dump in the official form, to the type of every id."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.processing.benchmarks.webqa_submission import (
    DUMP_COLUMNS,
    MAX_ENTRIES,
    WebQADumpRow,
    check_webqa_submission,
    read_webqa_dump,
    write_webqa_dump,
    write_webqa_submission,
)
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.webqa_folder import make_guid

GUID, OTHER = make_guid(1), make_guid(2)


def test_ids_are_written_as_the_server_compares_them(tmp_path: Path) -> None:
    file = tmp_path / "submission.json"
    entries = {
        GUID: {"sources": ("30000001", 30389749, f"{GUID}_18", "dummy", "dummy"), "answer": 'Niccolò "stands" .'},
        OTHER: {"sources": [], "answer": ""},
    }
    write_webqa_submission(entries, file)
    assert json.loads(file.read_text(encoding="utf-8")) == {
        GUID: {"sources": [30000001, 30389749, f"{GUID}_18", "dummy", "dummy"], "answer": 'Niccolò "stands" .'},
        OTHER: {"sources": [], "answer": ""},
    }
    assert check_webqa_submission(file, question_ids=[GUID, OTHER]) == []


FAULTS = [
    ({"sources": ["30000001"], "answer": ""}, "image id '30000001' must be a number"),
    ({"sources": [f"{OTHER}_1"], "answer": ""}, "no snippet of another question ever counts"),
    ({"sources": ["q7_3"], "answer": ""}, "Map what was retrieved with `source_ids`"),
    ({"sources": [3], "answer": ""}, "image id 3 is not one of WebQA"),
    ({"sources": [40000000], "answer": ""}, "image id 40000000 is not one of WebQA"),
    ({"sources": [True], "answer": ""}, "found True"),
    ({"sources": [30000001.0], "answer": ""}, "found 30000001.0"),
    ({"sources": [None], "answer": ""}, "found None"),
    ({"sources": [30000001, 30000001], "answer": ""}, "appears twice"),
    ({"sources": "30000001", "answer": ""}, "'sources' must be a list"),
    ({"sources": [], "answer": ["red"]}, "'answer' must be a text"),
    ({"sources": []}, "exactly the fields 'sources' and 'answer', found ['sources']"),
    ({"sources": [], "answer": "", "score": 1}, "exactly the fields"),
    ([], "found list"),
]


@pytest.mark.parametrize(("entry", "cause"), FAULTS)
def test_what_the_server_would_not_count_is_found(tmp_path: Path, entry: Any, cause: str) -> None:
    file = tmp_path / "submission.json"
    file.write_text(json.dumps({OTHER: {"sources": [], "answer": "a"}, GUID: entry}))
    (problem,) = check_webqa_submission(file)
    assert (problem.id, problem.file) == (f"Guid {GUID}", str(file)) and cause in problem.cause


@pytest.mark.parametrize(("entry", "cause"), [fault for fault in FAULTS[1:] if isinstance(fault[0], dict)])
def test_nothing_is_written_that_would_not_count(tmp_path: Path, entry: Any, cause: str) -> None:
    file = tmp_path / "submission.json"
    with pytest.raises(ValueError, match=GUID) as caught:
        write_webqa_submission({OTHER: {"sources": [], "answer": "a"}, GUID: entry}, file)
    assert cause in str(caught.value) and not file.exists()


def test_fewer_than_ten_thousand_entries(tmp_path: Path) -> None:
    file = tmp_path / "submission.json"
    entries = {make_guid(number): {"sources": [], "answer": ""} for number in range(MAX_ENTRIES + 1)}
    with pytest.raises(ValueError, match="10000 predictions and the server takes fewer than 10000"):
        write_webqa_submission(entries, file)
    file.write_text(json.dumps(entries))
    assert [problem.cause for problem in check_webqa_submission(file)] == ["it has 10000 entries, more than 9999"]
    del entries[GUID]
    write_webqa_submission(entries, file)
    assert check_webqa_submission(file) == []


def test_missing_and_unknown_questions_are_found(tmp_path: Path) -> None:
    file = tmp_path / "submission.json"
    write_webqa_submission({GUID: {"sources": [], "answer": ""}}, file)
    problems = check_webqa_submission(file, question_ids=[OTHER])
    assert [(problem.id, problem.cause) for problem in problems] == [
        (f"Guid {OTHER}", "it has no prediction"),
        (f"Guid {GUID}", "it is no question of this split"),
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"a": ', '{"a": {}, "a": {}}', "\ud800"])
def test_a_file_that_is_no_submission(tmp_path: Path, text: str) -> None:
    file = tmp_path / "submission.json"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert [problem.id for problem in check_webqa_submission(file)][-1] == "the file"
    with pytest.raises(FileNotFoundError):
        check_webqa_submission(tmp_path / "none.json")


def make_row(**changes: Any) -> WebQADumpRow:
    values: dict[str, Any] = {
        "id": GUID,
        "category": "color",
        "question": 'What color is the "door" ?',
        "answers": ("It is green.",),
        "keywords": "green",
        "confidences": (-0.25, -3.0),
        "outputs": ("Green .", "Red ."),
    }
    return WebQADumpRow(**values | changes)


def test_a_dump_has_the_official_form(tmp_path: Path) -> None:
    file = tmp_path / "dump.tsv"
    rows = [make_row(), make_row(id=OTHER, category="text", keywords=None)]
    write_webqa_dump(rows, file)
    header, first, second, end = file.read_text().split("\n")
    assert header == "Guid\tQcate\tQ\tA\tKeywords_A\tOutput_conf\tOutput" and end == ""
    assert first == (
        f'{GUID}\tcolor\tWhat color is the "door" ?\t["It is green."]\tgreen\t"[-0.25, -3.0]"\t["Green .", "Red ."]'
    )
    assert second.split("\t")[4] == "TBD"
    assert list(read_webqa_dump(file)) == rows


line_free = st.text(st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs"]))


@given(
    st.lists(
        st.builds(
            make_row,
            question=line_free,
            keywords=st.none() | line_free.filter(lambda text: text != "TBD"),
            answers=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3).map(tuple),
            outputs=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3).map(tuple),
            confidences=st.lists(st.floats(allow_nan=False), max_size=3).map(tuple),
        ),
        max_size=4,
    )
)
def test_a_dump_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, rows: list[WebQADumpRow]) -> None:
    file = tmp_path_factory.mktemp("dump") / "dump.tsv"
    write_webqa_dump(rows, file)
    assert list(read_webqa_dump(file)) == rows


@pytest.mark.parametrize("system", ["vinvl", "x101fpn"])
def test_the_real_dumps(tmp_path: Path, shared: Path, system: str) -> None:
    """The 2,511 image questions of val with the authors' predictions, through the official form and back."""
    records = json.loads((shared / "data" / "webqa" / "val_image_dumps.json").read_text(encoding="utf-8"))[system]
    rows = [
        WebQADumpRow(
            id=record["Guid"],
            category=record["Qcate"],
            question=record["Q"],
            answers=tuple(record["A"]),
            keywords=record["Keywords_A"],
            confidences=(),
            outputs=(record["pred"],),
        )
        for record in records
    ]
    write_webqa_dump(rows, tmp_path / "dump.tsv")
    read = list(read_webqa_dump(tmp_path / "dump.tsv"))
    assert read == rows and len(read) == 2511
    counts = {"YesNo": 828, "Others": 669, "choose": 502, "number": 259, "color": 179, "shape": 74}
    assert Counter(row.category for row in read) == counts


@pytest.mark.parametrize(
    ("column", "cell", "cause"),
    [
        ("Guid", " ", "it has no Guid"),
        ("A", "It is green.", "Expecting value"),
        ("A", '"It is green."', "A must hold a list of texts"),
        ("Output", "[]", "Output must hold a list of texts"),
        ("Output", "[1]", "Output must hold a list of texts"),
        ("Output_conf", '"[true]"', "Output_conf must hold a list of numbers"),
        ("Output_conf", "7", "Output_conf must hold a list of numbers"),
        ("Q", "two\tcells", "expected 7 cells, found 8"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, column: str, cell: str, cause: str) -> None:
    file = tmp_path / "dump.tsv"
    write_webqa_dump([make_row(), make_row(), make_row(id=OTHER)], file)
    lines = file.read_text().split("\n")
    cells = lines[2].split("\t")
    cells[DUMP_COLUMNS.index(column)] = cell
    lines[2] = "\t".join(cells)
    file.write_text("\n".join(lines))
    problems: list[Problem] = []
    assert [row.id for row in read_webqa_dump(file, problems=problems)] == [GUID, OTHER]
    (problem,) = problems
    assert (problem.id, problem.file) == ("line 3", str(file)) and cause in problem.cause
    with pytest.raises(ReaderError, match=r"dump\.tsv: line 3: "):
        list(read_webqa_dump(file))


def test_the_header_decides_which_column_is_which(tmp_path: Path) -> None:
    file = tmp_path / "dump.tsv"
    write_webqa_dump([make_row()], file)
    rows = [line.split("\t")[::-1] + ["more"] for line in file.read_text().splitlines()]
    file.write_text("".join("\t".join(row) + "\r\n" for row in rows))
    assert list(read_webqa_dump(file)) == [make_row()]
    file.write_text(file.read_text().replace("Keywords_A", "Keywords"))
    with pytest.raises(ReaderError, match=r"line 1: the header must have .*Keywords_A"):
        list(read_webqa_dump(file))
    with pytest.raises(FileNotFoundError, match=r"none\.tsv"):
        read_webqa_dump(tmp_path / "none.tsv")
    with pytest.raises(ValueError, match="tab or a line break"):
        write_webqa_dump([make_row(question="two\tcells")], file)
