"""Embeddings on disk in shards of a fixed number of items, so that encoding can be shared, killed and gone on with."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..index.files import write_atomically, write_text_atomically
from ..processing.images_rablip import read_image_data
from ..processing.knowledge_rablip import KnowledgeItem
from .encoder import KnowledgeEncoder, show_progress

if TYPE_CHECKING:
    from ..knowledge_base import KnowledgeBase

__all__ = ["SHARDS_NAME", "EncodingShards"]

logger = logging.getLogger(__name__)
Check = Callable[[Sequence[KnowledgeItem], np.ndarray], None]

# Inside the folder of an index while it is built.
SHARDS_NAME = ".encoding"
_PLAN_NAME = "shards.json"
_FORMAT_VERSION = 1
_SMALLEST, _LARGEST, _AIMED_SHARDS = 256, 4096, 64


class EncodingShards:
    """The embeddings of a knowledge base while it is encoded, by one process or several.

    Shard *i* holds `shard_size` items from item `i * shard_size` on; process *r* of *n* encodes the shards *r*,
    *r* + *n* and so on. A shard appears as a whole, and tells of which items it is by a hash of their texts and
    pictures, so that whoever goes on, with however many processes, encodes what is missing or has changed and nothing
    else. The batches of a shard do not depend on who encodes it.

    Args:
        folder: of the shards; on a disk that all processes see.
        key: what makes the embeddings: shards of another key are removed by `prepare`.
        num_items: how many items there are.
        shard_size: items of a shard; None for a number by `num_items`, the same in every process.

    Raises:
        ValueError: when `shard_size` is below 1.
    """

    def __init__(self, folder: Path, key: str, num_items: int, *, shard_size: int | None = None) -> None:
        if shard_size is not None and (isinstance(shard_size, bool) or shard_size < 1):
            raise ValueError(f"shard_size must be a whole number of at least 1, got {shard_size!r}.")
        self.folder = folder
        self.num_items = num_items
        self.shard_size = shard_size or min(max(_SMALLEST, -(-num_items // _AIMED_SHARDS)), _LARGEST)
        self._plan = {"format_version": _FORMAT_VERSION, "key": key, "shard_size": self.shard_size}

    @property
    def num_shards(self) -> int:
        """How many shards all items make."""
        return -(-self.num_items // self.shard_size)

    def prepare(self, *, item_bytes: int) -> None:
        """Make the folder, or keep it where the same model has left shards of the same size in it; by one process.

        Args:
            item_bytes: what the embeddings of an item take.

        Raises:
            OSError: when the disk has no room for the shards that are missing and for the index.
        """
        place = self.folder / _PLAN_NAME
        if self.folder.exists() and _read_plan(place) != self._plan:
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        num_written = sum(path.stat().st_size for path in self.folder.glob("shard-*"))
        num_needed = 2 * self.num_items * item_bytes - num_written
        num_free = shutil.disk_usage(self.folder).free
        if num_free < num_needed:
            raise OSError(
                errno.ENOSPC,
                f"The embeddings of {self.num_items} items need about {num_needed} bytes in {self.folder.parent}, and "
                f"{num_free} are free. Nothing was encoded",
            )
        for left_over in self.folder.glob(".*.tmp"):
            left_over.unlink(missing_ok=True)
        write_text_atomically(place, json.dumps(self._plan, indent=2))

    def encode(
        self,
        encoder: KnowledgeEncoder,
        knowledge_base: KnowledgeBase,
        check: Check,
        *,
        rank: int = 0,
        num_processes: int = 1,
        progress: bool = True,
    ) -> None:
        """Encode the shards of one process that are not there yet.

        Args:
            encoder: with the model.
            knowledge_base: the items; the same in every process.
            check: called with items and their embeddings; raises where the index will not take them.
            rank: number of this process.
            num_processes: how many processes share the shards.
            progress: whether the first process shows a bar on a terminal.

        Raises:
            ImageError: when a picture cannot be opened; names item and file.
            Exception: as `check` raises it.
            OSError: when the disk is full; the shards that are whole stay.
        """
        shares = [self._rows(number) for number in range(rank, self.num_shards, num_processes)]
        num_found = 0
        note = f" (process 1 of {num_processes})" if num_processes > 1 else ""
        with show_progress(sum(map(len, shares)), progress and rank == 0, note=note) as bar:
            for rows in shares:
                number = rows.start // self.shard_size
                content = _hash_items(knowledge_base.iterate(rows.start, rows.stop), knowledge_base)
                if self._read_header(number).get("content") == content:
                    num_found += len(rows)
                    bar.update(len(rows))
                    continue
                before = encoder.num_truncated
                items = knowledge_base.iterate(rows.start, rows.stop)
                parts = []
                for some, embeddings in encoder.stream(items, knowledge_base.open_item_image, bar):
                    check(some, embeddings)
                    parts.append(embeddings)
                self._write(number, np.concatenate(parts), content, encoder.num_truncated - before)
        if num_found:
            logger.info("%d items were encoded by an earlier run and are taken as they are.", num_found)

    def read(self, knowledge_base: KnowledgeBase) -> Iterator[tuple[list[KnowledgeItem], np.ndarray, int]]:
        """All items in order, shard by shard, with their embeddings, and how many of them were cut.

        Raises:
            RuntimeError: when a shard is missing, damaged or does not fit the items; names it.
        """
        for number in range(self.num_shards):
            rows = self._rows(number)
            header = self._read_header(number)
            path = self._path(number)
            if not header:
                raise RuntimeError(f"The shard {path} is missing. All processes must see one disk; run it again.")
            with safe_open(path, "np") as file:
                embeddings = file.get_tensor("embeddings")
            if len(embeddings) != len(rows) or _hash(embeddings) != header["embeddings"]:
                raise RuntimeError(f"The shard {path} is damaged. Delete it and run it again.")
            yield list(knowledge_base.iterate(rows.start, rows.stop)), embeddings, int(header["num_truncated"])

    def remove(self) -> None:
        """Remove all shards, when the index has their embeddings."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _rows(self, number: int) -> range:
        start = number * self.shard_size
        return range(start, min(start + self.shard_size, self.num_items))

    def _path(self, number: int) -> Path:
        return self.folder / f"shard-{number:08d}.safetensors"

    def _write(self, number: int, embeddings: np.ndarray, content: str, num_truncated: int) -> None:
        header = {"content": content, "embeddings": _hash(embeddings), "num_truncated": str(num_truncated)}
        data = save({"embeddings": embeddings}, metadata=header)
        write_atomically(self._path(number), lambda temporary: temporary.write_bytes(data))

    def _read_header(self, number: int) -> dict[str, str]:
        """What a shard tells of itself; nothing where there is none, or none that can be read."""
        try:
            with safe_open(self._path(number), "np") as file:
                return file.metadata() or {}
        except (FileNotFoundError, SafetensorError):
            return {}


def _read_plan(place: Path) -> Any:
    try:
        return json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _hash(embeddings: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(embeddings).data).hexdigest()


def _hash_items(items: Iterable[KnowledgeItem], knowledge_base: KnowledgeBase) -> str:
    """One hash of everything of some items that their embeddings depend on, and of their ids and order."""
    digest = hashlib.sha256()
    for item in items:
        picture = None
        if item.image is not None:
            root = knowledge_base.root_of(item.id) if item.image.path is not None else None
            picture = hashlib.sha256(read_image_data(item.image, root)).hexdigest()
        digest.update(json.dumps([item.id, item.title, item.caption, item.text, picture]).encode())
    return digest.hexdigest()
