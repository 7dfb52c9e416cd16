"""ReMuQ: questions with WebQA's pictures, one right passage each, and captions taken out of the question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rablip.processing import ImageRef
from rablip.processing.benchmarks.remuq import open_remuq
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.webqa_folder import write_pictures


def make_row(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "question_id": number,
        "img_id": 30_000_000,
        "question": "When did it open?",
        "answers": {"1889": 1, "in 1889": 1},
        "ctxs": [{"id": 3, "text": "It opened in 1889."}, {"id": 4, "text": "It is red."}],
    } | changes


def write_folder(folder: Path, *rows: Any, corpus: str = "kid,text\n3,It opened in 1889.\n4,It is red.\n") -> Path:
    (folder / "test.json").write_text(json.dumps(list(rows)))
    (folder / "open_corpus_2.csv").write_text(corpus)
    write_pictures(folder, b"the harbor", b"another")
    return folder


def test_a_question(tmp_path: Path) -> None:
    caption = "a harbor at night"
    row = make_row(question=f"{caption} When did it open?", caption=caption, img_id="30000001", negs=["a text"])
    benchmark = open_remuq(write_folder(tmp_path, row), split="test")
    (question,) = benchmark.questions()
    assert (question.id, question.question, question.answers) == ("1", "When did it open?", ("1889", "in 1889"))
    assert (question.images, question.positive_ids) == ((ImageRef(data=b"another"),), ("3",))
    assert question.metadata == {
        "image_id": "30000001",
        "context_ids": ("3", "4"),
        "caption": caption,
        "negs": ["a text"],
    }
    items = [(item.id, item.text) for item in benchmark.knowledge()]
    assert items == [("3", "It opened in 1889."), ("4", "It is red.")]
    assert sorted(benchmark.files) == ["corpus", "picture_offsets", "pictures", "questions"]


def test_where_the_files_are(tmp_path: Path) -> None:
    folder, images = tmp_path / "remuq", tmp_path / "webqa"
    folder.mkdir()
    images.mkdir()
    write_folder(folder, make_row())
    for name in ("imgs.tsv", "imgs.lineidx"):
        (folder / name).rename(images / name)
    with pytest.raises(FileNotFoundError, match=r"imgs\.tsv.*pictures=False"):
        open_remuq(folder, split="test")
    (question,) = open_remuq(folder, split="test", images=images).questions()
    assert question.images == (ImageRef(data=b"the harbor"),)
    (question,) = open_remuq(folder, split="test", pictures=False).questions()
    assert question.images == ()
    with pytest.raises(FileNotFoundError, match=r"train\.json"):
        open_remuq(folder, split="train", pictures=False)
    (folder / "train_corpus.csv").write_text("kid,text\n3,a\n")
    with pytest.raises(ValueError, match=r"several files.*open_corpus_2\.csv, train_corpus\.csv"):
        open_remuq(folder, split="test", pictures=False)
    chosen = open_remuq(folder, split="test", pictures=False, corpus=folder / "train_corpus.csv")
    assert [item.text for item in chosen.knowledge()] == ["a"]
    with pytest.raises(ValueError, match="no setting of ReMuQ"):
        open_remuq(folder, split="test", setting="distractor", pictures=False)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"img_id": 30_000_007}, "image 30000007 is not in"),
        ({"img_id": None}, "field 'img_id' must be a whole number"),
        ({"ctxs": []}, "ctxs must be a list of passages"),
        ({"ctxs": [{"text": "a"}]}, "field 'id' must be an id"),
        ({"answers": ["1889"]}, "answers must be an object"),
        ({"question": "a harbor", "caption": "a harbor"}, "is empty"),
        ({"question_id": 0}, "is that of an earlier row"),
        ({"question_id": None}, "field 'question_id' must be an id"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    benchmark = open_remuq(write_folder(tmp_path, make_row(0), make_row(1) | changes, make_row(2)), split="test")
    problems: list[Problem] = []
    assert [question.id for question in benchmark.questions(problems=problems)] == ["0", "2"]
    (problem,) = problems
    assert (problem.id, problem.file) == ("row 2", str(tmp_path / "test.json")) and cause in problem.cause
    with pytest.raises(ReaderError, match=r"test\.json: row 2"):
        list(benchmark.questions())


def test_a_right_passage_that_is_missing_is_counted_once(tmp_path: Path) -> None:
    write_folder(tmp_path, make_row(0), make_row(1), corpus="kid,text\n4,It is red.\n")
    benchmark = open_remuq(tmp_path, split="test")
    problems: list[Problem] = []
    assert [item.id for item in benchmark.knowledge(problems=problems)] == ["4"]
    (problem,) = problems
    assert (problem.id, problem.cause) == ("3", "the passage of question row 1 is not in the corpus")


@pytest.mark.parametrize("text", ["{}", "[1", '[{"a": 1}'])
def test_a_file_that_is_no_list(tmp_path: Path, text: str) -> None:
    write_folder(tmp_path, make_row())
    (tmp_path / "test.json").write_text(text)
    with pytest.raises(ReaderError, match=r"test\.json: line 1"):
        list(open_remuq(tmp_path, split="test").questions(problems=[]))
