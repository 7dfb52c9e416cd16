"""MRAG-Bench: pictures as they are in the Parquet files, its own evidence per question, one picture for Incomplete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rablip.processing import Modality
from rablip.processing.benchmarks.mrag_bench import open_mrag_bench
from rablip.processing.readers_records import ReaderError
from tests.processing.benchmarks.benchmark_files import causes, items_of, questions_of, touch, write_parquet

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TEXTS = ("id", "aspect", "scenario", "question", "A", "B", "C", "D", "answer_choice", "answer", "image_type", "source")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in TEXTS),
        ("image", PICTURE),
        ("gt_images", pa.list_(PICTURE)),
        ("retrieved_images", pa.list_(PICTURE)),
    ]
)


def picture(text: str, path: str | None = None) -> dict[str, Any]:
    return {"bytes": text.encode(), "path": path}


def row(name: str = "7", **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "aspect": "perspective",
        "scenario": "Angle",
        "question": "Which bird is this?",
        "A": "owl",
        "B": "kite",
        "C": "jay",
        "D": "wren",
        "answer_choice": "B",
        "answer": "kite",
        "image_type": "animal",
        "source": "bird525",
        "image": picture(f"question {name}", "q.jpg"),
        "gt_images": [picture(f"gt {name} {number}") for number in range(5)],
        "retrieved_images": [picture(f"retrieved {name} {number}", "r.jpg") for number in range(5)],
    } | changes


def write_files(root: Path, *shards: list[dict[str, Any]], folder: str = "data") -> Path:
    for number, rows in enumerate(shards):
        # The release counts its files with six digits and numbers them with five.
        write_parquet(root / folder / f"test-{number:05d}-of-{len(shards):06d}.parquet", rows, SCHEMA)
    return root


@pytest.mark.parametrize("folder", ["data", "."])
def test_a_question_with_its_right_evidence(tmp_path: Path, folder: str) -> None:
    write_files(tmp_path, [row()], [row("8")], folder=folder)
    benchmark = open_mrag_bench(tmp_path)
    examples, problems = questions_of(benchmark)
    assert problems == [] and [example.id for example in examples] == ["7", "8"]
    example = examples[0]
    assert (example.question, example.answers, example.category) == ("Which bird is this?", ("kite",), "Angle")
    assert [image.data for image in example.images] == [b"question 7"]
    candidates = tuple(f"7/gt/{number}" for number in range(5))
    assert example.positive_ids == candidates
    assert example.metadata == {
        "choices": {"A": "owl", "B": "kite", "C": "jay", "D": "wren"},
        "answer_choice": "B",
        "scenario": "Angle",
        "candidate_ids": candidates,
        "aspect": "perspective",
        "image_type": "animal",
        "source": "bird525",
    }
    items, problems = items_of(benchmark)
    assert problems == [] and [item.id for item in items[:5]] == list(candidates) and len(items) == 10
    assert items[3].image is not None and items[3].image.data == b"gt 7 3"
    assert items[3].modality is Modality.IMAGE and items[3].metadata == {"question_id": "7"}
    assert (benchmark.split, benchmark.setting, sorted(benchmark.files)) == (
        "test",
        "gt",
        ["questions 0", "questions 1"],
    )


def test_retrieved_evidence_is_not_known_to_be_right(tmp_path: Path) -> None:
    write_files(tmp_path, [row()])
    benchmark = open_mrag_bench(tmp_path, setting="retrieved")
    (example,) = benchmark.questions()
    assert example.positive_ids == () and example.metadata["candidate_ids"][4] == "7/retrieved/4"
    assert [item.image.data for item in benchmark.knowledge() if item.image] == [
        f"retrieved 7 {number}".encode() for number in range(5)
    ]


@pytest.mark.parametrize("setting", ["gt", "retrieved"])
def test_of_incomplete_only_the_first_picture_is_used(tmp_path: Path, setting: str) -> None:
    write_files(tmp_path, [row(scenario="Incomplete"), row("8")])
    benchmark = open_mrag_bench(tmp_path, setting=setting)
    first, second = benchmark.questions()
    assert first.metadata["candidate_ids"] == (f"7/{setting}/0",) and len(second.metadata["candidate_ids"]) == 5
    assert [item.id for item in benchmark.knowledge()][:2] == [f"7/{setting}/0", f"8/{setting}/0"]


def test_nothing_is_read_that_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, [row()])
    asked: list[str] = []
    read = pq.ParquetFile.iter_batches

    def spy(self: pq.ParquetFile, *args: Any, **options: Any) -> Any:
        asked.extend(options["columns"])
        return read(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    list(open_mrag_bench(tmp_path, pictures=False).questions())
    assert not [column for column in asked if column.endswith(".bytes") or "retrieved" in column]
    assert "gt_images.list.element.path" in asked
    asked.clear()
    list(open_mrag_bench(tmp_path).knowledge())
    assert {column.split(".")[0] for column in asked} == {"id", "scenario", "gt_images"}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"answer_choice": "E"}, "answer_choice must be A, B, C or D, found 'E'"),
        ({"answer_choice": None}, "answer_choice must be A, B, C or D, found None"),
        ({"answer": None}, "'answer' must hold texts or numbers"),
        ({"B": None}, "'B' must hold texts or numbers"),
        ({"question": ""}, "'question' must be a text"),
        ({"scenario": None}, "'scenario' must be a text"),
        ({"image": None}, "'image' must be a picture"),
        ({"image": {"bytes": b"", "path": None}}, "neither bytes nor a path"),
        ({"image": {"bytes": None, "path": "/etc/passwd"}}, "leads out of the folder"),
        ({"image": {"bytes": None, "path": "none.jpg"}}, "has no none.jpg"),
        ({"gt_images": []}, "'gt_images' must be a list of pictures"),
        ({"gt_images": None}, "'gt_images' must be a list of pictures"),
        ({"id": None}, "'id' must be an id"),
    ],
)
def test_a_malformed_row_is_named_and_the_others_read(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    write_files(tmp_path, [row("6"), row(**changes), row("6"), row("8")])
    benchmark = open_mrag_bench(tmp_path)
    examples, problems = questions_of(benchmark)
    assert [example.id for example in examples] == ["6", "8"]
    assert [problem.id.split(" (")[0] for problem in problems] == ["row 2", "row 3"]
    assert cause in problems[0].cause and problems[1].cause == "its id appears twice"
    with pytest.raises(ReaderError, match="row 2"):
        list(benchmark.questions())


def test_evidence_that_is_missing_is_counted_one_by_one(tmp_path: Path) -> None:
    pictures = [picture("a"), {"bytes": None, "path": "there.jpg"}, {"bytes": None, "path": "gone.jpg"}, None]
    write_files(tmp_path, [row(gt_images=pictures), row()])
    touch(tmp_path / "there.jpg")
    items, problems = items_of(open_mrag_bench(tmp_path))
    assert [(item.id, item.image.path) for item in items if item.image] == [("7/gt/0", None), ("7/gt/1", "there.jpg")]
    shard = "test-00000-of-000001.parquet"
    assert [(place, name) for place, name, _ in causes(problems)] == [
        ("7/gt/2", "gone.jpg"),
        ("7/gt/3", shard),
        ("row 2", shard),
    ]


def test_files_that_are_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There are no files test-\*\.parquet"):
        open_mrag_bench(tmp_path)
    write_files(tmp_path, [row()], [row("8")], [row("9")])
    (tmp_path / "data" / "test-00001-of-000003.parquet").unlink()
    with pytest.raises(ReaderError, match="1 of 3 files of 'test' are missing, the first is number 1"):
        open_mrag_bench(tmp_path)
    write_files(tmp_path, [row()], [row("8")])
    with pytest.raises(ReaderError, match="of different downloads lie side by side"):
        open_mrag_bench(tmp_path)
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    (file,) = (write_files(tmp_path, [row()]) / "data").iterdir()
    data = file.read_bytes()
    file.write_bytes(data[:100])
    with pytest.raises(ReaderError, match="not a readable Parquet file"):
        list(open_mrag_bench(tmp_path).questions(problems=[]))
    place = data.index(b"question 7")
    file.write_bytes(data[: place - 30] + b"\xff" * 60 + data[place + 30 :])
    with pytest.raises(ReaderError, match="not a readable Parquet file"):
        list(open_mrag_bench(tmp_path).questions(problems=[]))
    write_parquet(file, [{"id": "1", "question": "What?"}])
    with pytest.raises(ReaderError, match=r"it has no column \['A', 'B', 'C', 'D', 'answer_choice'"):
        list(open_mrag_bench(tmp_path).questions(problems=[]))


def test_names_of_splits_and_settings(tmp_path: Path) -> None:
    write_files(tmp_path, [row()])
    with pytest.raises(ValueError, match="split of MRAG-Bench 'val'. Known: test"):
        open_mrag_bench(tmp_path, split="val")
    with pytest.raises(ValueError, match="setting of MRAG-Bench 'full'. Known: gt, retrieved"):
        open_mrag_bench(tmp_path, setting="full")
