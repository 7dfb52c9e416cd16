"""One file of cached features: written whole or not at all, read row by row through a memory map, checked."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ...index.files import write_atomically
from .manifest import FeatureManifest

__all__ = ["SHARD_PATTERN", "FeatureShard", "ShardWriter", "stamp_file", "write_shard"]

SHARD_PATTERN = "features-*.safetensors"


class FeatureShard:
    """An open file of cached features.

    The header is checked at opening; each row's checksum when it is first read. The file is mapped, so that only rows
    that are read are in memory.

    Args:
        path: the file.
        manifest: of the cache that the file must belong to.

    Raises:
        ValueError: when the file is missing, truncated, of another cache or not what its name says; names it.
    """

    def __init__(self, path: Path, manifest: FeatureManifest) -> None:
        self.path = path
        self._stamp = stamp_file(path)
        try:
            handle = safe_open(path, framework="pt")
            metadata = handle.metadata() or {}
            self._rows = handle.get_slice("features")
            self._checksums: list[int] = handle.get_tensor("checksums").tolist()
            self.hashes: list[str] = json.loads(metadata["hashes"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            what = "is missing" if self._stamp is None else f"is truncated or damaged ({error})"
            raise ValueError(f"{path} {what}. {_ADVICE}") from error
        if metadata.get("fingerprint") != manifest.fingerprint:
            raise ValueError(
                f"{path} is of another cache: it has the fingerprint {metadata.get('fingerprint')}, this cache has "
                f"{manifest.fingerprint}. {_ADVICE}"
            )
        if path.name != _name_shard(self.hashes):
            raise ValueError(f"{path} has the name of another shard, it is {_name_shard(self.hashes)}. {_ADVICE}")
        found, expected = tuple(self._rows.get_shape()), (len(self.hashes), *manifest.shape)
        if found != expected or len(self._checksums) != len(self.hashes):
            raise ValueError(
                f"{path} holds features of shape {found} with {len(self._checksums)} checksums, expected {expected}. "
                f"{_ADVICE}"
            )
        if len(self.hashes) and str(self._rows[:0].dtype) != f"torch.{manifest.dtype}":
            raise ValueError(f"{path} holds {self._rows[:0].dtype}, the cache holds {manifest.dtype}. {_ADVICE}")
        self._checked = bytearray(len(self.hashes))

    def read(self, row: int) -> torch.Tensor:
        """The features `(num_image_tokens, vision_hidden_size)` of one row, in memory of their own.

        Raises:
            ValueError: when the row's bytes are not those that were written; names the file.
        """
        # A copy: a view would drag the whole file along to another process, and writing to it would change the map.
        features = self._rows[row].clone()
        if not self._checked[row]:
            if _checksum(features) != self._checksums[row]:
                raise ValueError(f"{self.path} is damaged: row {row} has another checksum than written. {_ADVICE}")
            self._checked[row] = 1
        return features

    def is_current(self) -> bool:
        """Whether the file is still the one that was opened (reading on in one cut shorter would end the process)."""
        return self._stamp is not None and stamp_file(self.path) == self._stamp


_ADVICE = "Delete it and build again: only its pictures are encoded anew."


class ShardWriter:
    """Collects features and writes a file whenever there are enough for one; call `flush` at the end.

    Args:
        folder: of the cache.
        manifest: of the cache.
        shard_size: pictures in one file.
    """

    def __init__(self, folder: Path, manifest: FeatureManifest, shard_size: int) -> None:
        self._folder = folder
        self._manifest = manifest
        self._shard_size = shard_size
        self._hashes: list[str] = []
        self._features: list[torch.Tensor] = []
        self.num_bytes = 0

    def add(self, hashes: Sequence[str], features: torch.Tensor) -> None:
        """Take the features `(num_pictures, num_image_tokens, vision_hidden_size)` of more pictures."""
        start = 0
        while start < len(hashes):
            stop = start + self._shard_size - len(self._hashes)
            self._hashes.extend(hashes[start:stop])
            self._features.append(features[start:stop])
            start = stop
            if len(self._hashes) == self._shard_size:
                self.flush()

    def flush(self) -> None:
        """Write what has been collected, if anything."""
        if not self._hashes:
            return
        path = write_shard(self._folder, self._hashes, torch.cat(self._features), self._manifest)
        self.num_bytes += path.stat().st_size
        self._hashes, self._features = [], []


def write_shard(folder: Path, hashes: Sequence[str], features: torch.Tensor, manifest: FeatureManifest) -> Path:
    """Write features into a file that is named after its pictures.

    Args:
        folder: of the cache.
        hashes: sha256 of each picture's bytes, 64 hex digits.
        features: `(num_pictures, num_image_tokens, vision_hidden_size)` in the cache's dtype, on the CPU.
        manifest: of the cache.

    Returns:
        The file; it appears as a whole or not at all.

    Raises:
        OSError: when the disk is full or the folder read-only.
    """
    tensors = {
        "features": features.contiguous(),
        "checksums": torch.tensor([_checksum(one) for one in features], dtype=torch.int64),
    }
    metadata = {"fingerprint": manifest.fingerprint, "hashes": json.dumps(list(hashes))}
    path = folder / _name_shard(hashes)
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=metadata))
    return path


def stamp_file(path: str | Path) -> tuple[int, int, int] | None:
    """Size in bytes, time of the last change in nanoseconds and inode of a file; None where there is none.

    Example:
        >>> stamp_file("no such file") is None
        True
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _name_shard(hashes: Sequence[str]) -> str:
    return f"features-{hashlib.sha256(','.join(hashes).encode()).hexdigest()[:32]}.safetensors"


def _checksum(features: torch.Tensor) -> int:
    return zlib.crc32(features.contiguous().view(torch.uint8).numpy().data)
