"""Building a feature cache with every process of a run, each on its own device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object

from ...processes import join_processes
from ...processing.knowledge_rablip import ImageRef
from .cache import BuildReport, FeatureCache

__all__ = ["build_features"]


def build_features(
    folder: str | Path,
    pictures: Mapping[str, ImageRef],
    *,
    model: Any,
    image_processor: Any,
    dtype: torch.dtype = torch.bfloat16,
    root: str | Path | None = None,
    batch_size: int = 64,
    shard_size: int = 256,
    use_cpu: bool | None = None,
    progress: bool = True,
) -> tuple[FeatureCache, BuildReport]:
    """Open a cache and build it with all processes of this run (`torchrun`, or just this one), then wait for all.

    Args:
        folder: of the cache; on a disk that all processes see.
        pictures: the same in every process.
        model: the same in every process; it is put on the process's own device.
        image_processor: the processor's image processor.
        dtype: the form on disk.
        use_cpu: whether the processes work on the CPU; by default where there is no accelerator.
        root, batch_size, shard_size, progress: as in `FeatureCache.build`.

    Returns:
        The cache, to take a `view` of, and what all processes did together (`seconds` of the slowest).

    Raises:
        ImageError, ValueError: as `FeatureCache.open` and `FeatureCache.build`.
        RuntimeError: when several processes were started that do not see each other.

    Example (the same script under `torchrun --nproc-per-node 2`, or alone):
        `cache, report = build_features("features", pictures, model=model, image_processor=processor.image_processor)`
    """
    state = join_processes(not torch.accelerator.is_available() if use_cpu is None else use_cpu)
    model.to(state.device)
    with state.main_process_first():
        cache = FeatureCache.open(folder, model=model, image_processor=image_processor, dtype=dtype)
    own = cache.build(
        pictures,
        root=root,
        batch_size=batch_size,
        shard_size=shard_size,
        rank=state.process_index,
        num_processes=state.num_processes,
        progress=progress,
    )
    state.wait_for_everyone()
    cache.refresh()
    reports: list[BuildReport] = gather_object([own])
    return cache, BuildReport(
        num_pictures=own.num_pictures,
        num_encoded=sum(report.num_encoded for report in reports),
        num_found=sum(report.num_found for report in reports),
        num_bytes=sum(report.num_bytes for report in reports),
        seconds=max(report.seconds for report in reports),
    )
