"""Rows of every process in one tensor, with gradients that flow back to the process that owns them."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed
from torch.autograd.function import once_differentiable


def num_processes() -> int:
    """How many processes train together: 1 without a process group.

    Example:
        >>> num_processes()
        1
    """
    return distributed.get_world_size() if _has_group() else 1


def process_rank() -> int:
    """The number of this process among all, from 0; 0 without a process group.

    Example:
        >>> process_rank()
        0
    """
    return distributed.get_rank() if _has_group() else 0


def sum_over_processes(value: torch.Tensor) -> torch.Tensor:
    """The sum of every process's tensor, without gradient; every process has to call it.

    Args:
        value: of one shape and dtype in all processes, on a device that the process group's backend serves.

    Returns:
        A new tensor of the same shape, the same in every process; without a process group a copy of `value`.

    Example:
        >>> sum_over_processes(torch.tensor([2, 3])).tolist()
        [2, 3]
    """
    total = value.detach().clone()
    if num_processes() > 1:
        distributed.all_reduce(total)
    return total


def gather_rows(rows: torch.Tensor, *, fill_value: float | None = None) -> torch.Tensor:
    """The rows of all processes, in the order of their ranks; every process has to call it.

    The gradient of a row is the sum of what every process's loss says of it. It reaches the process that the row comes
    from, so every process has to back-propagate through the result if one does. Where gradients of parameters are
    averaged afterwards (DistributedDataParallel), multiply the loss by `num_processes()`.

    Args:
        rows: (num_rows, ...), of the same dtype and number of dimensions in all processes, on a device that the
            process group's backend serves; `num_rows` may differ, and be 0.
        fill_value: what fills up rows that are shorter in a further dimension; None to allow no difference.

    Returns:
        (sum of num_rows, ...); without a process group `rows` itself.

    Raises:
        ValueError: there is no dimension of rows, or further dimensions differ and there is no `fill_value`.

    Example:
        >>> gather_rows(torch.tensor([[1.0, 2.0]])).tolist()
        [[1.0, 2.0]]
    """
    if rows.dim() == 0:
        raise ValueError("`rows` is one number without a dimension of rows. Give a tensor (num_rows, ...).")
    if num_processes() == 1:
        return rows
    shapes = _gather_shapes(rows)
    widest = [max(sizes) for sizes in zip(*(shape[1:] for shape in shapes), strict=True)]
    if any(shape[1:] != widest for shape in shapes):
        if fill_value is None:
            raise ValueError(
                f"The processes hold rows of different shapes: {[tuple(shape) for shape in shapes]}. Bring all but "
                "the first dimension to one size, or give a `fill_value`."
            )
        missing = [size for wide, own in zip(widest, rows.shape[1:], strict=True) for size in (wide - own, 0)]
        rows = torch.nn.functional.pad(rows, missing[::-1], value=fill_value)
    return _GatherRows.apply(rows, [shape[0] for shape in shapes])


def _has_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _gather_shapes(rows: torch.Tensor) -> list[list[int]]:
    """The shape of `rows` in every process."""
    own = torch.tensor(rows.shape, dtype=torch.long, device=rows.device)
    shapes = [torch.empty_like(own) for _ in range(num_processes())]
    distributed.all_gather(shapes, own)
    return [shape.tolist() for shape in shapes]


class _GatherRows(torch.autograd.Function):
    """All rows of all processes; backward, the sum over processes of what belongs to this one's rows."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, counts: list[int]) -> torch.Tensor:
        """Gather blocks of equal size, since that is what every backend can, and drop what fills them up."""
        ctx.counts = counts
        block = rows.new_zeros((max(counts), *rows.shape[1:]))
        block[: len(rows)] = rows
        blocks = [torch.empty_like(block) for _ in counts]
        distributed.all_gather(blocks, block)
        return torch.cat([block[:count] for block, count in zip(blocks, counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Reduce all, since gloo has no reduce-scatter, and keep this process's rows."""
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        start = sum(ctx.counts[: process_rank()])
        return total[start : start + ctx.counts[process_rank()]], None


__all__ = ["gather_rows", "num_processes", "process_rank", "sum_over_processes"]
