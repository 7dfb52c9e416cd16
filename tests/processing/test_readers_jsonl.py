"""rablip's own JSONL formats round-trip, and refuse what they do not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.processing import ImageRef, KnowledgeItem, QuestionExample
from rablip.processing.readers_jsonl import item_to_row, question_to_row, read_jsonl, read_questions_jsonl
from rablip.processing.readers_records import Problem, ReaderError

WORDS = st.text(min_size=1).filter(lambda text: bool(text.strip()))
PATHS = st.sampled_from(["a.png", "b/c d.jpg"])
METADATA = st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.text()), max_size=3)
ITEMS = st.builds(
    KnowledgeItem,
    id=WORDS,
    text=WORDS,
    image=st.none() | st.builds(ImageRef, path=PATHS),
    title=st.none() | WORDS,
    caption=st.none() | WORDS,
    source=st.none() | WORDS,
    metadata=METADATA,
)
QUESTIONS = st.builds(
    QuestionExample,
    id=WORDS,
    question=WORDS,
    images=st.lists(st.builds(ImageRef, path=PATHS), max_size=2).map(tuple),
    answers=st.lists(WORDS, max_size=2).map(tuple),
    positive_ids=st.lists(st.sampled_from(["p1", "p2"]), max_size=2).map(tuple),
    negative_ids=st.lists(st.sampled_from(["n1", "n2"]), max_size=2).map(tuple),
    category=st.just("") | WORDS,
    metadata=METADATA,
)


def write_rows(folder: Path, rows: list[Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@given(items=st.lists(ITEMS, max_size=5))
@settings(max_examples=40, deadline=None)
def test_items_round_trip(tmp_path_factory: pytest.TempPathFactory, items: list[KnowledgeItem]) -> None:
    path = write_rows(tmp_path_factory.mktemp("items"), [item_to_row(item) for item in items])
    assert list(read_jsonl(path)) == items


@given(examples=st.lists(QUESTIONS, max_size=5))
@settings(max_examples=40, deadline=None)
def test_questions_round_trip(tmp_path_factory: pytest.TempPathFactory, examples: list[QuestionExample]) -> None:
    path = write_rows(tmp_path_factory.mktemp("questions"), [question_to_row(example) for example in examples])
    assert list(read_questions_jsonl(path)) == examples


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ({"id": "a", "txt": "hello"}, "did you mean 'text'"),
        ({"text": "no id"}, "'id' must be a non-empty text, found None"),
        ({"id": " ", "text": "x"}, "'id' must be"),
        ({"id": True, "text": "x"}, "'id' must be"),
        ({"id": "a"}, "is empty"),
        ({"id": "a", "text": 1984}, "'text' must be text, found 1984"),
        ({"id": "a", "image": ["a.png"]}, "'image' must be text"),
        ({"id": "a", "image": "https://example.org/a.png"}, "URL"),
        ({"id": "a", "text": "x", "metadata": [1]}, "'metadata' must be an object"),
    ],
)
def test_a_wrong_item_is_named_by_line_and_the_rest_is_read(tmp_path: Path, row: Any, cause: str) -> None:
    path = write_rows(tmp_path, [{"id": "first", "text": "x"}, row, {"id": "last", "text": "y"}])
    with pytest.raises(ReaderError) as caught:
        list(read_jsonl(path))
    assert cause in str(caught.value)
    assert f"{path}: line 2" in str(caught.value)
    problems: list[Problem] = []
    assert [item.id for item in read_jsonl(path, problems=problems)] == ["first", "last"]
    assert len(problems) == 1
    assert cause in problems[0].cause


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ({"id": "q", "question": "Who?", "image": "a.png"}, "did you mean 'images'"),
        ({"id": "q", "question": "Who?", "images": "a.png"}, "'images' must be a list of texts"),
        ({"id": "q", "question": "Who?", "answers": "red"}, "'answers' must be a list of texts"),
        ({"id": "q", "question": "  "}, "empty"),
        ({"id": "q", "question": "Who?", "positive_ids": ["a"], "negative_ids": ["a"]}, "both positive and negative"),
    ],
)
def test_a_wrong_question_is_refused(tmp_path: Path, row: Any, cause: str) -> None:
    with pytest.raises(ReaderError, match="line 1") as caught:
        list(read_questions_jsonl(write_rows(tmp_path, [row])))
    assert cause in str(caught.value)


def test_numbers_as_ids_become_texts_and_blank_fields_nothing(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [{"id": 7, "text": "x", "title": " ", "caption": None}])
    assert list(read_jsonl(path)) == [KnowledgeItem(id="7", text="x")]


@pytest.mark.parametrize("reader", [read_jsonl, read_questions_jsonl])
def test_a_missing_file_is_noticed_at_the_call(tmp_path: Path, reader: Any) -> None:
    with pytest.raises(FileNotFoundError, match="nothing.jsonl"):
        reader(tmp_path / "nothing.jsonl")


def test_bytes_are_not_written_as_a_path() -> None:
    with pytest.raises(ValueError, match="save it in a file first"):
        item_to_row(KnowledgeItem(id="a", image=ImageRef(data=b"123")))
