"""What the cost benchmark measures: calls, floating-point operations, memory and the machine."""

from __future__ import annotations

import gc
import os
import platform
import resource
import sys
import time
import weakref
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import torch.fx.experimental._config
from cost_arms import Arm, make_arm
from cost_setup import DIMS, CostData, make_config
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

# Dense bf16 peak of a card in TFLOP/s, as its maker states it without sparsity.
_CARD_PEAKS = {"H100 PCIe": 756.0, "H100": 989.0, "H200": 989.0, "A100": 312.0, "L40S": 362.0, "4090": 165.0}
_PROC = Path("/proc/self")
_COUNTED = ("release", "cache_on")


def count_calls(arm: Arm) -> dict[str, int]:
    """How often a forward pass calls the parts, and how many pictures the tower encodes in it."""
    counts = {"vision_calls": 0, "pictures_encoded": 0, "qformer_calls": 0, "language_model_calls": 0}

    def count(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
            counts[name] += 1
            if name == "vision_calls":
                counts["pictures_encoded"] += len(kwargs["pixel_values"])

        return hook

    language_model: Any = arm.parts["language_model"]
    watched = {
        "vision_calls": arm.parts["vision"],
        "qformer_calls": arm.parts["qformer"],
        "language_model_calls": language_model.get_encoder(),
    }
    handles = [part.register_forward_hook(count(name), with_kwargs=True) for name, part in watched.items()]
    arm.losses(0)
    for handle in handles:
        handle.remove()
    return counts


def count_flops(arm: Arm) -> dict[str, int]:
    """Floating-point operations of the matrix products of a step: forward by part, backward, and in all."""
    # Fused attention on a CPU is not counted by torch; written out it is, and needs the same operations.
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            loss = arm.losses(0)[1]
        with FlopCounterMode(display=False) as backward:
            loss.backward()
    arm.model.zero_grad()
    by_module = {name: sum(counts.values()) for name, counts in forward.get_flop_counts().items()}
    names = {module: name for name, module in arm.model.named_modules()}
    root = type(arm.model).__name__
    found = {}
    for part, module in arm.parts.items():
        own = f"{root}.{names[module]}"
        # Of a part whose children are also called from outside, as the language model's encoder, they hold it all.
        inside = sum(by_module.get(f"{own}.{child}", 0) for child, _ in module.named_children())
        found[part] = max(by_module.get(own, 0), inside)
    found["other"] = int(forward.get_total_flops()) - sum(found.values())
    found["backward"] = int(backward.get_total_flops())
    return found | {"total": sum(found.values())}


class _SaysYes(TorchDispatchMode):
    """Answers what modules ask of values on the meta device, where there are none, as data without gaps would.

    Such questions are whether a mask masks anything and whether image tokens match pictures; no product depends on it.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default):
            if args[0].device.type == "meta":
                return True
        return func(*args, **(kwargs or {}))


def count_flops_on_meta(dims: str, *, batch_size: int, seed: int) -> dict[str, Any]:
    """Operations of a step of the release and of rablip with and without the cache, on the meta device.

    Needs neither weights nor a GPU, so that it serves at full size too.

    Args:
        dims: key of `DIMS`.
        batch_size: examples per step.
        seed: of the tokens; no count depends on it.
    """
    data = CostData(DIMS[dims], seed=seed, folder=None, num_batches=1, batch_size=batch_size, device="meta")
    num_tokens, width = make_config(data.dims).num_image_tokens, data.dims.vision[0]
    features = dict.fromkeys(data.pictures, torch.zeros((num_tokens, width), device="meta"))
    with torch.fx.experimental._config.patch(meta_nonzero_assume_all_nonzero=True), _SaysYes():
        flops = {name: count_flops(make_arm(name, data, seed=seed, features=features)) for name in _COUNTED}
    # The cache saves the tower and nothing else; the release runs it twice as often as a step without the cache.
    vision = flops["release"]["vision"] // 2
    flops["cache_off"] = flops["cache_on"] | {"vision": vision, "total": flops["cache_on"]["total"] + vision}
    return {"flops": flops} | compare_flops(flops)


def compare_flops(flops: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Shares of the parts in the release's step, and how many times the operations of each arm the release needs."""
    release = flops["release"]
    return {
        "shares_of_release": {part: round(count / release["total"], 4) for part, count in release.items()},
        "release_over": {name: round(release["total"] / count["total"], 3) for name, count in flops.items()},
    }


class _Saved:
    """A tensor that autograd keeps; it goes when the part of the graph goes that needs it."""

    def __init__(self, tensor: torch.Tensor) -> None:
        # Detached: a result that its own node keeps would else keep that node, and neither would ever go.
        self.tensor = tensor.detach()


def count_saved_bytes(arm: Arm) -> int:
    """Bytes that autograd keeps for the backward pass of a step, weights and buffers not counted."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*arm.model.parameters(), *arm.model.buffers())}
    kept: weakref.WeakSet[_Saved] = weakref.WeakSet()

    def pack(tensor: torch.Tensor) -> _Saved:
        saved = _Saved(tensor)
        kept.add(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        losses = arm.losses(0)
    storages = [saved.tensor.untyped_storage() for saved in kept]
    del losses
    return sum({place.data_ptr(): place.nbytes() for place in storages if place.data_ptr() not in own}.values())


def measure_memory(make: Callable[[], Arm], *, steps: int = 2) -> dict[str, Any]:
    """Memory of an arm that is built here: nothing else that is large may be alive in this process.

    Returns:
        Megabytes. `peak_above_construction`: the most that training took beyond what there was when the arm had been
        built, i.e. activations, gradients and optimiser states. `training_peak`: that and the weights, i.e. without
        the interpreter and its libraries. `saved_for_backward`: what autograd keeps, exact and the same on every
        machine. `measured_by`: where the peak comes from.
    """
    arm = make()
    gc.collect()
    on_gpu = next(arm.model.parameters()).device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        can_reset = _reset_peak_rss()
        before = _read_status("VmRSS") if can_reset else _peak_rss()
    for number in range(steps):
        arm.step(number)
    if on_gpu:
        peak, how = torch.cuda.max_memory_allocated(), "torch.cuda.max_memory_allocated"
    elif can_reset:
        peak, how = _read_status("VmHWM"), "VmHWM of an own process, reset after construction"
    else:
        peak, how = _peak_rss(), "ru_maxrss of an own process (construction may hide part of the peak)"
    states = [value for state in arm.optimizer.state.values() for value in state.values()]
    weights = _num_bytes(list(arm.model.parameters()))
    sizes = {
        "training_peak": weights + peak - before,
        "peak_above_construction": peak - before,
        "saved_for_backward": count_saved_bytes(arm),
        "weights": weights,
        "weights_of_the_tower": _num_bytes(list(arm.parts["vision"].parameters())),
        "gradients": _num_bytes(arm.trained),
        "optimizer_states": _num_bytes([value for value in states if isinstance(value, torch.Tensor)]),
    }
    trained = sum(parameter.numel() for parameter in arm.trained)
    return {name: round(size / 1e6, 1) for name, size in sizes.items()} | {
        "trained_parameters": trained,
        "measured_by": how,
    }


def _num_bytes(tensors: list[Any]) -> int:
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())


def _reset_peak_rss() -> bool:
    """Make the kernel forget the peak so far, where it can (Linux)."""
    try:
        (_PROC / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _read_status(field: str) -> int:
    for line in (_PROC / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}.")


def _peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_matmuls(device: str, *, size: int = 512, seconds: float = 0.2) -> dict[str, float]:
    """GFLOP/s of a matrix product in fp32 and bf16, as forward and as backward pass take it."""
    rates = {}
    clock = time.process_time if device == "cpu" else time.perf_counter
    for dtype in (torch.float32, torch.bfloat16):
        left, right = (torch.ones((size, size), dtype=dtype, device=device) for _ in range(2))
        for way, product in (("forward", lambda a, b: a @ b.T), ("backward", lambda a, b: a @ b)):
            product(left, right)
            synchronize(device)
            started, count = clock(), 0
            while clock() - started < seconds:
                product(left, right)
                synchronize(device)
                count += 1
            rate = 2 * size**3 * count / (clock() - started) / 1e9
            rates[f"{str(dtype).removeprefix('torch.')}_{way}"] = round(rate, 1)
    return rates


def synchronize(device: str) -> None:
    """Wait for a GPU; a CPU has nothing to wait for."""
    if device == "cuda":
        torch.cuda.synchronize()


def find_card_peak() -> float | None:
    """bf16 peak of the GPU in TFLOP/s, None of one that is not in the table."""
    name = torch.cuda.get_device_name(0)
    return next((peak for card, peak in _CARD_PEAKS.items() if all(part in name for part in card.split())), None)


def describe_machine(device: str) -> dict[str, Any]:
    """Processor, cores, threads, load, GPU and versions."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_at_start": [round(load, 2) for load in os.getloadavg()],
        "gpu": torch.cuda.get_device_name(0) if device == "cuda" else None,
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("rablip", "torch", "transformers", "peft", "numpy")},
    }


__all__ = [
    "compare_flops",
    "count_calls",
    "count_flops",
    "count_flops_on_meta",
    "count_saved_bytes",
    "describe_machine",
    "find_card_peak",
    "measure_matmuls",
    "measure_memory",
    "synchronize",
]
