"""Evaluation on public benchmarks: from official files and a model to official numbers, predictions and a page."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison import RunComparison, compare_runs
    from .comparison_paging import write_comparison
    from .conditions import CONDITIONS
    from .evaluation import evaluate_benchmark
    from .prediction import JudgedItem, Prediction
    from .results import EvaluationResults
    from .store import RunMismatchError

__all__ = [
    "CONDITIONS",
    "EvaluationResults",
    "JudgedItem",
    "Prediction",
    "RunComparison",
    "RunMismatchError",
    "compare_runs",
    "evaluate_benchmark",
    "write_comparison",
]

_HOME = {
    "CONDITIONS": "conditions",
    "EvaluationResults": "results",
    "JudgedItem": "prediction",
    "Prediction": "prediction",
    "RunComparison": "comparison",
    "RunMismatchError": "store",
    "compare_runs": "comparison",
    "evaluate_benchmark": "evaluation",
    "write_comparison": "comparison_paging",
}


def __getattr__(name: str) -> Any:
    """Imports the module that holds `name` on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
