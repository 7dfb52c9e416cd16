"""Tiny files in the forms of public benchmarks, of the tests' own making, and what the tests measure on them."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rablip.processing.benchmarks.benchmark import Benchmark
from rablip.processing.knowledge_rablip import KnowledgeItem, QuestionExample
from rablip.processing.readers_records import Problem

__all__ = ["causes", "items_of", "peak", "questions_of", "touch", "write_json", "write_lines", "write_parquet"]


def write_json(path: Path, value: Any, *, bom: bool = False, crlf: bool = False) -> Path:
    """One JSON value in a file, with the oddities of files that have been through other tools."""
    text = json.dumps(value, indent=1 if crlf else None)
    data = (text.replace("\n", "\r\n") if crlf else text).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + data)
    return path


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """One JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema | None = None) -> Path:
    """A table of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)
    return path


def touch(*paths: Path) -> None:
    """Files that stand for pictures: readers look whether they are there and never open them."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not decoded")


def questions_of(benchmark: Benchmark) -> tuple[list[QuestionExample], list[Problem]]:
    """All questions, and what could not be used."""
    problems: list[Problem] = []
    return list(benchmark.questions(problems=problems)), problems


def items_of(benchmark: Benchmark) -> tuple[list[KnowledgeItem], list[Problem]]:
    """All knowledge items, and what could not be used."""
    problems: list[Problem] = []
    return list(benchmark.knowledge(problems=problems)), problems


def causes(problems: Iterable[Problem]) -> list[tuple[str, str, str]]:
    """Problems as tuples, with the name of the file in place of its path."""
    return [(problem.id, Path(problem.file).name, problem.cause) for problem in problems]


def peak(read: Callable[[], Iterable[Any]]) -> int:
    """The most bytes that Python held while something was read, one thing at a time, without its garbage collector."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in read():
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.enable()
