"""Evaluation: baselines that look at no picture, controls, and the whole run on the world."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .baselines import Bm25Ranker, RandomRanker, TfidfRanker
    from .controls import derangement, shuffle_pictures, shuffle_question_pictures, withhold_pictures
    from .table import print_report, render_report
    from .thresholds import FittedThresholds, fit_thresholds
    from .world_evaluation import evaluate_world
    from .world_report import WorldReport

_MODULES: dict[str, tuple[str, ...]] = {
    "baselines": ("Bm25Ranker", "RandomRanker", "TfidfRanker"),
    "controls": ("derangement", "shuffle_pictures", "shuffle_question_pictures", "withhold_pictures"),
    "table": ("print_report", "render_report"),
    "thresholds": ("FittedThresholds", "fit_thresholds"),
    "world_evaluation": ("evaluate_world",),
    "world_report": ("WorldReport",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Bm25Ranker",
    "FittedThresholds",
    "RandomRanker",
    "TfidfRanker",
    "WorldReport",
    "derangement",
    "evaluate_world",
    "fit_thresholds",
    "print_report",
    "render_report",
    "shuffle_pictures",
    "shuffle_question_pictures",
    "withhold_pictures",
]


def __getattr__(name: str) -> Any:
    """Imports the module that holds `name` on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
