"""From knowledge items to an index on disk: building it, adding, deleting, joining and compacting, opening it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..encoding import encode_knowledge
    from ..retriever_source import fingerprint_model
    from .building import BuildReport, build_index, index_knowledge
    from .editing import add_knowledge, compact_knowledge, delete_knowledge
    from .engine import export_index, open_engine
    from .merging import merge_indexes
    from .opening import open_index
    from .verifying import LexicalStats, measure_knowledge, verify_knowledge

__all__ = [
    "BuildReport",
    "LexicalStats",
    "add_knowledge",
    "build_index",
    "compact_knowledge",
    "delete_knowledge",
    "encode_knowledge",
    "export_index",
    "fingerprint_model",
    "index_knowledge",
    "measure_knowledge",
    "merge_indexes",
    "open_engine",
    "open_index",
    "verify_knowledge",
]

_HOME = {
    "BuildReport": ".building",
    "LexicalStats": ".verifying",
    "add_knowledge": ".editing",
    "build_index": ".building",
    "compact_knowledge": ".editing",
    "delete_knowledge": ".editing",
    "encode_knowledge": "..encoding",
    "export_index": ".engine",
    "fingerprint_model": "..retriever_source",
    "index_knowledge": ".building",
    "measure_knowledge": ".verifying",
    "merge_indexes": ".merging",
    "open_engine": ".engine",
    "open_index": ".opening",
    "verify_knowledge": ".verifying",
}


def __getattr__(name: str) -> Any:
    """Imports the module that holds `name` on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
