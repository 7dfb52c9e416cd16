"""M2KR: every task in Parquet and JSONL, instructions from the rows, rows without picture or question marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rablip.processing.benchmarks.m2kr import M2KR_TASKS, open_m2kr
from rablip.processing.readers_records import ReaderError
from tests.processing.benchmarks.benchmark_files import (
    causes,
    items_of,
    peak,
    questions_of,
    touch,
    write_lines,
    write_parquet,
)

INSTRUCTION = "Find documents for the question with this picture:"
PASSAGES = [
    {
        "language": "en",
        "passage_id": f"p{number}",
        "passage_content": f"title: Harbor content: {number}",
        "title": "Harbor",
    }
    for number in range(3)
]


def row(task: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    """A row with the columns that the card lists for the task; those of type null are null."""
    kind = M2KR_TASKS[task].kind
    cells: dict[str, Any] = {
        "question_id": f"{task}_{number}",
        "pos_item_ids": ["p1", "p0"],
        "pos_item_contents": ["one", "two"],
        "img_path": None if kind == "question" else f"{task}/1.jpg",
        "question": None if task == "CC" else "" if kind == "image" else "What is this?",
        "instruction": INSTRUCTION,
    }
    if M2KR_TASKS[task].has_answers:
        cells |= {"answers": ["two", "2", "two", ""], "gold_answer": "two"}
    if task == "Infoseek":
        cells |= {"answer_eval": ["two"], "data_split": "val_unseen_entity", "question_type": "String"}
        cells |= {"entity_id": "Q1", "objects": [{"class": "boat", "rect": [0.5]}], "wikidata_value": None}
    return cells | changes


def write_files(
    root: Path, task: str, rows: list[dict[str, Any]], *, form: str = "parquet", split: str = "test"
) -> Path:
    if form == "parquet":
        write_parquet(root / f"{task}_data" / f"{split}-00000-of-00001.parquet", rows)
        write_parquet(root / f"{task}_passages" / f"{split}_passages-00000-of-00001.parquet", PASSAGES)
    else:
        write_lines(root / f"{task}_data" / f"{split}.jsonl", rows)
        write_lines(root / f"{task}_passages" / f"{split}_passages.jsonl", PASSAGES)
    return root


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
@pytest.mark.parametrize("task", sorted(M2KR_TASKS))
def test_every_task(tmp_path: Path, task: str, form: str) -> None:
    split = M2KR_TASKS[task].splits[-1]
    write_files(tmp_path, task, [row(task), row(task, 1)], form=form, split=split)
    touch(tmp_path / "pictures" / task / "1.jpg")
    benchmark = open_m2kr(tmp_path, task=task.upper(), split=split, images=tmp_path / "pictures")
    examples, problems = questions_of(benchmark)
    assert problems == [] and [example.id for example in examples] == [f"{task}_0", f"{task}_1"]
    example, kind = examples[0], M2KR_TASKS[task].kind
    assert example.positive_ids == ("p1", "p0")
    assert (benchmark.name, benchmark.split, benchmark.setting) == (f"m2kr_{task.lower()}", split, "full")
    metadata = dict(example.metadata)
    assert (metadata["task"], metadata["kind"], metadata["instruction"]) == (task, kind, INSTRUCTION)
    assert metadata["question_text"] == ("" if kind == "image" else "What is this?")
    assert example.question == (INSTRUCTION if kind == "image" else "What is this?")
    if kind == "question":
        assert example.images == () and metadata["text_only"] is True and "img_path" not in metadata
    else:
        assert [image.path for image in example.images] == [f"{task}/1.jpg"] and "text_only" not in metadata
    if M2KR_TASKS[task].has_answers:
        assert metadata["answers"] == ("two", "2", "two", "") and example.answers == ("two", "2")
        assert metadata["gold_answer"] == "two"
    else:
        assert "answers" not in metadata and example.answers == ()
    assert "pos_item_contents" not in metadata and "objects" not in metadata
    items, problems = items_of(benchmark)
    assert problems == [] and [item.id for item in items] == ["p0", "p1", "p2"], "in the order of the file"
    assert (items[0].text, items[0].title) == ("title: Harbor content: 0", None), "the title is in the text already"
    assert items[0].metadata == {"title": "Harbor", "language": "en"}


def test_what_infoseek_needs_for_its_own_metric_is_kept(tmp_path: Path) -> None:
    write_files(tmp_path, "Infoseek", [row("Infoseek")])
    (example,) = open_m2kr(tmp_path, task="infoseek", pictures=False).questions()
    assert example.category == "String" and example.images == ()
    assert {name: example.metadata[name] for name in ("answer_eval", "data_split", "entity_id")} == {
        "answer_eval": ["two"],
        "data_split": "val_unseen_entity",
        "entity_id": "Q1",
    }
    assert "wikidata_value" not in example.metadata


@pytest.mark.parametrize(
    ("given", "task"), [("CC3M", "CC"), ("e-vqa", "EVQA"), ("OK-VQA", "OKVQA"), ("llava", "LLaVA")]
)
def test_tasks_have_other_names(tmp_path: Path, given: str, task: str) -> None:
    split = M2KR_TASKS[task].splits[-1]
    write_files(tmp_path, task, [], form="jsonl", split=split)
    assert open_m2kr(tmp_path, task=given, split=split).name == f"m2kr_{task.lower()}"


def test_columns_of_type_null(tmp_path: Path) -> None:
    rows = [row("MSMARCO", number) for number in range(2)]
    file = tmp_path / "MSMARCO_data" / "valid-00000-of-00001.parquet"
    write_files(tmp_path, "MSMARCO", rows, split="valid")
    types = [("question_id", pa.string()), ("pos_item_ids", pa.list_(pa.string())), ("img_path", pa.null())]
    types += [("question", pa.string()), ("instruction", pa.string())]
    write_parquet(file, rows, pa.schema(types))
    examples, problems = questions_of(open_m2kr(tmp_path, task="MSMARCO", split="val"))
    assert problems == [] and all(example.metadata["text_only"] for example in examples)


def test_a_row_without_picture_is_marked_in_any_task(tmp_path: Path) -> None:
    write_files(tmp_path, "EVQA", [row("EVQA", img_path=None), row("EVQA", 1)])
    touch(tmp_path / "EVQA" / "1.jpg")
    first, second = open_m2kr(tmp_path, task="EVQA").questions()
    assert first.images == () and first.metadata["text_only"] is True
    assert second.images and "text_only" not in second.metadata


def test_a_null_question_is_none(tmp_path: Path) -> None:
    write_files(tmp_path, "OVEN", [row("OVEN", question=None), row("OVEN", 1)])
    first, _ = open_m2kr(tmp_path, task="OVEN", pictures=False).questions()
    assert (first.metadata["question_text"], first.question) == ("", INSTRUCTION)


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_rows_of_before_there_was_an_instruction(tmp_path: Path, form: str) -> None:
    old = row("OVEN")
    del old["instruction"]
    write_files(tmp_path, "OVEN", [old], form=form)
    with pytest.raises(ReaderError, match=r"OVEN_data.*: it has no 'instruction', as data of before June 2024"):
        list(open_m2kr(tmp_path, task="OVEN", pictures=False).questions(problems=[]))
    (example,) = open_m2kr(tmp_path, task="OVEN", instruction="Find it:", pictures=False).questions()
    assert example.metadata["instruction"] == "Find it:"


def test_the_instruction_of_a_row_comes_before_the_one_given(tmp_path: Path) -> None:
    write_files(tmp_path, "OVEN", [row("OVEN"), row("OVEN", 1, instruction=None)])
    examples = open_m2kr(tmp_path, task="OVEN", instruction="Find it:", pictures=False).questions()
    assert [example.metadata["instruction"] for example in examples] == [INSTRUCTION, "Find it:"]


def test_contents_of_the_positives_when_asked_for(tmp_path: Path) -> None:
    write_files(tmp_path, "KVQA", [row("KVQA"), row("KVQA", 1, pos_item_contents=["one"])])
    benchmark = open_m2kr(tmp_path, task="KVQA", with_contents=True, pictures=False)
    (example,), (problem,) = questions_of(benchmark)
    assert example.metadata["pos_item_contents"] == ("one", "two")
    assert problem.cause == "it has not as many pos_item_contents as pos_item_ids"


def test_a_question_without_positives_is_kept(tmp_path: Path) -> None:
    write_files(tmp_path, "OKVQA", [row("OKVQA", pos_item_ids=[], answers=[]), row("OKVQA", 1)])
    examples, problems = questions_of(open_m2kr(tmp_path, task="OKVQA", pictures=False))
    assert problems == [] and [example.positive_ids for example in examples] == [(), ("p1", "p0")]
    assert examples[0].metadata["answers"] == ()


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"question": f"{INSTRUCTION.lower()} What is this?"}, "begins with its instruction"),
        ({"question": f" {INSTRUCTION.rstrip(':')}  What is this?"}, "begins with its instruction"),
        ({"instruction": None}, "field 'instruction' is empty: give instruction="),
        ({"img_path": " "}, "'img_path' must be a text that is not blank"),
        ({"img_path": "../1.jpg"}, "leads out of the folder"),
        ({"img_path": "gone.jpg"}, "has no gone.jpg"),
        ({"pos_item_ids": None}, "'pos_item_ids' must be a list, found None"),
        ({"answers": None}, "'answers' must be a list, found None"),
        ({"question_id": None}, "'question_id' must be an id"),
        ({"question_id": "EVQA_0"}, "its question_id appears twice"),
    ],
)
def test_a_malformed_row_is_named_and_the_others_read(
    tmp_path: Path, changes: dict[str, Any], cause: str, form: str
) -> None:
    write_files(tmp_path, "EVQA", [row("EVQA"), row("EVQA", 1, **changes), row("EVQA", 2)], form=form)
    touch(tmp_path / "EVQA" / "1.jpg")
    benchmark = open_m2kr(tmp_path, task="EVQA")
    examples, problems = questions_of(benchmark)
    assert [example.id for example in examples] == ["EVQA_0", "EVQA_2"]
    assert [problem.id.split(" (")[0] for problem in problems] == ["row 2" if form == "parquet" else "line 2"]
    assert cause in problems[0].cause
    with pytest.raises(ReaderError, match="EVQA_data|gone"):
        list(benchmark.questions())


@pytest.mark.parametrize("column", ["question_id", "pos_item_ids", "question", "img_path", "answers"])
def test_a_column_that_is_missing_is_named(tmp_path: Path, column: str) -> None:
    rows = [row("EVQA"), row("EVQA", 1)]
    del rows[1][column]
    write_files(tmp_path, "EVQA", [{name: cell for name, cell in rows[0].items() if name != column}])
    with pytest.raises(ReaderError, match=rf"test-00000-of-00001\.parquet: it has no column \['{column}'\]"):
        list(open_m2kr(tmp_path, task="EVQA").questions(problems=[]))
    (tmp_path / "EVQA_data" / "test-00000-of-00001.parquet").unlink()
    write_lines(tmp_path / "EVQA_data" / "test.jsonl", rows)
    examples, problems = questions_of(open_m2kr(tmp_path, task="EVQA", pictures=False))
    assert len(examples) == 1 and problems[0].id == "line 2"
    assert problems[0].cause.startswith(f"it has no field ['{column}']")


def test_passages_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    write_files(tmp_path, "WIT", [row("WIT")], form="jsonl")
    passages = [
        PASSAGES[0],
        PASSAGES[0],
        {"passage_id": "p7", "passage_content": ""},
        {"passage_id": "p8"},
        PASSAGES[1],
    ]
    write_lines(tmp_path / "WIT_passages" / "test_passages.jsonl", passages)
    items, problems = items_of(open_m2kr(tmp_path, task="WIT"))
    assert [item.id for item in items] == ["p0", "p1"]
    assert [place for place, _, _ in causes(problems)] == [
        "line 2 (passage_id p0)",
        "line 3 (passage_id p7)",
        "line 4",
    ]


def test_files_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no files test-\*\.parquet and no test\.jsonl in .*WIT_data"):
        open_m2kr(tmp_path, task="WIT")
    write_files(tmp_path, "WIT", [row("WIT")])
    data = tmp_path / "WIT_data"
    (data / "test-00000-of-00001.parquet").rename(data / "test-00001-of-00002.parquet")
    with pytest.raises(ReaderError, match="1 of 2 files of 'test' are missing, the first is number 0"):
        open_m2kr(tmp_path, task="WIT")


def test_names_of_tasks_splits_and_settings(tmp_path: Path) -> None:
    for options, cause in (
        ({"task": "OKVQ"}, r"task of M2KR 'OKVQ'\. Did you mean 'OKVQA'\?"),
        ({"task": "IGLUE", "split": "train"}, "split of M2KR's IGLUE 'train'. Known: test"),
        ({"task": "LLaVA", "split": "val"}, "split of M2KR's LLaVA 'valid'. Known: train, test"),
        ({"task": "WIT", "setting": "distractor"}, "setting of M2KR 'distractor'"),
    ):
        with pytest.raises(ValueError, match=cause):
            open_m2kr(tmp_path, **options)  # type: ignore[arg-type]
    kinds = [task.kind for task in M2KR_TASKS.values()]
    assert (len(kinds), kinds.count("image"), kinds.count("question")) == (10, 4, 1)
    assert {name: task.cutoff for name, task in M2KR_TASKS.items() if task.cutoff != 5} == {
        "WIT": 10,
        "IGLUE": 1,
        "LLaVA": 1,
        "CC": None,
    }


def test_memory_stays_flat_in_the_size_of_the_files(tmp_path: Path) -> None:
    peaks = []
    for count in (100, 1_000):
        write_files(tmp_path, "MSMARCO", [row("MSMARCO", number) for number in range(count)])
        peaks.append(peak(open_m2kr(tmp_path, task="MSMARCO").questions))
    assert peaks[1] < 1.3 * peaks[0], peaks
