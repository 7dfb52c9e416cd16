"""The manifest of an index: which model made it, in which form, and the hash of every file that belongs to it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import IndexCorruptError, IndexMismatchError
from .files import hash_file, write_atomically

__all__ = ["FORMAT_VERSION", "MANIFEST_NAME", "FileRecord", "IndexManifest"]

FORMAT_VERSION = 2
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class FileRecord:
    """What a file must be: its size in bytes and its sha256.

    Example:
        >>> FileRecord(num_bytes=0, sha256="e3b0").num_bytes
        0
    """

    num_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """Measure a file."""
        return cls(num_bytes=path.stat().st_size, sha256=hash_file(path))


@dataclass(frozen=True, kw_only=True)
class IndexManifest:
    """The description of an index.

    Args:
        model_id: the retriever: a Hub id, or the absolute path of a local folder.
        model_fingerprint: sha256 of its weights, config and processor; what decides whether a model fits.
        embedding_dim: dimension of the embeddings.
        rablip_version: the version that built the index.
        model_revision: commit of the Hub repository; None for a local folder.
        model_subfolder: the retriever's place in a bundle; None when `model_id` is the retriever itself.
        metric: how a score is made of two embeddings.
        normalized: whether embeddings have length 1.
        dtype: of the stored vectors.
        kind: how the vectors are searched; "exact" is the only one of this format version.
        num_items: how many items there are.
        max_vectors: how many vectors an item may have; its score is the largest of theirs.
        items_folder: the knowledge base, relative to the index folder; None when it is kept elsewhere.
        files: every file of the index, relative to its folder, with size and hash.
        created: when it was saved, in UTC.
        format_version: of this file and the ones it names.

    Raises:
        ValueError: when a field is out of its range.

    Example:
        >>> manifest = IndexManifest(model_id="tower", model_fingerprint="ab12", embedding_dim=64)
        >>> IndexManifest.from_json(manifest.to_json()) == manifest
        True
    """

    model_id: str
    model_fingerprint: str
    embedding_dim: int
    rablip_version: str = ""
    model_revision: str | None = None
    model_subfolder: str | None = None
    metric: str = "inner_product"
    normalized: bool = True
    dtype: str = "float32"
    kind: str = "exact"
    num_items: int = 0
    max_vectors: int = 1
    items_folder: str | None = None
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    created: str = ""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if isinstance(self.embedding_dim, bool) or not isinstance(self.embedding_dim, int) or self.embedding_dim < 1:
            raise ValueError(f"embedding_dim must be a whole number of at least 1, got {self.embedding_dim!r}.")
        if isinstance(self.max_vectors, bool) or not isinstance(self.max_vectors, int) or self.max_vectors < 1:
            raise ValueError(f"max_vectors must be a whole number of at least 1, got {self.max_vectors!r}.")
        if isinstance(self.num_items, bool) or not isinstance(self.num_items, int) or self.num_items < 0:
            raise ValueError(f"num_items must be a whole number of at least 0, got {self.num_items!r}.")
        supported = {"metric": "inner_product", "dtype": "float32", "kind": "exact"}
        for name, value in supported.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} must be {value!r}, got {getattr(self, name)!r}.")

    def to_json(self) -> str:
        """Return the manifest as JSON text that holds the hash of its own content."""
        content = dataclasses.asdict(self)
        return _dump({**content, "checksum": _checksum(content)})

    @classmethod
    def from_json(cls, text: str) -> IndexManifest:
        """Read a manifest from JSON text.

        Raises:
            IndexCorruptError: when the text is no manifest, or was altered.
            IndexMismatchError: when it was written in another format version.
        """
        try:
            content = json.loads(text)
            unaltered = _dump(content) == text  # also notices what JSON does not mind: white space, doubled fields
            checksum = content.pop("checksum")
            version = content["format_version"]
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise IndexCorruptError(f"not an index manifest: {error!r}") from error
        if version != FORMAT_VERSION:
            raise IndexMismatchError(
                f"the index has format version {version!r}, this rablip reads {FORMAT_VERSION}: build it again or "
                f"use rablip {content.get('rablip_version', 'of that time')}."
            )
        if not unaltered or _checksum(content) != checksum:
            raise IndexCorruptError("the manifest's content does not match its checksum: it was altered")
        try:
            files = {name: FileRecord(**record) for name, record in content.pop("files").items()}
            return cls(**content, files=files)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise IndexCorruptError(f"not an index manifest: {error}") from error

    def save(self, folder: Path) -> None:
        """Write the manifest into the index folder, as a whole or not at all."""
        text = self.to_json()

        def write(temporary: Path) -> None:
            temporary.write_text(text, encoding="utf-8")

        write_atomically(folder / MANIFEST_NAME, write)

    @classmethod
    def load(cls, folder: Path) -> IndexManifest:
        """Read the manifest of an index folder.

        Raises:
            FileNotFoundError: when the folder has no manifest: it is no index, or its build did not end.
            IndexCorruptError: when the manifest is damaged.
            IndexMismatchError: when it was written in another format version.
        """
        path = folder / MANIFEST_NAME
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no {path}: {folder} is not an index, or its build did not end. Build it: rablip index "
                "build SOURCE --model M --out DIR."
            )
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (IndexCorruptError, IndexMismatchError) as error:
            raise type(error)(f"{path}: {error}") from error
        except UnicodeDecodeError as error:
            raise IndexCorruptError(f"{path}: not UTF-8: {error}") from error

    def verify_files(self, folder: Path) -> None:
        """Check size and hash of every file before any is opened.

        Raises:
            IndexCorruptError: names the first file that is missing or differs, with both values.
        """
        for name, record in self.files.items():
            path = folder / name
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise IndexCorruptError(f"{folder}: the manifest names a file outside the index: {name!r}")
            if not path.is_file():
                raise IndexCorruptError(f"{path} is missing. Build the index again or restore the file.")
            num_bytes = path.stat().st_size
            if num_bytes != record.num_bytes:
                raise IndexCorruptError(
                    f"{path} has {num_bytes} bytes, the manifest says {record.num_bytes}: it is truncated or altered. "
                    "Build the index again or restore the file."
                )
            found = hash_file(path)
            if found != record.sha256:
                raise IndexCorruptError(
                    f"{path} has sha256 {found}, the manifest says {record.sha256}: it is altered. Build the index "
                    "again or restore the file."
                )

    def check(self, expected: Mapping[str, Any]) -> None:
        """Compare fields with the values that the caller needs.

        Args:
            expected: field name -> value, for example {"model_fingerprint": "ab12", "embedding_dim": 64}.

        Raises:
            IndexMismatchError: lists every field that differs, with both values.
            ValueError: when a name is no field of the manifest.
        """
        names = [item.name for item in dataclasses.fields(self)]
        unknown = sorted(set(expected) - set(names))
        if unknown:
            raise ValueError(f"expected has unknown fields {unknown}; the fields are {', '.join(names)}.")
        differing = [
            f"{name}: the index has {getattr(self, name)!r}, the model here {value!r}"
            for name, value in expected.items()
            if getattr(self, name) != value
        ]
        if differing:
            raise IndexMismatchError(
                f"This index was built by another model ({self.model_id}). {'; '.join(differing)}. Use that model, "
                "or build the index again with this one."
            )


def _dump(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
