"""The vector index: ids and embeddings, saved with a manifest that is verified before anything is read."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .building import IndexBuilder
    from .checksums import FileRecord
    from .engine.engine_index import EngineIndex
    from .errors import IndexCorruptError, IndexLockedError, IndexMismatchError
    from .fingerprint import fingerprint_folder
    from .knowledge_index import KnowledgeIndex, SearchHit
    from .manifest import IndexManifest
    from .protocol import SearchableIndex
    from .search_kinds import SearchSettings

__all__ = [
    "EngineIndex",
    "FileRecord",
    "IndexBuilder",
    "IndexCorruptError",
    "IndexLockedError",
    "IndexManifest",
    "IndexMismatchError",
    "KnowledgeIndex",
    "SearchHit",
    "SearchSettings",
    "SearchableIndex",
    "fingerprint_folder",
]

_HOME = {
    "EngineIndex": "engine.engine_index",
    "FileRecord": "checksums",
    "IndexBuilder": "building",
    "IndexCorruptError": "errors",
    "IndexManifest": "manifest",
    "IndexLockedError": "errors",
    "IndexMismatchError": "errors",
    "SearchSettings": "search_kinds",
    "SearchableIndex": "protocol",
    "KnowledgeIndex": "knowledge_index",
    "SearchHit": "knowledge_index",
    "fingerprint_folder": "fingerprint",
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
