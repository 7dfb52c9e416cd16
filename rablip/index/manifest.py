"""The manifest of an index: which model made it, in which form, and the hash of every file that belongs to it."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .checked_json import dump_checked, parse_checked, read_parsed
from .checksums import FileRecord
from .columns import make_schema
from .errors import IndexCorruptError, IndexMismatchError
from .files import write_text_atomically
from .search_kinds import SearchSettings
from .segments import SegmentRecord
from .verified_file import check_name

__all__ = ["FORMAT_VERSION", "MANIFEST_NAME", "IndexManifest"]

FORMAT_VERSION = 3
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class IndexManifest:
    """The description of an index.

    Args:
        model_id: the retriever: a Hub id, or the absolute path of a local folder.
        model_fingerprint: sha256 of its weights (an adapter is merged into them), config and processor; what decides
            whether a model fits.
        embedding_dim: dimension of the embeddings.
        rablip_version: the version that built the index.
        model_revision: commit of the Hub repository; None for a local folder.
        model_subfolder: the retriever's place in a bundle; None when `model_id` is the retriever itself.
        prompt_fingerprint: sha256 of the ids that the processor makes of sample items and questions, so that another
            version's wording of them is noticed; None where it is not known.
        encoding_dtype: what the model computed in: "float32", "bfloat16" or "float16"; None where it is not known.
        metric: how a score is made of two embeddings.
        normalized: whether embeddings have length 1.
        dtype: of the stored vectors.
        search: how they are searched; each segment has its own, resolved by its size.
        columns: column -> type ("string", "int64", "float64", "bool") of what searches can be filtered by.
        num_items: how many items there are.
        max_vectors: how many vectors an item may have; its score is the largest of theirs.
        segments: the parts of the index, in the order in which they were added.
        items_folders: the parts of the knowledge base, relative to the index folder, of an item in several of which
            the last counts; empty when it is kept elsewhere.
        files: every file of the index, relative to its folder, with size and hash.
        index_id: stays the same through all changes of an index.
        generation: counts its changes.
        created: when it was last changed, in UTC.
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
    prompt_fingerprint: str | None = None
    encoding_dtype: str | None = None
    metric: str = "inner_product"
    normalized: bool = True
    dtype: str = "float32"
    search: SearchSettings = SearchSettings()
    columns: Mapping[str, str] = field(default_factory=dict)
    num_items: int = 0
    max_vectors: int = 1
    segments: tuple[SegmentRecord, ...] = ()
    items_folders: tuple[str, ...] = ()
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    index_id: str = field(default_factory=lambda: IndexManifest.new_id())
    generation: int = 0
    created: str = ""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for name, least in (("embedding_dim", 1), ("max_vectors", 1), ("num_items", 0), ("generation", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
        for name, value in {"metric": "inner_product", "dtype": "float32"}.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} must be {value!r}, got {getattr(self, name)!r}.")
        make_schema(self.columns)

    @staticmethod
    def new_id() -> str:
        """An id that no other index has."""
        return secrets.token_hex(16)

    def to_json(self) -> str:
        """Return the manifest as JSON text that holds the hash of its own content."""
        return dump_checked(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> IndexManifest:
        """Read a manifest from JSON text.

        Raises:
            IndexCorruptError: when the text is no manifest, or was altered.
            IndexMismatchError: when it was written in another format version.
        """
        try:
            content, is_unaltered = parse_checked(text)
            version = content["format_version"]
        except (IndexCorruptError, KeyError) as error:
            raise IndexCorruptError(f"not an index manifest: {error!r}") from error
        if version != FORMAT_VERSION:
            raise IndexMismatchError(
                f"the index has format version {version!r}, this rablip reads {FORMAT_VERSION}: build it again or "
                f"use rablip {content.get('rablip_version', 'of that time')}."
            )
        if not is_unaltered:
            raise IndexCorruptError("the manifest's content does not match its checksum: it was altered")
        try:
            content["files"] = {name: FileRecord(**record) for name, record in content["files"].items()}
            content["search"] = SearchSettings(**content["search"])
            content["segments"] = tuple(
                SegmentRecord(**{**record, "search": SearchSettings(**record["search"])})
                for record in content["segments"]
            )
            content["items_folders"] = tuple(content["items_folders"])
            return cls(**content)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise IndexCorruptError(f"not an index manifest: {error}") from error

    def save(self, folder: Path) -> None:
        """Write the manifest into the index folder, as a whole or not at all."""
        write_text_atomically(folder / MANIFEST_NAME, self.to_json())

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
        return read_parsed(path, cls.from_json)

    def check_names(self, folder: Path) -> None:
        """Check that every file that the manifest names lies in the folder.

        Raises:
            IndexCorruptError: names the first that does not.
        """
        for name in (*self.files, *self.items_folders, *(segment.name for segment in self.segments)):
            check_name(folder, name)

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
