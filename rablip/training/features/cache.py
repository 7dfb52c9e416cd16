"""Features of the frozen vision tower on disk: built once, by one or several processes, and never served stale."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers.utils import logging

from ...processing.knowledge_rablip import ImageRef
from .cached_features import CachedFeatures, CachedPicture, hash_picture, stamp_picture
from .encoding import TowerEncoder
from .manifest import MANIFEST_NAME, FeatureManifest
from .shards import SHARD_PATTERN, FeatureShard, ShardWriter

__all__ = ["BuildReport", "FeatureCache"]

logger = logging.get_logger(__name__)

_DTYPES = (torch.bfloat16, torch.float16, torch.float32)
_LEFT_OVER_SECONDS = 3600.0  # no shard takes that long to write
_MAX_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What a build did.

    Args:
        num_pictures: ids that were given.
        num_encoded: different pictures that went through the tower.
        num_found: different pictures that were in the cache already.
        num_bytes: size of the files that were written.
        seconds: how long it took.

    Example:
        >>> BuildReport(num_pictures=3, num_encoded=2, num_found=0, num_bytes=960, seconds=0.5).num_encoded
        2
    """

    num_pictures: int
    num_encoded: int
    num_found: int
    num_bytes: int
    seconds: float


class FeatureCache:
    """Features of the frozen vision tower on disk, keyed by the bytes of the picture, the tower and the preprocessing.

    Open it with `FeatureCache.open`.

    Args:
        folder: where it is.
        manifest: what it was made with.
        model: any rablip model.
        image_processor: the processor's image processor.

    Example (with a loaded model and its processor):
        `cache = FeatureCache.open("features", model=model, image_processor=processor.image_processor)`, then
        `cache.build(pictures)` and `features = cache.view(pictures)`: features by id, read from disk one by one.
    """

    def __init__(self, folder: Path, manifest: FeatureManifest, *, model: Any, image_processor: Any) -> None:
        self.folder = folder
        self.manifest = manifest
        self._model = model
        self._image_processor = image_processor
        self._shards: dict[str, list[str]] = {}
        self._places: dict[str, tuple[str, int]] = {}

    @classmethod
    def open(
        cls, folder: str | Path, *, model: Any, image_processor: Any, dtype: torch.dtype = torch.bfloat16
    ) -> FeatureCache:
        """Open a cache, or make an empty one where there is none.

        Args:
            folder: where it is; created when absent.
            model: any rablip model; its whole vision tower is hashed.
            image_processor: the processor's image processor.
            dtype: the form on disk: torch.bfloat16, torch.float16 or torch.float32 (which loses nothing).

        Raises:
            ValueError: when the folder's features are of another tower, preprocessing or form (names both values), or
                one of its files is damaged or of another cache (names the file).
        """
        if dtype not in _DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(map(str, _DTYPES))}, got {dtype!r}.")
        folder = Path(folder).absolute()
        manifest = FeatureManifest.of(model, image_processor, dtype)
        if (folder / MANIFEST_NAME).exists():
            _check_same(folder, FeatureManifest.load(folder), manifest)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.glob(SHARD_PATTERN)):
                raise ValueError(
                    f"{folder} holds features but no {MANIFEST_NAME}, so nobody knows of which tower. Restore the "
                    "file, or delete the features and build again."
                )
            manifest.save(folder)
        cache = cls(folder, manifest, model=model, image_processor=image_processor)
        cache.refresh()
        return cache

    def __len__(self) -> int:
        """How many different pictures the cache holds."""
        return len(self._places)

    def build(
        self,
        pictures: Mapping[str, ImageRef],
        *,
        root: str | Path | None = None,
        batch_size: int = 64,
        shard_size: int = 256,
        num_threads: int = 4,
        rank: int = 0,
        num_processes: int = 1,
        progress: bool = True,
    ) -> BuildReport:
        """Encode the pictures that are not in the cache yet; equal pictures are encoded once.

        A build that is killed loses at most the file that it was filling; the next one encodes what is missing.
        Several processes may build at once, each with its `rank`: together they do what one does (see
        `build_features`).

        Args:
            pictures: by id; asked for one by one, so that a lazy mapping need not fit in memory.
            root: folder that relative paths start from and that no path may leave.
            batch_size: pictures that the tower gets at once; halved when memory runs out.
            shard_size: pictures in one file.
            num_threads: threads that open pictures while the tower works.
            rank: number of this process.
            num_processes: how many processes share the pictures.
            progress: whether a bar is shown on a terminal.

        Returns:
            What this process did; `num_encoded` and `num_found` are of its share.

        Raises:
            ImageError: when a picture cannot be opened; names the id and the picture.
            ValueError: when the model's tower is no longer the one that the cache was opened with.
        """
        started = time.monotonic()
        for name, value in {
            "batch_size": batch_size,
            "shard_size": shard_size,
            "num_threads": num_threads,
            "num_processes": num_processes,
        }.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
        if rank not in range(num_processes):
            raise ValueError(f"rank must lie in 0..{num_processes - 1}, got {rank!r}.")
        self._check_still_same()
        self.refresh()
        if rank == 0:
            self._remove_left_overs()
        folder = None if root is None else str(Path(root).absolute())
        ids: dict[str, str] = {}
        for key in tqdm(pictures, desc="hashing", unit="picture", disable=_hides(progress, rank)):
            ids.setdefault(hash_picture(key, pictures[key], folder), key)
        # Shares are of all pictures, not of the missing ones: another process may already be adding to the cache.
        share = sorted(ids)[rank::num_processes]
        missing = [sha256 for sha256 in share if sha256 not in self._places]
        encoder = TowerEncoder(self._model, self._image_processor, self._torch_dtype, batch_size, num_threads)
        writer = ShardWriter(self.folder, self.manifest, shard_size)
        with tqdm(total=len(missing), desc="features", unit="picture", disable=_hides(progress, rank)) as bar:
            for hashes, features in encoder.stream(missing, ids, pictures, folder):
                writer.add(hashes, features)
                bar.update(len(hashes))
        writer.flush()
        self.refresh()
        return BuildReport(
            num_pictures=len(pictures),
            num_encoded=len(missing),
            num_found=len(share) - len(missing),
            num_bytes=writer.num_bytes,
            seconds=time.monotonic() - started,
        )

    def view(self, pictures: Mapping[str, ImageRef], *, root: str | Path | None = None) -> CachedFeatures:
        """Features by id, for training; every picture is hashed now and compared again at each access.

        Args:
            pictures: by id.
            root: as in `build`.

        Raises:
            ImageError: when a picture cannot be read; names the id and the picture.
            ValueError: when pictures are not in the cache (names the first ones), or the model's tower is no longer
                the one that the cache was opened with.
        """
        self._check_still_same()
        self.refresh()
        folder = None if root is None else str(Path(root).absolute())
        found: dict[str, CachedPicture] = {}
        missing: list[str] = []
        for key in pictures:
            image = pictures[key]
            if folder is None and isinstance(image, ImageRef) and image.path is not None:
                image = ImageRef(path=str(Path(image.path).absolute()))
            # The stamp comes first: a change during hashing then shows at the first access.
            stamp = stamp_picture(image, folder) if isinstance(image, ImageRef) else None
            sha256 = hash_picture(key, image, folder)
            if (place := self._places.get(sha256)) is None:
                missing.append(f"{key!r} ({image.name})")
            else:
                found[key] = CachedPicture(sha256, *place, image.path, stamp)
        if missing:
            named = ", ".join(missing[:_MAX_NAMED]) + (", ..." if len(missing) > _MAX_NAMED else "")
            raise ValueError(
                f"{len(missing)} of {len(pictures)} pictures are not in the cache {self.folder}, or have changed "
                f"since it was built: {named}. Run build with the same pictures first."
            )
        return CachedFeatures(self.folder, self.manifest, found, root=folder)

    def refresh(self) -> None:
        """Look for files that other processes have added or removed.

        Raises:
            ValueError: when a file is damaged or of another cache; names it.
        """
        names = sorted(path.name for path in self.folder.glob(SHARD_PATTERN))
        self._shards = {
            name: self._shards.get(name) or FeatureShard(self.folder / name, self.manifest).hashes for name in names
        }
        self._places = {
            sha256: (name, row) for name, hashes in self._shards.items() for row, sha256 in enumerate(hashes)
        }

    @property
    def _torch_dtype(self) -> torch.dtype:
        return getattr(torch, self.manifest.dtype)

    def _check_still_same(self) -> None:
        now = FeatureManifest.of(self._model, self._image_processor, self._torch_dtype)
        _check_same(self.folder, self.manifest, now)

    def _remove_left_overs(self) -> None:
        """Delete what killed builds left half written; what is young may be of a build that runs now."""
        for path in self.folder.glob(f".{SHARD_PATTERN}.*.tmp"):
            if time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS:
                logger.warning("Deleting %s, which a build that did not end left behind.", path)
                path.unlink(missing_ok=True)


def _check_same(folder: Path, stored: FeatureManifest, here: FeatureManifest) -> None:
    differences = stored.differences(here)
    if differences:
        raise ValueError(
            f"The features in {folder} were made otherwise. {'; '.join(differences)}. Use the model and processor "
            "that made them, open another folder, or delete this one and build again."
        )


def _hides(progress: bool, rank: int) -> bool | None:
    """What tqdm calls `disable`: None shows a bar on a terminal only."""
    return None if progress and rank == 0 else True
