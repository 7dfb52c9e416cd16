"""rablip: multimodal retrieval-augmented question answering. The public names, loaded when they are used."""

from __future__ import annotations

import importlib as _importlib
import os as _os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# In a source checkout that is not installed, configuration, processing and modeling_rablip lie beside this folder.
_here = _os.path.dirname(_os.path.abspath(__file__))
_is_checkout = _os.path.isfile(_os.path.join(_here, "..", "setup.py"))
if _is_checkout and not _os.path.isdir(_os.path.join(_here, "configuration")):
    __path__.append(_os.path.dirname(_here))

from ._registration import install as _install  # noqa: E402  (needs nothing but the standard library)

if TYPE_CHECKING:
    from .answering import AbstainReason, Answer, AnswerSettings, Candidate, RablipAnswerer
    from .configuration import RablipConfig, RablipRerankerConfig, RablipRetrieverConfig
    from .index import IndexCorruptError, IndexMismatchError, KnowledgeIndex
    from .indexing import build_index, open_index
    from .knowledge_base import KnowledgeBase
    from .modeling_rablip import RablipForConditionalGeneration, RablipReranker, RablipRetriever
    from .processing import (
        ImageError,
        ImageRef,
        KnowledgeItem,
        Modality,
        QuestionExample,
        RablipProcessor,
        RablipRetrieverProcessor,
    )

__all__ = [
    "AbstainReason",
    "Answer",
    "AnswerSettings",
    "Candidate",
    "ImageError",
    "ImageRef",
    "IndexCorruptError",
    "IndexMismatchError",
    "KnowledgeBase",
    "KnowledgeIndex",
    "KnowledgeItem",
    "Modality",
    "QuestionExample",
    "RablipAnswerer",
    "RablipConfig",
    "RablipForConditionalGeneration",
    "RablipProcessor",
    "RablipReranker",
    "RablipRerankerConfig",
    "RablipRetriever",
    "RablipRetrieverConfig",
    "RablipRetrieverProcessor",
    "build_index",
    "open_index",
]

_MODULES: dict[str, tuple[str, ...]] = {
    "answering": ("AbstainReason", "Answer", "AnswerSettings", "Candidate", "RablipAnswerer"),
    "configuration": ("RablipConfig", "RablipRerankerConfig", "RablipRetrieverConfig"),
    "index": ("IndexCorruptError", "IndexMismatchError", "KnowledgeIndex"),
    "indexing": ("build_index", "open_index"),
    "knowledge_base": ("KnowledgeBase",),
    "modeling_rablip": ("RablipForConditionalGeneration", "RablipReranker", "RablipRetriever"),
    "processing": (
        "ImageError",
        "ImageRef",
        "KnowledgeItem",
        "Modality",
        "QuestionExample",
        "RablipProcessor",
        "RablipRetrieverProcessor",
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

_install()


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'rablip' has no attribute {name!r}")
    value = getattr(_importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
