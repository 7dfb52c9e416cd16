"""Batches that are halved when memory runs out, and go on where they were."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

__all__ = ["is_out_of_memory", "run_in_batches"]

logger = logging.getLogger(__name__)
Part = TypeVar("Part")


def run_in_batches(
    run: Callable[[int, int], Part],
    num_rows: int,
    batch_size: int,
    *,
    unit: str,
    name_row: Callable[[int], str],
) -> tuple[list[Part], int]:
    """Run rows in batches; a batch that does not fit in memory is halved, and the smaller size is kept.

    Args:
        run: called with the first row of a batch and the one after its last.
        num_rows: how many rows there are.
        batch_size: most rows at once.
        unit: what a row is, in the plural, for the log.
        name_row: what a row is called, for the error when it alone does not fit.

    Returns:
        What `run` returned, in order, and the batch size that fits.

    Raises:
        MemoryError, RuntimeError: as `run` raised it, when a single row does not fit; names the row.

    Example:
        >>> run_in_batches(lambda start, stop: list(range(start, stop)), 5, 2, unit="rows", name_row=str)
        ([[0, 1], [2, 3], [4]], 2)
    """
    parts: list[Part] = []
    start = 0
    while start < num_rows:
        stop = min(start + batch_size, num_rows)
        try:
            parts.append(run(start, stop))
            start = stop
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if stop - start == 1:
                raise type(error)(f"{name_row(start)} alone does not fit in memory: {error}") from error
            batch_size = (stop - start) // 2
            logger.warning("Out of memory: going on with batches of %d %s.", batch_size, unit)
        if start != stop:
            # Only here are the tensors of the failed batch free: the error held them.
            clear_device_cache()
    return parts, batch_size


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a device or in the process."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # What accelerate does not know: the CPU allocator's words on Windows, and more than one argument.
    known = isinstance(error, RuntimeError) and "not enough memory" in str(error)
    return known or (isinstance(error, Exception) and should_reduce_batch_size(error))
