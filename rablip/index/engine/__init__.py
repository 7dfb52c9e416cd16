"""The index over LanceDB: the same interface where a folder, an object store or a cluster holds the vectors."""

from __future__ import annotations

__all__: list[str] = []
