"""Benchmarks as Hugging Face datasets: in memory, in one Arrow file of your choice, or as a stream.

Columns are those of `dataset_rows`. Nothing is decoded, nothing is downloaded, and nothing goes to the cache of
`datasets`, which knows a generator by its code and would give old rows for changed files. `datasets` is imported when
one of these functions is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..readers_records import Problem
from .benchmark import Benchmark
from .dataset_rows import encode_item, encode_question

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, Features, IterableDataset

__all__ = ["load_knowledge", "load_questions", "make_features", "stream_knowledge", "stream_questions"]

_BATCH_ROWS = 64
_Rows = Callable[[], Iterator[dict[str, Any]]]


def make_features(kind: str) -> Features:
    """Return the typed columns of "questions" or "knowledge".

    Raises:
        ValueError: it is neither.

    Example:
        >>> sorted(make_features("knowledge"))
        ['caption', 'id', 'image', 'metadata', 'source', 'text', 'title']
    """
    from datasets import Features, Image, List, Value

    text, texts, picture = Value("string"), List(Value("string")), Image(decode=False)
    if kind == "questions":
        columns = {"id": text, "question": text, "images": List(picture), "answers": texts, "positive_ids": texts}
        return Features(columns | {"negative_ids": texts, "category": text, "metadata": text})
    if kind == "knowledge":
        names = ("id", "text", "title", "caption", "source")
        return Features(dict.fromkeys(names, text) | {"image": picture, "metadata": text})
    raise ValueError(f"kind must be 'questions' or 'knowledge', got {kind!r}.")


def load_questions(
    benchmark: Benchmark, *, file: str | Path | None = None, problems: list[Problem] | None = None
) -> Dataset:
    """Read all questions into a dataset; `decode_question` turns a row back.

    Args:
        benchmark: the benchmark.
        file: an Arrow file to write and to read rows from; must not exist. None keeps all rows in memory.
        problems: where rows that cannot be used are reported; None raises at the first.

    Raises:
        FileExistsError: the file exists: old rows are never taken for new ones.
        ReaderError: a file of the benchmark is malformed.
        ValueError: a picture lies outside the root, or metadata cannot be written as JSON.

    Example:
        >>> from rablip.processing import QuestionExample
        >>> from rablip.processing.benchmarks.dataset_rows import decode_question
        >>> asked = QuestionExample(id="q1", question="When?", answers=("1889",))
        >>> benchmark = Benchmark(name="mine", split="test", setting="full", root=Path("."), files={},
        ...                       read_questions=lambda problems: iter([asked]))
        >>> dataset = load_questions(benchmark)
        >>> dataset["question"][0], decode_question(dataset[0], root=benchmark.root) == asked
        ('When?', True)
    """
    return _load(_question_rows(benchmark, problems), "questions", file)


def load_knowledge(
    benchmark: Benchmark, *, file: str | Path | None = None, problems: list[Problem] | None = None
) -> Dataset:
    """Read all knowledge items into a dataset; `decode_item` turns a row back. See `load_questions`.

    Give a `file` where pictures come as bytes and are many: in memory they are all held.
    """
    return _load(_knowledge_rows(benchmark, problems), "knowledge", file)


def stream_questions(benchmark: Benchmark, *, problems: list[Problem] | None = None) -> IterableDataset:
    """Give the questions as a dataset that reads the files anew, row by row, each time it is iterated.

    Args:
        benchmark: the benchmark.
        problems: where rows that cannot be used are reported, in every pass; None raises at the first.
    """
    return _stream(_question_rows(benchmark, problems), "questions")


def stream_knowledge(benchmark: Benchmark, *, problems: list[Problem] | None = None) -> IterableDataset:
    """Give the knowledge items as a stream; see `stream_questions`."""
    return _stream(_knowledge_rows(benchmark, problems), "knowledge")


def _question_rows(benchmark: Benchmark, problems: list[Problem] | None) -> _Rows:
    def rows() -> Iterator[dict[str, Any]]:
        for example in benchmark.questions(problems=problems):
            yield encode_question(example, root=benchmark.root)

    return rows


def _knowledge_rows(benchmark: Benchmark, problems: list[Problem] | None) -> _Rows:
    def rows() -> Iterator[dict[str, Any]]:
        for item in benchmark.knowledge(problems=problems):
            yield encode_item(item, root=benchmark.root)

    return rows


def _load(rows: _Rows, kind: str, file: str | Path | None) -> Dataset:
    import pyarrow as pa
    from datasets import Dataset
    from datasets.fingerprint import generate_random_fingerprint
    from datasets.table import InMemoryTable

    schema = make_features(kind).arrow_schema
    if file is not None:
        path = Path(file)
        _write(_batches(rows(), schema), schema, path)
        return Dataset.from_file(str(path))
    table = pa.Table.from_batches(_batches(rows(), schema), schema=schema)
    # A random name: by default all rows would be hashed.
    return Dataset(InMemoryTable(table), fingerprint=generate_random_fingerprint())


def _batches(rows: Iterator[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    while held := list(islice(rows, _BATCH_ROWS)):
        yield pa.RecordBatch.from_pylist(held, schema=schema)


def _write(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> None:
    """Through a file beside it, so that what has the name is complete."""
    import pyarrow as pa

    if path.exists():
        raise FileExistsError(f"{path} exists. Delete it, or give another file: rows in it may be old.")
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with pa.OSFile(str(beside), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _stream(rows: _Rows, kind: str) -> IterableDataset:
    from datasets import DatasetInfo, IterableDataset
    from datasets.iterable_dataset import ExamplesIterable

    # `IterableDataset.from_generator` would pickle the benchmark to name it, and leave a lock in the cache.
    return IterableDataset(
        ExamplesIterable(lambda: enumerate(rows()), {}), info=DatasetInfo(features=make_features(kind))
    )
