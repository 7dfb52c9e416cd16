"""rablip: multimodal retrieval-augmented question answering. The public names, loaded when they are used."""

from __future__ import annotations

import importlib as _importlib
import os as _os
from typing import Any

__version__ = "0.1.0"

# In a source checkout that is not installed, configuration/, processing/ and modeling_rablip/ lie beside this folder.
_here = _os.path.dirname(_os.path.abspath(__file__))
if not _os.path.isdir(_os.path.join(_here, "configuration")) and _os.path.isfile(
    _os.path.join(_here, "..", "setup.py")
):
    __path__.append(_os.path.dirname(_here))

_EXPORTS = {
    "Answer": "answering.types",
    "AnswerSettings": "answering.types",
    "ImageRef": "processing.knowledge_rablip",
    "KnowledgeBase": "knowledge_base",
    "KnowledgeIndex": "index.knowledge_index",
    "KnowledgeItem": "processing.knowledge_rablip",
    "QuestionExample": "processing.knowledge_rablip",
    "RablipAnswerer": "answering.answerer",
    "RablipConfig": "configuration.configuration_rablip",
    "RablipForConditionalGeneration": "modeling_rablip",
    "RablipProcessor": "processing.processing_rablip",
    "RablipReranker": "modeling_rablip",
    "RablipRerankerConfig": "configuration.configuration_rablip",
    "RablipRetriever": "modeling_rablip",
    "RablipRetrieverConfig": "configuration.configuration_rablip",
    "RablipRetrieverProcessor": "processing.processing_rablip",
    "build_index": "indexing",
    "open_index": "indexing",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'rablip' has no attribute {name!r}")
    value = getattr(_importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
