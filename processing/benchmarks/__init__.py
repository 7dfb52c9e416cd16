"""Readers of public benchmarks: their official files to questions and knowledge items, with nothing guessed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .benchmark import Benchmark
from .registry import BENCHMARKS, open_benchmark

if TYPE_CHECKING:
    from .datasets_io import load_knowledge, load_questions, stream_knowledge, stream_questions

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "load_knowledge",
    "load_questions",
    "open_benchmark",
    "stream_knowledge",
    "stream_questions",
]

_OF_DATASETS = ("load_knowledge", "load_questions", "stream_knowledge", "stream_questions")


def __getattr__(name: str) -> Any:
    """Imports what needs `datasets` on first use."""
    if name not in _OF_DATASETS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".datasets_io", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
