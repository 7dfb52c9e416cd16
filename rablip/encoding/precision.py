"""Whether encoding computes in bfloat16: only where a device has it and it was measured to be faster."""

from __future__ import annotations

import torch

__all__ = ["choose_bf16"]

# Below this width casting costs a CPU more than its bf16 products save (examples/benchmarks/encode.py).
_CPU_WIDTH = 256


def choose_bf16(model: torch.nn.Module) -> bool:
    """Whether a model is worth running under bf16 autocast on the device where it is.

    True for fp32 weights on a GPU with bf16 units, or on a CPU with bf16 instructions when the widest layer has at
    least 256 inputs; weights in half precision compute as they are.

    Args:
        model: with its weights on their device.

    Example:
        >>> choose_bf16(torch.nn.Linear(4, 4).bfloat16())
        False
    """
    weights = [weight for weight in model.parameters() if weight.is_floating_point()]
    if not weights or any(weight.dtype != torch.float32 for weight in weights):
        return False
    device = weights[0].device
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities()
    width = max((weight.shape[-1] for weight in weights if weight.dim() == 2), default=0)
    return width >= _CPU_WIDTH and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
