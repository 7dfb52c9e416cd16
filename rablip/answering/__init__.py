"""Answering: retrieve, re-rank, select and generate, each usable alone, and the types of an answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answerer import RablipAnswerer
    from .candidate_search import CandidateSearch
    from .loading import load_parts
    from .numerics import NonFiniteLogitsError
    from .retrieving import fit_scales
    from .types import AbstainReason, Answer, AnswerSettings, Candidate, EvidenceRelevance, Selection

__all__ = [
    "AbstainReason",
    "Answer",
    "AnswerSettings",
    "Candidate",
    "CandidateSearch",
    "EvidenceRelevance",
    "NonFiniteLogitsError",
    "RablipAnswerer",
    "Selection",
    "fit_scales",
    "load_parts",
]

_TYPES = ("AbstainReason", "Answer", "AnswerSettings", "Candidate", "EvidenceRelevance", "Selection")
_HOME = {
    "CandidateSearch": "candidate_search",
    "NonFiniteLogitsError": "numerics",
    "RablipAnswerer": "answerer",
    "fit_scales": "retrieving",
    "load_parts": "loading",
    **dict.fromkeys(_TYPES, "types"),
}


def __getattr__(name: str) -> Any:
    """Imports the module that holds `name` on first use, so that answers can be read without loading torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
