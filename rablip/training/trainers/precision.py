"""Trained weights in fp32: the steps of an optimizer are smaller than what half precision can add to a weight."""

from __future__ import annotations

import torch
from torch import distributed


def widen_trained(model: torch.nn.Module) -> int:
    """Cast what is trained from bf16 or fp16 to fp32, in place; frozen weights keep their precision.

    `StageTrainer` does so by itself; a training loop of your own calls it before it makes the optimizer. rablip's
    models take parts of different precision, under autocast and without it.

    Args:
        model: any module, maybe wrapped by PEFT; what requires gradients is trained.

    Returns:
        How many tensors were cast.

    Raises:
        ValueError: they are already spread over processes, where a cast would not reach the shards.

    Example:
        >>> layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)).to(torch.bfloat16)
        >>> layers[0].requires_grad_(False) is layers[0], widen_trained(layers)
        (True, 2)
        >>> layers[0].weight.dtype, layers[1].weight.dtype
        (torch.bfloat16, torch.float32)
    """
    narrow = [
        parameter
        for parameter in model.parameters()
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16)
    ]
    if any(_is_sharded(parameter) for parameter in narrow):
        raise ValueError(
            f"{len(narrow)} trained tensors are in {narrow[0].dtype} and sharded already: most steps would round "
            "away. Call `widen_trained` before `fully_shard`, or load the model with dtype=torch.float32."
        )
    for parameter in narrow:
        # The parameter itself stays, for whoever holds it: tied layers, an optimizer.
        parameter.data = parameter.data.float()
    return len(narrow)


def _is_sharded(parameter: torch.Tensor) -> bool:
    if not distributed.is_available():
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(parameter, DTensor)


__all__ = ["widen_trained"]
