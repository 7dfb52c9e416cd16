"""What the processes of one run share: its device, and results that one of them computes for all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from ..trainers.gathering import num_processes, process_rank

# Mining a large knowledge base takes longer than any collective is usually waited for.
_PATIENCE = timedelta(days=7)


def compute_once(compute: Callable[[], Any]) -> Any:
    """What the first process computes, in every process; the others wait, however long it takes.

    Args:
        compute: gives what JSON can hold. Every process has to come here, but only the first one calls it.

    Returns:
        What `compute` gives; in the other processes tuples are lists.

    Raises:
        RuntimeError: in the other processes, where `compute` fails in the first, which raises its error as it is.

    Example:
        >>> compute_once(lambda: {"t1": ["t2", "t3"]})
        {'t1': ['t2', 't3']}
    """
    if num_processes() == 1:
        return compute()
    # A group of its own: through gloo, which waits without a device, and with more patience than the run's.
    group = distributed.new_group(backend="gloo", timeout=_PATIENCE)
    try:
        if process_rank() > 0:
            told = json.loads(_broadcast(b"", group))
            if "error" in told:
                raise RuntimeError(f"The first process failed, so this one ends too: {told['error']}")
            return told["value"]
        try:
            value = compute()
            message = json.dumps({"value": value}).encode()
        except BaseException as error:
            _broadcast(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode(), group)
            raise
        _broadcast(message, group)
        return value
    finally:
        distributed.destroy_process_group(group)


@contextmanager
def on_device(model: Any, device: torch.device | str | None) -> Iterator[Any]:
    """A model that works on a device for a while and goes back to where it was, from which Trainer places it.

    Args:
        model: a model, all of it on one device.
        device: where it works; None leaves it where it is.

    Example:
        >>> with on_device(torch.nn.Linear(1, 1), None) as layer:
        ...     layer.weight.device.type
        'cpu'
    """
    before = next(model.parameters()).device
    try:
        yield model if device is None else model.to(device)
    finally:
        model.to(before)


def _broadcast(message: bytes, group: Any) -> bytes:
    """The first process's message, in every process."""
    length = torch.tensor([len(message)], dtype=torch.long)
    distributed.broadcast(length, 0, group=group)
    content = torch.empty(int(length), dtype=torch.uint8)
    if process_rank() == 0:
        content.copy_(torch.frombuffer(bytearray(message), dtype=torch.uint8))
    distributed.broadcast(content, 0, group=group)
    return content.numpy().tobytes()


__all__ = ["compute_once", "on_device"]
