"""InfoSeek: three files joined by id while they are read, pictures found by id, what is missing counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.processing.benchmarks.infoseek import open_infoseek
from rablip.processing.benchmarks.joining import RowsInStep
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.benchmark_files import causes, peak, questions_of, touch, write_json, write_lines

ALIASES = ["cn", "People's Republic of China", "China", "\U0001f1e8\U0001f1f3"]


def name_of(number: int) -> str:
    return f"infoseek_val_{number:08d}"


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "data_id": name_of(number),
        "image_id": "oven_01963180",
        "question": "Which place is this animal endemic to?",
        "answer": ["People's Republic of China"],
        "answer_eval": ALIASES,
        "data_split": "val_unseen_entity",
    } | changes


def write_files(root: Path, rows: list[dict[str, Any]], **others: list[dict[str, Any]]) -> Path:
    """The three files of val; entities and types of all rows unless they are given."""
    ids = [row["data_id"] for row in rows]
    entities = [{"data_id": name, "entity_id": f"Q{ids.index(name)}", "entity_text": "Panda"} for name in ids]
    types = [{"data_id": name, "question_type": "String"} for name in ids]
    write_lines(root / "infoseek_val.jsonl", rows)
    write_lines(root / "infoseek_val_withkb.jsonl", others.get("entities", entities))
    write_lines(root / "infoseek_val_qtype.jsonl", others.get("types", types))
    return root


def test_a_question_of_the_val_split(tmp_path: Path) -> None:
    write_files(tmp_path, [row()])
    touch(tmp_path / "oven_images" / "01" / "oven_01963180.JPEG")
    benchmark = open_infoseek(tmp_path, split="val")
    (example,), problems = questions_of(benchmark)
    assert problems == []
    assert (example.id, example.answers) == ("infoseek_val_00000000", ("People's Republic of China",))
    assert [image.path for image in example.images] == ["01/oven_01963180.JPEG"]
    assert benchmark.root == tmp_path / "oven_images"
    assert (example.positive_ids, example.category) == (("Q0",), "String")
    assert example.metadata == {
        "image_id": "oven_01963180",
        "answer_eval": tuple(ALIASES),
        "data_split": "val_unseen_entity",
        "question_type": "String",
        "entity_id": "Q0",
    }
    assert benchmark.files == {
        "questions": tmp_path / "infoseek_val.jsonl",
        "entity_id": tmp_path / "infoseek_val_withkb.jsonl",
        "question_type": tmp_path / "infoseek_val_qtype.jsonl",
    }


@pytest.mark.parametrize("split", ["test", "human"])
def test_splits_without_labels(tmp_path: Path, split: str) -> None:
    asked = {"data_id": "infoseek_test_0", "image_id": "oven_1", "question": "Where?"}
    write_lines(tmp_path / f"infoseek_{split}.jsonl", [asked, row(1)])
    hidden, shown = open_infoseek(tmp_path, split=split, pictures=False).questions()
    assert hidden.metadata == {"image_id": "oven_1", "hidden_labels": True}
    assert (hidden.answers, hidden.positive_ids, hidden.category) == ((), (), "")
    assert "hidden_labels" not in shown.metadata and shown.answers


def test_files_that_are_compressed(tmp_path: Path) -> None:
    write_files(tmp_path, [row(number) for number in range(3)])
    for file in list(tmp_path.iterdir()):
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    examples, problems = questions_of(open_infoseek(tmp_path, split="val", pictures=False))
    assert (len(examples), problems) == (3, [])


NUMERICAL = [
    [{"wikidata": 1.0, "range": [0.9, 1.1]}],
    {"wikidata": 1.0, "range": [0.9, 1.1]},
    [{"wikidata": [1, 2], "range": ["1", 2, 3]}],
]


@pytest.mark.parametrize("value", NUMERICAL)
def test_numerical_answers_are_kept_as_they_are(tmp_path: Path, value: Any) -> None:
    types = [{"data_id": name_of(0), "question_type": "Numerical"}]
    write_files(tmp_path, [row(answer=[1.0], answer_eval=value)], types=types)
    (example,) = open_infoseek(tmp_path, split="val", pictures=False).questions()
    assert example.metadata["answer_eval"] == value and example.answers == ("1.0",)


@pytest.mark.parametrize(
    ("changes", "kind", "cause"),
    [
        ({"answer_eval": NUMERICAL[0]}, "String", "question_type is String, and its answer_eval has a range"),
        ({"answer_eval": ["1.0"]}, "numerical", "question_type is numerical, and its answer_eval has no range"),
        ({"answer_eval": [{"range": [1]}]}, "Numerical", "needs a range of two numbers"),
        ({"answer_eval": {"range": [1, "x"]}}, "Numerical", "needs a range of two numbers"),
        ({"answer_eval": {"range": [1, float("nan")]}}, "Numerical", "needs a range of two numbers"),
        ({"answer_eval": []}, "Time", "must be a list of texts or hold a range"),
        ({"answer_eval": "1889"}, "Time", "must be a list of texts or hold a range"),
        ({"answer_eval": None}, "Time", "it has no answer_eval"),
        ({"answer": None}, "Time", "it has no answer"),
        ({"answer": "1889"}, "Time", "'answer' must be a list, found '1889'"),
        ({"data_split": None}, "Time", "'data_split' must be a text"),
        ({"question": None}, "Time", "'question' must be a text"),
        ({"image_id": ""}, "Time", "'image_id' must be an id"),
        ({"image_id": "../../secret"}, "Time", "leads out of the folder of the pictures"),
        ({"image_id": "/etc/passwd"}, "Time", "leads out of the folder of the pictures"),
    ],
)
def test_a_malformed_row_is_named_and_the_others_read(
    tmp_path: Path, changes: dict[str, Any], kind: str, cause: str
) -> None:
    types = [{"data_id": name_of(number), "question_type": ("String", kind, "Time")[number]} for number in range(3)]
    write_files(tmp_path, [row(0), row(1, **changes), row(2)], types=types)
    touch(tmp_path / "oven_01963180.jpg")
    benchmark = open_infoseek(tmp_path, split="val")
    examples, problems = questions_of(benchmark)
    assert [example.id for example in examples] == [name_of(0), name_of(2)]
    assert [problem.id for problem in problems] == [f"line 2 (data_id {name_of(1)})"]
    assert cause in problems[0].cause
    with pytest.raises(ReaderError, match=r"infoseek_val\.jsonl: line 2"):
        list(benchmark.questions())


def test_what_is_missing_on_either_side_is_counted(tmp_path: Path) -> None:
    rows = [row(0), row(1), row(2), row(0), row(3)]
    entities = [{"data_id": name_of(number), "entity_id": f"Q{number}"} for number in (2, 0, 9, 1, 2)]
    types = [{"data_id": name_of(number), "question_type": "Time"} for number in (0, 2, 7, 3)]
    write_files(tmp_path, rows, entities=[*entities, {"data_id": name_of(3)}], types=types)
    examples, problems = questions_of(open_infoseek(tmp_path, split="val", pictures=False))
    assert [example.id for example in examples] == [name_of(0), name_of(2)]
    assert sorted(causes(problems)) == sorted(
        [
            ("line 2 (data_id infoseek_val_00000001)", "infoseek_val.jsonl")
            + ("it has no question_type in infoseek_val_qtype.jsonl",),
            ("line 4 (data_id infoseek_val_00000000)", "infoseek_val.jsonl", "its data_id appears twice"),
            ("line 5 (data_id infoseek_val_00000003)", "infoseek_val.jsonl")
            + ("it has no entity_id in infoseek_val_withkb.jsonl",),
            ("line 5", "infoseek_val_withkb.jsonl", "the data_id infoseek_val_00000002 appears twice"),
            ("line 6", "infoseek_val_withkb.jsonl")
            + ("field 'entity_id' must be an id (a text or a whole number), found None",),
            ("entity_id of data_id infoseek_val_00000009", "infoseek_val_withkb.jsonl")
            + ("it has no question in infoseek_val.jsonl",),
            ("question_type of data_id infoseek_val_00000007", "infoseek_val_qtype.jsonl")
            + ("it has no question in infoseek_val.jsonl",),
        ]
    )


def test_a_file_to_join_that_is_missing_is_one_problem(tmp_path: Path) -> None:
    write_files(tmp_path, [row(0), row(1)])
    (tmp_path / "infoseek_val_withkb.jsonl").unlink()
    benchmark = open_infoseek(tmp_path, split="val", pictures=False)
    examples, problems = questions_of(benchmark)
    assert [(example.positive_ids, example.category) for example in examples] == [((), "String")] * 2
    cause = "the file is missing: the questions are read without entity_id"
    assert causes(problems) == [("all of val", "infoseek_val_withkb.jsonl", cause)]
    with pytest.raises(ReaderError, match=r"infoseek_val_withkb\.jsonl: all of val: the file is missing"):
        list(benchmark.questions())
    with pytest.raises(FileNotFoundError, match=r"infoseek_train\.jsonl or .*infoseek_train\.jsonl\.gz"):
        open_infoseek(tmp_path, split="train")


def test_a_file_to_join_that_is_damaged_is_an_error_and_not_a_row_of_problems(tmp_path: Path) -> None:
    write_files(tmp_path, [row(number) for number in range(500)])
    file = tmp_path / "infoseek_val_qtype.jsonl"
    data = gzip.compress(file.read_bytes())
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(ReaderError, match=r"qtype\.jsonl: line \d+: the compressed data is damaged or cut off"):
        list(open_infoseek(tmp_path, split="val", pictures=False).questions(problems=[]))


def test_broken_lines_are_named(tmp_path: Path) -> None:
    write_files(tmp_path, [row(0), row(1)])
    file = tmp_path / "infoseek_val.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b'[1]\r\n{"data_id": "infosee')
    problems: list[Problem] = []
    examples = list(open_infoseek(tmp_path, split="val", pictures=False).questions(problems=problems))
    assert len(examples) == 2 and [problem.id for problem in problems] == ["line 3", "line 4"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_pictures_are_found_by_a_map_or_by_their_ids(tmp_path: Path, kind: str) -> None:
    rows = [row(0), row(1, image_id="oven_2"), row(2, image_id="oven_3"), row(3, image_id="oven_4")]
    write_files(tmp_path, rows)
    pairs = {"oven_01963180": "inat/1.jpg", "oven_2": "gone/2.jpg", "oven_77": "../not asked for.jpg"}
    file = tmp_path / f"map.{kind}"
    if kind == "csv":
        file.write_text("".join(f"{name},{path}\n" for name, path in pairs.items()))
    elif kind == "jsonl":
        write_lines(file, [{"image_id": name, "image_path": path} for name, path in pairs.items()])
    else:
        write_json(file, pairs)
    touch(tmp_path / "inat" / "1.jpg", tmp_path / "oven_3.jpg", tmp_path / "oven_01963180.jpg")
    benchmark = open_infoseek(tmp_path, split="val", picture_map=file)
    examples, problems = questions_of(benchmark)
    assert [example.images[0].path for example in examples] == ["inat/1.jpg", "oven_3.jpg"]
    assert [(problem.id.split(" ")[1], Path(problem.file).name) for problem in problems] == [
        ("2", "2.jpg"),
        ("4", "oven_4.jpg"),
    ]
    assert benchmark.files["picture map 0"] == file


@pytest.mark.parametrize(
    ("name", "text", "cause"),
    [
        ("map.csv", "oven_01963180,../1.jpg\n", r"map\.csv: line 1: the picture path '../1.jpg' leads out"),
        ("map.csv", "oven_01963180,C:\\1.jpg\n", r"map\.csv: line 1: the picture path .* leads out"),
        ("map.csv", "oven_01963180,a,b\n", r"map\.csv: line 1: expected an id and a path"),
        ("map.csv", "oven_01963180,a.jpg\noven_01963180,b.jpg\n", r"map\.csv: line 2: the picture .* is 'b.jpg' here"),
        ("map.csv", 'oven_1,"a.jpg\n', r"map\.csv: line 1: malformed CSV: unexpected end of data"),
        ("map.jsonl", '{"image_id": "oven_1"}\n', r"map\.jsonl: line 1: field 'image_path' must be a text"),
        ("map.json", '{"oven_1": "a.jpg", "oven_2": 3}', r"map\.json: id 'oven_2': expected a path, found '3'"),
        ("map.json", '{"oven_1": "a.jpg"', r"map\.json: line 1: .*truncated"),
        ("map.json", '{"info": {}, "images": [3]}', r"map\.json: image 1: expected an object"),
        ("map.json", '{"info": {}}', r"map\.json: expected the member 'images'"),
        ("map.txt", "", r"A map of pictures is a \.csv, \.jsonl or \.json file"),
    ],
)
def test_a_malformed_map_is_an_error(tmp_path: Path, name: str, text: str, cause: str) -> None:
    write_files(tmp_path, [row()])
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=cause):
        list(open_infoseek(tmp_path, split="val", picture_map=tmp_path / name).questions(problems=[]))


def test_the_map_is_not_held(tmp_path: Path) -> None:
    write_files(tmp_path, [row(number, image_id=f"oven_{number}") for number in range(50)])
    touch(tmp_path / "x.jpg")
    peaks = []
    for count in (1_000, 10_000):
        file = tmp_path / f"{count}.csv"
        file.write_text("".join(f"oven_{number},x.jpg\n" for number in range(count)))
        peaks.append(peak(open_infoseek(tmp_path, split="val", picture_map=file).questions))
    assert peaks[1] < 1.3 * peaks[0], peaks


def test_memory_of_the_join_does_not_grow_with_the_files(tmp_path: Path) -> None:
    peaks = []
    for count in (200, 2_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        write_files(folder, [row(number) for number in range(count)])
        peaks.append(peak(open_infoseek(folder, split="val", pictures=False).questions))
    assert peaks[1] < 1.3 * peaks[0], peaks


@given(data=st.data(), names=st.lists(st.text(max_size=2), unique=True, max_size=12))
def test_rows_in_step_are_those_of_a_dict(data: st.DataObject, names: list[str]) -> None:
    held = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    rows = RowsInStep(iter([(name, f"row of {name}") for name in data.draw(st.permutations(held))]))
    left = {name: f"row of {name}" for name in held}
    for name in data.draw(st.permutations(names)):
        assert rows.take(name) == left.pop(name, None)
    assert sorted(rows.rest()) == sorted(left)


def test_names_of_splits_and_settings(tmp_path: Path) -> None:
    write_files(tmp_path, [])
    with pytest.raises(ValueError, match="split of InfoSeek 'valid'. Did you mean 'val'"):
        open_infoseek(tmp_path, split="valid")
    with pytest.raises(ValueError, match="setting of InfoSeek 'distractor'"):
        open_infoseek(tmp_path, split="val", setting="distractor")
    with pytest.raises(ValueError, match="max_words must be a whole number of 1 or more"):
        open_infoseek(tmp_path, split="val", max_words=0)
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        open_infoseek(tmp_path / "none", split="val")


def test_json_of_the_release_reads_back(tmp_path: Path) -> None:
    line = json.dumps(row(), ensure_ascii=True)
    assert "\\ud83c\\udde8" in line, "the flag is written as two surrogate pairs, as in the release"
    write_files(tmp_path, [row()])
    (example,) = open_infoseek(tmp_path, split="val", pictures=False).questions()
    assert example.metadata["answer_eval"][-1] == "\U0001f1e8\U0001f1f3"
