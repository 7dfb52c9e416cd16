"""The files of a dense index, written under names of their own content and read with every count checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import IndexCorruptError
from .files import hash_file, write_atomically
from .manifest import IndexManifest

__all__ = ["check_ids", "import_faiss", "read_ids", "read_vectors", "write_ids", "write_vectors"]

_FILE_OVERHEAD = 4096  # bytes of a FAISS file beside vectors and ids


def import_faiss() -> Any:
    """Return the faiss module, imported on first use.

    Raises:
        ImportError: when it is missing or broken; says how to install it.

    Example:
        >>> hasattr(import_faiss(), "IndexFlatIP")
        True
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            f"The index needs FAISS, which cannot be imported ({error}): pip install faiss-cpu"
        ) from error
    return faiss


def check_ids(ids: Sequence[str]) -> list[str]:
    """Return ids as a list.

    Raises:
        TypeError: when `ids` is one text, or an id is no text.
        ValueError: when an id is blank.

    Example:
        >>> check_ids(("a", "b"))
        ['a', 'b']
    """
    if isinstance(ids, str):
        raise TypeError(f"ids must be a list of texts, got the one text {ids!r}. Pass [{ids!r}].")
    names = list(ids)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"ids must be texts, got {type(name).__name__} ({name!r}). Pass str(id).")
        if not name.strip():
            raise ValueError(f"ids must not be blank, got {name!r}.")
    return names


def write_vectors(folder: Path, vectors: Any) -> Path:
    """Write a FAISS index as `vectors-<hash>.faiss` and return its path."""
    return _write_named(folder, "vectors", ".faiss", lambda path: import_faiss().write_index(vectors, str(path)))


def write_ids(folder: Path, internal_ids: Mapping[str, range], next_id: int) -> Path:
    """Write the table of ids as `ids-<hash>.json` and return its path."""
    content = {
        "next_internal_id": next_id,
        "ids": list(internal_ids),
        "internal_ids": [numbers.start for numbers in internal_ids.values()],
        "num_vectors": [len(numbers) for numbers in internal_ids.values()],
    }

    def write(path: Path) -> None:
        path.write_text(json.dumps(content), encoding="utf-8")

    return _write_named(folder, "ids", ".json", write)


def read_vectors(folder: Path, manifest: IndexManifest) -> Any:
    """Read the vectors that the manifest names; call `manifest.verify_files` before.

    Raises:
        IndexCorruptError: when the file is no exact inner-product index of the manifest's dimension and size.
    """
    faiss = import_faiss()
    path = _named_file(manifest, folder, "vectors-")
    most = manifest.num_items * manifest.max_vectors
    limit = most * (4 * manifest.embedding_dim + 8) + _FILE_OVERHEAD
    if path.stat().st_size > limit:
        raise IndexCorruptError(f"{path} is larger than {most} vectors can be ({limit} bytes).")
    try:
        vectors = faiss.read_index(str(path))
    except RuntimeError as error:
        raise IndexCorruptError(f"{path} cannot be read by FAISS: {error}") from error
    inner = faiss.downcast_index(vectors.index) if isinstance(vectors, faiss.IndexIDMap2) else None
    if not isinstance(inner, faiss.IndexFlatIP) or vectors.d != manifest.embedding_dim:
        raise IndexCorruptError(
            f"{path} holds a {type(inner or vectors).__name__} of dimension {vectors.d}, the manifest says exact "
            f"inner product of dimension {manifest.embedding_dim}."
        )
    return vectors


def read_ids(folder: Path, manifest: IndexManifest) -> tuple[dict[str, range], int]:
    """Read the table of ids that the manifest names: id -> internal ids of its vectors, and the next internal id.

    Raises:
        IndexCorruptError: when the file is no such table, or has an id twice.
    """
    path = _named_file(manifest, folder, "ids-")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        ids, internal, next_id = content["ids"], content["internal_ids"], int(content["next_internal_id"])
        counts = content["num_vectors"]
        numbers = [range(int(first), int(first) + int(count)) for first, count in zip(internal, counts, strict=True)]
        table = dict(zip(check_ids(ids), numbers, strict=True))
    except (ValueError, KeyError, TypeError) as error:
        raise IndexCorruptError(f"{path} is no list of ids: {error}") from error
    if len(table) != len(ids) or max((last.stop for last in numbers), default=0) > next_id:
        raise IndexCorruptError(f"{path} has an id twice, or an internal id at or beyond the next one ({next_id}).")
    if not all(1 <= len(each) <= manifest.max_vectors for each in numbers):
        raise IndexCorruptError(f"{path} has an id with no vector, or with more than {manifest.max_vectors}.")
    return table, next_id


def _write_named(folder: Path, stem: str, suffix: str, write: Callable[[Path], None]) -> Path:
    """Write a file whose name holds its hash, so that it never replaces a file that the old manifest names."""
    temporary = folder / f"{stem}-new{suffix}"
    try:
        write_atomically(temporary, write)
        path = folder / f"{stem}-{hash_file(temporary)[:16]}{suffix}"
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _named_file(manifest: IndexManifest, folder: Path, prefix: str) -> Path:
    names = [name for name in manifest.files if name.startswith(prefix) and "/" not in name]
    if len(names) != 1:
        raise IndexCorruptError(f"{folder}: the manifest names {len(names)} files {prefix}*, expected one.")
    return folder / names[0]
