"""OK-VQA: both official files joined by id, the ten answers kept in order, mirrors read as the files are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rablip.processing.benchmarks.okvqa import open_okvqa, write_vqa_results
from rablip.processing.readers_records import ReaderError
from tests.processing.benchmarks.benchmark_files import (
    causes,
    items_of,
    peak,
    questions_of,
    touch,
    write_json,
    write_parquet,
)

QUESTIONS = "OpenEnded_mscoco_val2014_questions.json"
ANNOTATIONS = "mscoco_val2014_annotations.json"
GIVEN = ["race", "race", "race", "race", "motocross", "ride", "ride", "", "race", "race"]


def asked(number: int, **changes: Any) -> dict[str, Any]:
    return {"image_id": 297147, "question": "What sport is this &amp; where?", "question_id": number} | changes


def annotated(number: int, answers: list[Any] = GIVEN, **changes: Any) -> dict[str, Any]:
    listed = [
        {"answer_id": place, "raw_answer": f"{answer}s", "answer": answer, "answer_confidence": "yes"}
        for place, answer in enumerate(answers, start=1)
    ]
    head = {"question_id": number, "image_id": 297147, "question_type": "one", "answer_type": "other", "confidence": 3}
    return head | {"answers": listed} | changes


def write_files(root: Path, questions: list[Any], annotations: list[Any], **how: bool) -> Path:
    write_json(root / QUESTIONS, {"info": {"year": 2019}, "license": {}, "questions": questions}, **how)
    write_json(root / ANNOTATIONS, {"annotations": annotations, "data_subtype": "val2014"}, **how)
    return root


@pytest.mark.parametrize("how", [{}, {"bom": True}, {"crlf": True}])
@pytest.mark.parametrize("place", ["val2014/", ""])
def test_a_question_of_the_test_split(tmp_path: Path, how: dict[str, bool], place: str) -> None:
    write_files(tmp_path, [asked(2971475)], [annotated(2971475)], **how)
    touch(tmp_path / f"{place}COCO_val2014_000000297147.jpg")
    benchmark = open_okvqa(tmp_path, split="test")
    (example,), problems = questions_of(benchmark)
    assert problems == []
    assert (example.id, example.question) == ("2971475", "What sport is this &amp; where?")
    assert [image.path for image in example.images] == [f"{place}COCO_val2014_000000297147.jpg"]
    assert example.answers == ("race", "motocross", "ride")
    assert (example.category, example.positive_ids) == ("one", ())
    assert example.metadata == {
        "answers": tuple(GIVEN),
        "answer_ids": tuple(range(1, 11)),
        "raw_answers": tuple(f"{answer}s" for answer in GIVEN),
        "question_type": "one",
        "answer_type": "other",
        "image_id": 297147,
    }
    assert (benchmark.name, benchmark.split, benchmark.setting, benchmark.root) == ("okvqa", "test", "full", tmp_path)
    assert benchmark.files == {"questions": tmp_path / QUESTIONS, "annotations": tmp_path / ANNOTATIONS}
    assert list(benchmark.questions()) == [example] and list(benchmark.knowledge()) == []


@pytest.mark.parametrize("name", ["test", "val", "val2014"])
def test_val2014_is_the_test_split_by_whatever_name(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, [], [])
    assert open_okvqa(tmp_path, split=name).split == "test"
    with pytest.raises(FileNotFoundError, match="OpenEnded_mscoco_train2014_questions"):
        open_okvqa(tmp_path, split="train")
    with pytest.raises(ValueError, match=r"split of OK-VQA 'tset'\. Did you mean 'test'\?"):
        open_okvqa(tmp_path, split="tset")
    with pytest.raises(ValueError, match="setting of OK-VQA 'distractor'"):
        open_okvqa(tmp_path, split=name, setting="distractor")


def test_files_in_another_order_are_joined_by_id(tmp_path: Path) -> None:
    numbers = [5, 3, 9, 1, 7]
    write_files(tmp_path, [asked(n) for n in numbers], [annotated(n, [f"a{n}"]) for n in sorted(numbers)])
    examples, problems = questions_of(open_okvqa(tmp_path, split="test", pictures=False))
    assert problems == []
    assert [(example.id, example.answers) for example in examples] == [(str(n), (f"a{n}",)) for n in numbers]
    assert all(example.images == () for example in examples)


def test_what_is_missing_is_counted_and_named(tmp_path: Path) -> None:
    questions = [asked(1), asked(2), asked(1), asked(4, image_id=5), asked(5, image_id=8), asked(6, question=" "), 7]
    annotations = [
        annotated(1),
        annotated(3),
        annotated(4),
        annotated(5, image_id="8"),
        annotated(6),
        annotated(3),
        {},
    ]
    write_files(tmp_path, questions, annotations)
    touch(tmp_path / "val2014" / "COCO_val2014_000000297147.jpg")
    examples, problems = questions_of(open_okvqa(tmp_path, split="test"))
    assert [example.id for example in examples] == ["1"]
    found = {(place, file): cause for place, file, cause in causes(problems)}
    assert found.pop(("question 2 (question_id 2)", QUESTIONS)) == f"it has no annotation in {ANNOTATIONS}"
    assert found.pop(("question 3 (question_id 1)", QUESTIONS)) == "its question_id appears twice"
    assert "image_id is 5 here and 297147" in found.pop(("question 4 (question_id 4)", QUESTIONS))
    missing = found.pop(("question 5 (question_id 5)", "COCO_val2014_000000000008.jpg"))
    assert "has no val2014/COCO_val2014_000000000008.jpg (nor COCO_val2014_000000000008.jpg)" in missing
    assert "'question' must be a text that is not blank" in found.pop(("question 6 (question_id 6)", QUESTIONS))
    assert found.pop(("question 7", QUESTIONS)) == "expected an object, found '7'"
    assert found.pop(("annotation 6", ANNOTATIONS)) == "the question_id 3 appears twice"
    assert "field 'question_id' must be an id" in found.pop(("annotation 7", ANNOTATIONS))
    assert found.pop(("annotation of question_id 3", ANNOTATIONS)) == f"it has no question in {QUESTIONS}"
    assert found == {}


@pytest.mark.parametrize(
    ("question", "annotation", "cause"),
    [
        (asked(1), annotated(1, []), "'answers' must be a list of answers"),
        (asked(1), annotated(1) | {"answers": "race"}, "'answers' must be a list of answers"),
        (asked(1), annotated(1) | {"answers": [{"answer": "race"}]}, "'answer_id' must be a whole number"),
        (asked(1), annotated(1, [None]), "'answer' must hold texts or numbers, found None"),
        (asked(1), annotated(1, [True]), "'answer' must hold texts or numbers, found True"),
        (asked(1, image_id="x"), annotated(1), "'image_id' must be a whole number"),
        (asked(1, question="\ud83c"), annotated(1), "lone surrogate"),
        (asked(True), annotated(1), "'question_id' must be an id"),
    ],
)
def test_without_a_list_the_first_problem_is_raised(
    tmp_path: Path, question: dict[str, Any], annotation: dict[str, Any], cause: str
) -> None:
    write_files(tmp_path, [question], [annotation])
    with pytest.raises(ReaderError) as caught:
        list(open_okvqa(tmp_path, split="test", pictures=False).questions())
    assert QUESTIONS in str(caught.value) and cause in str(caught.value)


@pytest.mark.parametrize(("prediction", "accuracy"), [("d", 0), ("c", 30), ("b", 60), ("a", 90), ("x", 100)])
def test_metadata_holds_what_the_official_accuracy_needs(tmp_path: Path, prediction: str, accuracy: int) -> None:
    """One, two, three and four equal answers of ten, each left out in its turn: 30, 60, 90 and 100 percent."""
    write_files(tmp_path, [asked(1)], [annotated(1, ["a", "a", "a", "b", "b", "c", "x", "x", "x", "x"])])
    (example,) = open_okvqa(tmp_path, split="test", pictures=False).questions()
    given = list(zip(example.metadata["answer_ids"], example.metadata["answers"], strict=True))
    assert len(set(given)) == 10
    shares = []
    for left_out in given:
        others = [answer for answer in given if answer != left_out]  # as the official scorer tells them apart
        shares.append(min(1, sum(answer == prediction for _, answer in others) / 3))
    assert round(100 * sum(shares) / 10) == accuracy


def test_ids_and_answers_may_be_written_as_numbers_or_texts(tmp_path: Path) -> None:
    row = annotated(0, [3, 300.0, "three"]) | {"question_id": "29", "image_id": "297147"}
    write_files(tmp_path, [asked(0) | {"question_id": 29.0, "image_id": 297147.0}], [row])
    (example,), problems = questions_of(open_okvqa(tmp_path, split="test", pictures=False))
    assert problems == []
    assert (example.id, example.metadata["answers"]) == ("29", ("3", "300.0", "three"))


@pytest.mark.parametrize("name", [QUESTIONS, ANNOTATIONS])
@pytest.mark.parametrize("lenient", [True, False])
def test_a_file_that_is_cut_off_is_an_error_even_where_problems_are_collected(
    tmp_path: Path, name: str, lenient: bool
) -> None:
    write_files(tmp_path, [asked(n) for n in range(3)], [annotated(n) for n in range(3)])
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(text[: text.rindex('"question_id": 2')])
    with pytest.raises(ReaderError, match=f"{name}: line 1: .*truncated"):
        list(open_okvqa(tmp_path, split="test", pictures=False).questions(problems=[] if lenient else None))


def test_a_mirror_that_keeps_texts(tmp_path: Path) -> None:
    row = {
        "question_id": "2971475",
        "image": {"bytes": b"\xff\xd8", "path": "COCO_val2014_1.jpg"},
        "question": "What?",
    }
    row |= {"answers": GIVEN, "question_type": "one", "answer_type": "other"}
    write_parquet(tmp_path / "data" / "val2014-00000-of-00002.parquet", [row])
    write_parquet(tmp_path / "data" / "val2014-00001-of-00002.parquet", [row | {"question_id": "7"}])
    benchmark = open_okvqa(tmp_path, split="test")
    examples, problems = questions_of(benchmark)
    assert problems == [] and [example.id for example in examples] == ["2971475", "7"]
    assert examples[0].images[0].data == b"\xff\xd8"
    assert examples[0].metadata["answers"] == tuple(GIVEN)
    assert examples[0].metadata["answer_ids"] == tuple(range(1, 11))
    assert sorted(benchmark.files) == ["questions 0", "questions 1"]
    (tmp_path / "data" / "val2014-00000-of-00002.parquet").unlink()
    with pytest.raises(ReaderError, match="1 of 2 files of 'val2014' are missing, the first is number 0"):
        open_okvqa(tmp_path, split="test")


def test_a_mirror_that_keeps_objects(tmp_path: Path) -> None:
    official = annotated(5)
    row = {"question_id": 5, "question": "What?", "image_id": 297147, "answers": official["answers"]}
    file = write_parquet(tmp_path / "mine.parquet", [row | {"question_type": "one"}, row, row | {"question_id": 6}])
    touch(tmp_path / "val2014" / "COCO_val2014_000000297147.jpg")
    examples, problems = questions_of(open_okvqa(tmp_path, split="test", parquet=file))
    assert [example.id for example in examples] == ["5", "6"]
    assert examples[0].metadata["raw_answers"] == tuple(f"{answer}s" for answer in GIVEN)
    assert examples[0].images[0].path == "val2014/COCO_val2014_000000297147.jpg"
    assert causes(problems) == [("row 2 (question_id 5)", "mine.parquet", "its question_id appears twice")]


def test_a_mirror_without_what_is_needed_is_named(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "mine.parquet", [{"question_id": 5, "question": "What?"}])
    with pytest.raises(ReaderError, match=r"mine\.parquet: it has no column \['answers'\]; its columns are"):
        list(open_okvqa(tmp_path, split="test", parquet=file).questions())
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ReaderError, match=r"mine\.parquet: at its start: not a readable Parquet file"):
        list(open_okvqa(tmp_path, split="test", parquet=[file]).questions(problems=[]))
    with pytest.raises(FileNotFoundError, match="Give the Parquet files"):
        open_okvqa(tmp_path, split="test", parquet=tmp_path / "none.parquet")
    row = {"question_id": 5, "question": "What?", "answers": ["a"], "image": {"bytes": None, "path": "../x.jpg"}}
    leading_out = write_parquet(tmp_path / "out.parquet", [row])
    with pytest.raises(ReaderError, match=r"leads out of the folder"):
        list(open_okvqa(tmp_path, split="test", parquet=leading_out).questions())


def test_a_corpus_is_the_knowledge(tmp_path: Path) -> None:
    write_files(tmp_path, [asked(1)], [annotated(1)])
    corpus = tmp_path / "okvqa_full_corpus.csv"
    long = "x" * 200_000  # more than what Python's csv takes unasked
    corpus.write_bytes(
        b'\xef\xbb\xbfkid,text\r\n0,"It says ""race"", it does."\r\n1,"two\r\nlines"\r\n'
        + f"2,{long}\r\n2,again\r\n3,\r\n,no id\r\n4,a,b\r\n".encode()
    )
    benchmark = open_okvqa(tmp_path, split="test", corpus=corpus, pictures=False)
    items, problems = items_of(benchmark)
    texts = [("0", 'It says "race", it does.'), ("1", "two\r\nlines"), ("2", long)]
    assert [(item.id, item.text) for item in items] == texts
    assert causes(problems) == [
        ("line 6", corpus.name, "the id '2' appears twice"),
        ("line 7", corpus.name, "the column 'text' is empty"),
        ("line 8", corpus.name, "the column 'kid' is empty"),
        ("line 9", corpus.name, "expected 2 cells as in the header, found 3"),
    ]
    assert benchmark.files["corpus"] == corpus
    with pytest.raises(FileNotFoundError, match="kid and text"):
        open_okvqa(tmp_path, split="test", corpus=tmp_path / "none.csv")


def test_results_are_written_in_the_official_form(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    write_vqa_results(file, {"29": "caf\u00e9", "7": ""}, question_ids=["7", "29"])
    assert json.loads(file.read_bytes().decode("ascii")) == [
        {"question_id": 29, "answer": "caf\u00e9"},
        {"question_id": 7, "answer": ""},
    ]
    kept = file.read_bytes()
    with pytest.raises(ValueError, match="1 question has no answer, the first is '7'"):
        write_vqa_results(file, {"29": "race"}, question_ids=["7", "29"])
    with pytest.raises(ValueError, match="not in the split, the first is '8'"):
        write_vqa_results(file, {"29": "race", "8": "race"}, question_ids=["29"])
    with pytest.raises(ValueError, match="must be a whole number of zero or more, found '22Mex'"):
        write_vqa_results(file, {"22Mex": "race"})
    with pytest.raises(TypeError, match="must be a str, got int"):
        write_vqa_results(file, {"29": 3})  # type: ignore[dict-item]
    with pytest.raises(FileNotFoundError, match="Make it first"):
        write_vqa_results(tmp_path / "none" / "results.json", {})
    assert file.read_bytes() == kept and [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_memory_stays_flat_in_the_size_of_the_files(tmp_path: Path) -> None:
    peaks = []
    for count in (100, 1_000):
        write_files(tmp_path, [asked(n) for n in range(count)], [annotated(n) for n in range(count)])
        peaks.append(peak(open_okvqa(tmp_path, split="test", pictures=False).questions))
    assert peaks[1] < 1.3 * peaks[0], peaks
