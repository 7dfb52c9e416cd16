"""Retrieval collections in JSON Lines and Parquet, with pictures, and what is judged and not there."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rablip.processing import ImageRef, KnowledgeItem, load_image
from rablip.processing.benchmarks import Benchmark
from rablip.processing.benchmarks.retrieval_collection import open_retrieval_collection
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.multimodalqa_folder import picture, write_lines

CORPUS = [
    {"_id": "d1", "title": "Harbor", "text": "It opened in 1889.", "metadata": {"url": "u"}},
    {"_id": "d2", "title": "", "text": "It is red."},
    {"_id": 3, "title": "Pier", "text": ""},
]
QUERIES = [
    {"_id": "q1", "text": "When did it open?", "metadata": {}},
    {"_id": "q2", "text": "Not judged in test?"},
    {"_id": "q3", "text": "What color?", "answers": ["red"]},
]
QRELS = "query-id\tcorpus-id\tscore\nq3\td2\t2\nq3\td1\t0\nq1\td1\t1\n"


def write_folder(folder: Path, corpus: list[Any] = CORPUS, queries: list[Any] = QUERIES, qrels: str = QRELS) -> Path:
    (folder / "qrels").mkdir(exist_ok=True)
    write_lines(folder / "corpus.jsonl", corpus)
    write_lines(folder / "queries.jsonl", queries)
    (folder / "qrels" / "test.tsv").write_text(qrels)
    return folder


def read(benchmark: Benchmark) -> tuple[list[str], list[str], list[Problem]]:
    problems: list[Problem] = []
    questions = [question.id for question in benchmark.questions(problems=problems)]
    return questions, [item.id for item in benchmark.knowledge(problems=problems)], problems


def test_a_collection(tmp_path: Path) -> None:
    folder = tmp_path / "harbors"
    folder.mkdir()
    benchmark = open_retrieval_collection(write_folder(folder), split="test")
    assert (benchmark.name, benchmark.split, benchmark.setting) == ("harbors", "test", "full")
    assert sorted(benchmark.files) == ["corpus", "qrels", "queries"]
    first, second = benchmark.questions()
    assert (first.id, first.question) == ("q1", "When did it open?")
    assert (first.positive_ids, first.negative_ids) == (("d1",), ())
    assert (second.id, second.positive_ids, second.negative_ids) == ("q3", ("d2",), ("d1",))
    assert second.metadata == {"grades": {"d2": 2, "d1": 0}} and second.answers == ("red",)
    items = list(benchmark.knowledge())
    assert items[0] == KnowledgeItem(id="d1", title="Harbor", text="It opened in 1889.", metadata={"url": "u"})
    assert [(item.id, item.title, item.text) for item in items[1:]] == [
        ("d2", None, "It is red."),
        ("3", "Pier", None),
    ]


@pytest.mark.parametrize("name", ["test.txt", "test.qrels", "test.trec"])
def test_judgements_in_the_form_of_trec(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path)
    (tmp_path / "qrels" / "test.tsv").unlink()
    (tmp_path / "qrels" / name).write_text("q1 0 d1 1\n")
    assert read(open_retrieval_collection(tmp_path, split="test"))[0] == ["q1"]


def test_compressed_files(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    assert read(open_retrieval_collection(tmp_path, split="test")) == (["q1", "q3"], ["d1", "d2", "3"], [])


def test_pictures_by_path(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(picture())
    (tmp_path.parent / "secret.png").write_bytes(picture())
    corpus = [
        {"_id": "d1", "text": "", "title": "", "image": "pictures/a.png"},
        {"_id": "d2", "text": "Both.", "image": "pictures/a.png"},
        {"_id": "d3", "text": "Gone.", "image": "pictures/b.png"},
        {"_id": "d4", "text": "Outside.", "image": "../secret.png"},
        {"_id": "d5", "text": "None.", "image": None},
    ]
    queries = [{"_id": "q1", "text": "Which?", "image": "pictures/a.png"}]
    write_folder(tmp_path, corpus, queries, "q1 0 d1 1\n")
    benchmark = open_retrieval_collection(tmp_path, split="test")
    (question,) = benchmark.questions()
    assert question.images == (ImageRef(path="pictures/a.png"),)
    problems: list[Problem] = []
    items = list(benchmark.knowledge(problems=problems))
    assert [(item.id, item.modality.value) for item in items] == [
        ("d1", "image"),
        ("d2", "image_text"),
        ("d5", "text"),
    ]
    assert load_image(items[0].image, root=benchmark.root).size == (8, 6)
    assert [problem.id for problem in problems] == ["line 3", "line 4"]
    assert problems[0].file == str(tmp_path / "pictures" / "b.png") and "out of the folder" in problems[1].cause
    without = open_retrieval_collection(tmp_path, split="test", pictures=False)
    assert [item.id for item in without.knowledge(problems=[])] == ["d2", "d3", "d4", "d5"]
    assert [question.images for question in without.questions()] == [()]


def write_parquet(folder: Path, **tables: list[dict[str, Any]]) -> Path:
    for name, rows in tables.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return folder


def test_the_parquet_form_with_pictures_as_bytes(tmp_path: Path) -> None:
    """The columns of the UMRB sets: id, text, image and modality; query-id, corpus-id and score."""
    empty = {"bytes": None, "path": None}
    corpus = [
        {"id": "d1", "text": "It opened in 1889.", "image": empty, "modality": "text"},
        {"id": "d2", "text": None, "image": {"bytes": picture(), "path": "a.png"}, "modality": "image"},
    ]
    query = [
        {"id": "q1", "text": "When?", "image": {"bytes": picture("blue"), "path": None}, "modality": "image,text"}
    ]
    qrels = [{"query-id": "q1", "corpus-id": "d1", "score": 1.0}, {"query-id": "q1", "corpus-id": "d2", "score": 0.0}]
    write_parquet(tmp_path, corpus=corpus, query=query, qrels=qrels)
    benchmark = open_retrieval_collection(tmp_path, split="test", name="umrb-harbors")
    (question,) = benchmark.questions()
    assert question.images == (ImageRef(data=picture("blue")),)
    assert (question.positive_ids, question.negative_ids, question.metadata) == (
        ("d1",),
        ("d2",),
        {"grades": {"d1": 1, "d2": 0}},
    )
    first, second = benchmark.knowledge()
    assert (first.image, second.image, second.modality.value) == (None, ImageRef(data=picture()), "image")
    with pytest.raises(FileNotFoundError, match="no judgements of the split 'train'"):
        open_retrieval_collection(tmp_path, split="train")


def test_numbered_parquet_files_in_folders(tmp_path: Path) -> None:
    for name, ids in (("corpus", ["d1", "d2"]), ("queries", ["q1"])):
        (tmp_path / name).mkdir()
        for number, row_id in enumerate(ids):
            file = tmp_path / name / f"{name}-{number:05d}-of-{len(ids):05d}.parquet"
            pq.write_table(pa.Table.from_pylist([{"_id": row_id, "text": "a text"}]), file)
    (tmp_path / "qrels").mkdir()
    write_parquet(tmp_path / "qrels", dev=[{"query-id": "q1", "corpus-id": "d2", "score": 1}])
    benchmark = open_retrieval_collection(tmp_path, split="dev")
    assert read(benchmark) == (["q1"], ["d1", "d2"], [])
    assert sorted(benchmark.files) == ["corpus 0", "corpus 1", "qrels", "queries"]
    (tmp_path / "corpus" / "corpus-00001-of-00002.parquet").unlink()
    with pytest.raises(ReaderError, match="1 of 2 files"):
        open_retrieval_collection(tmp_path, split="dev")


def test_what_is_judged_and_not_there_is_counted_once(tmp_path: Path) -> None:
    qrels = QRELS + "q9\td1\t1\nq1\td9\t1\nq3\td9\t1\n"
    questions, items, problems = read(open_retrieval_collection(write_folder(tmp_path, qrels=qrels), split="test"))
    assert (questions, items) == (["q1", "q3"], ["d1", "d2", "3"])
    places = [(problem.id, Path(problem.file).name) for problem in problems]
    assert places == [("q9", "queries.jsonl"), ("d9", "corpus.jsonl")]


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ({"_id": "d1", "text": "Again."}, "'d1' is that of an earlier row"),
        ({"_id": " ", "text": "a"}, "must be an id"),
        ({"text": "a"}, "must be an id"),
        ({"_id": "d7", "id": "d8", "text": "a"}, "two ids"),
        ({"_id": "d7", "text": ["a"]}, "must be text"),
        ({"_id": "d7", "titel": "a", "text": "a"}, "is it misspelled"),
        ({"_id": "d7", "text": "", "title": ""}, "is empty"),
        ({"_id": "d7", "text": "a", "image": 7}, "must be a picture"),
        ({"_id": "d7", "text": "a", "metadata": [1]}, "'metadata' must be an object"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, row: dict[str, Any], cause: str) -> None:
    write_folder(tmp_path, [*CORPUS, row])
    benchmark = open_retrieval_collection(tmp_path, split="test")
    problems: list[Problem] = []
    assert [item.id for item in benchmark.knowledge(problems=problems)] == ["d1", "d2", "3"]
    (problem,) = problems
    assert (problem.id, problem.file) == ("line 4", str(tmp_path / "corpus.jsonl")) and cause in problem.cause
    with pytest.raises(ReaderError, match=r"corpus\.jsonl: line 4"):
        list(benchmark.knowledge())


def test_other_fields_are_kept(tmp_path: Path) -> None:
    write_folder(tmp_path, [*CORPUS, {"_id": "d7", "text": "a", "year": 1889, "metadata": {"lang": "en"}}])
    *_, item = open_retrieval_collection(tmp_path, split="test").knowledge()
    assert item.metadata == {"year": 1889, "lang": "en"}


def test_missing_files_and_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        open_retrieval_collection(tmp_path / "none", split="test")
    with pytest.raises(FileNotFoundError, match=r"no file corpus\.jsonl, corpus\.jsonl\.gz, corpus\.parquet in"):
        open_retrieval_collection(tmp_path, split="test")
    write_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="split 'dev'.*There are: test"):
        open_retrieval_collection(tmp_path, split="dev")
    with pytest.raises(ValueError, match="no setting of a retrieval collection 'distractor'"):
        open_retrieval_collection(tmp_path, split="test", setting="distractor")
    (tmp_path / "qrels" / "test.tsv").write_text("q7 0 d1 1\n")
    with pytest.raises(ReaderError, match="no usable question"):
        list(open_retrieval_collection(tmp_path, split="test").questions(problems=[]))


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "corpus.jsonl").unlink()
    (tmp_path / "corpus.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ReaderError, match=r"corpus\.parquet: at its start: not a readable Parquet file"):
        list(open_retrieval_collection(tmp_path, split="test").knowledge())
