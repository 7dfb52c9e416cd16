"""Cached features by id, read from disk one by one; a picture that has changed since is noticed, not served."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...processing.images_rablip import ImageError, read_image_data
from ...processing.knowledge_rablip import ImageRef
from .manifest import FeatureManifest
from .shards import FeatureShard, stamp_file

__all__ = ["CachedFeatures", "CachedPicture", "hash_picture", "read_picture"]


class CachedPicture(NamedTuple):
    """Where the features of one picture are, and what the picture was.

    Args:
        sha256: of the picture's bytes.
        shard: name of the file with its features.
        row: its row there.
        path: the picture file as its `ImageRef` names it; None for a picture given by its bytes.
        stamp: `stamp_file` of the picture file when it was hashed.
    """

    sha256: str
    shard: str
    row: int
    path: str | None = None
    stamp: tuple[int, int, int] | None = None


class CachedFeatures(Mapping[str, torch.Tensor]):
    """Read-only mapping from id to features `(num_image_tokens, vision_hidden_size)`, in the cache's dtype.

    Nothing is held in memory but where each row is; it can be sent to worker processes, which open the files
    themselves. Each access compares the picture file with what it was when the mapping was made.

    Args:
        folder: of the cache.
        manifest: of the cache.
        pictures: where each id's features are.
        root: absolute folder that relative picture paths start from.

    Raises (at access):
        KeyError: when there is no such id.
        ValueError: when the picture has changed or is gone, or a file of the cache is damaged; names it.

    Example (with an open cache):
        `cache.view({"7": ImageRef(path="tower.png")})["7"].shape` is (257, 1408) for ViT-g.
    """

    def __init__(
        self,
        folder: Path,
        manifest: FeatureManifest,
        pictures: dict[str, CachedPicture],
        *,
        root: str | None = None,
    ) -> None:
        self._folder = folder.absolute()
        self._manifest = manifest
        self._pictures = pictures
        self._root = root
        self._shards: dict[str, FeatureShard] = {}

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of every tensor."""
        return getattr(torch, self._manifest.dtype)

    def __getitem__(self, key: str) -> torch.Tensor:
        picture = self._pictures[key]
        if picture.path is not None:
            self._check_picture(key, picture)
        shard = self._shards.get(picture.shard)
        if shard is None or not shard.is_current():
            shard = self._shards[picture.shard] = FeatureShard(self._folder / picture.shard, self._manifest)
        return shard.read(picture.row)

    def __contains__(self, key: object) -> bool:
        return key in self._pictures

    def __iter__(self) -> Iterator[str]:
        return iter(self._pictures)

    def __len__(self) -> int:
        return len(self._pictures)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} pictures, {self._manifest.dtype}, {str(self._folder)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": {}}

    def _check_picture(self, key: str, picture: CachedPicture) -> None:
        image = ImageRef(path=picture.path)
        stamp = stamp_picture(image, self._root)
        if stamp is not None and stamp == picture.stamp:
            return
        found = hash_picture(key, image, self._root)
        if found != picture.sha256:
            raise ValueError(
                f"Picture {picture.path} of {key!r} has changed since its features were looked up: its sha256 was "
                f"{picture.sha256}, now it is {found}. Build the cache again and take a new view."
            )
        self._pictures[key] = picture._replace(stamp=stamp)


def read_picture(key: str, image: ImageRef, root: str | None) -> bytes:
    """The bytes of a picture, under the same limits as `load_image`.

    Raises:
        TypeError: when it is no ImageRef; names the id.
        ImageError: when it cannot be read; names the id and the picture.
    """
    if not isinstance(image, ImageRef):
        raise TypeError(f"The picture of {key!r} must be an ImageRef, got {type(image).__name__}.")
    try:
        return read_image_data(image, root)
    except ImageError as error:
        raise ImageError(f"The picture of {key!r} cannot be used. {error}") from error


def hash_picture(key: str, image: ImageRef, root: str | None) -> str:
    """The sha256 of a picture's bytes, 64 hex digits; errors as in `read_picture`.

    Example:
        >>> hash_picture("7", ImageRef(data=b"123"), None)[:8]
        'a665a459'
    """
    return hashlib.sha256(read_picture(key, image, root)).hexdigest()


def stamp_picture(image: ImageRef, root: str | None) -> tuple[int, int, int] | None:
    """`stamp_file` of a picture given by its path, None of one given by its bytes."""
    return None if image.path is None else stamp_file(os.path.join(root or "", image.path))
