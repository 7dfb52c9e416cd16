"""The arms of the cost benchmark: each a model with its optimiser that takes one training step when it is called."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from cost_setup import CostData, make_config
from release_loop import ReleaseLoop, ReleaseStep
from torch import nn

from rablip import RablipForConditionalGeneration
from rablip.training.runs.adapters import add_lora

ARMS = {
    "release": "the release's loop at its own precisions: four passes through the tower, language model in bf16",
    "release_fp32": "control: the release's loop with the language model in fp32, so that only its structure differs",
    "cache_off": "rablip, pictures through the frozen tower once a step, both passes share the extraction",
    "cache_on": "rablip, features read from a FeatureCache on disk",
    "cache_on_one_pass": "rablip, features from a FeatureCache on disk, relevance learned in the answer's pass alone",
    "cache_on_lora": "rablip, features read from a FeatureCache on disk, LoRA on the language model",
}
LORA_RANK = 16


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Args:
        name: key of `ARMS`.
        model: what is trained.
        parts: its tower, Q-Former, fusion and language model, by name.
        losses: runs the forward pass of a step; gives the loss of the question's pass and the whole loss.
        step: takes a training step; gives the loss.
        optimizer: of the step.
    """

    name: str
    model: nn.Module
    parts: Mapping[str, nn.Module]
    losses: Callable[[int], tuple[torch.Tensor, torch.Tensor]]
    step: Callable[[int], float]
    optimizer: torch.optim.Optimizer

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters that learn."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]


class OwnStep:
    """rablip's step as transformers' Trainer takes it: autocast to a given half precision, fused AdamW, clipping.

    Args:
        model: a generator, maybe wrapped by PEFT.
        make_inputs: makes the inputs of a step.
        dtype: of autocast; fp32 is none.
        learning_rate: of AdamW.
    """

    def __init__(
        self,
        model: nn.Module,
        make_inputs: Callable[[int], dict[str, torch.Tensor]],
        *,
        dtype: torch.dtype,
        learning_rate: float = 1e-6,
    ) -> None:
        self.model = model.train()
        self.make_inputs = make_inputs
        self.dtype = dtype
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=learning_rate, weight_decay=0.01, fused=True)

    def losses(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Forward pass of step `number`."""
        inputs = self.make_inputs(number)
        device = inputs["input_ids"].device.type
        half = self.dtype != torch.float32
        with torch.autocast(device, dtype=self.dtype) if half else contextlib.nullcontext():
            output = self.model(**inputs)
        return output.qa_loss, output.loss

    def __call__(self, number: int) -> float:
        """Step `number`."""
        _, loss = self.losses(number)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


def make_generator(data: CostData, *, seed: int) -> RablipForConditionalGeneration:
    """A generator with random weights, the same for the same seed, on the data's device."""
    torch.manual_seed(seed)
    with torch.device(data.device):
        return RablipForConditionalGeneration(make_config(data.dims))


def make_tower_owner(data: CostData, *, seed: int, dtype: torch.dtype) -> RablipForConditionalGeneration:
    """A generator as the arms of rablip train it: tower and language model frozen, in `dtype`."""
    model = make_generator(data, seed=seed)
    model.freeze_vision_tower()
    model.freeze_language_model()
    model.vision_model.to(dtype)
    model.language_model.to(dtype)
    return model


def make_arm(
    name: str,
    data: CostData,
    *,
    seed: int,
    dtype: torch.dtype = torch.float32,
    features: Mapping[str, torch.Tensor] | None = None,
) -> Arm:
    """Build an arm.

    Args:
        name: key of `ARMS`.
        data: what it trains on.
        seed: of the weights.
        dtype: of rablip's frozen parts and autocast; the release has its own precisions.
        features: a view of the cache, for arms that read from it.

    Raises:
        ValueError: the arm is unknown, or needs features and there are none.
    """
    if name not in ARMS:
        raise ValueError(f"There is no arm {name!r}; there are {', '.join(ARMS)}.")
    if name.startswith("release"):
        return _make_release(name, data, seed)
    model = make_tower_owner(data, seed=seed, dtype=dtype)
    has_lora = name == "cache_on_lora"
    wrapped: nn.Module = add_lora(model, rank=LORA_RANK) if has_lora else model
    if name == "cache_off":
        make_inputs = data.make_inputs
    elif features is None:
        raise ValueError(f"The arm {name!r} reads features from a cache: give `features`.")
    else:
        make_inputs = _reads(data, features, one_pass=name == "cache_on_one_pass")
    step = OwnStep(wrapped, make_inputs, dtype=dtype)
    return Arm(
        name=name,
        model=wrapped,
        parts=_name_parts(model, has_copies=has_lora),
        losses=step.losses,
        step=step,
        optimizer=step.optimizer,
    )


def _reads(
    data: CostData, features: Mapping[str, torch.Tensor], *, one_pass: bool
) -> Callable[[int], dict[str, torch.Tensor]]:
    """Inputs whose pictures come from the cache; reading them is part of the step."""

    def make_inputs(number: int) -> dict[str, torch.Tensor]:
        ids = data.picture_ids[number % len(data)]
        inputs = data.make_inputs(number, image_embeds=torch.stack([features[key] for key in ids]))
        # What `GeneratorCollator(askg=False)` leaves out.
        return {name: value for name, value in inputs.items() if not (one_pass and name.startswith("askg_"))}

    return make_inputs


def _make_release(name: str, data: CostData, seed: int) -> Arm:
    dtype = torch.float32 if name == "release_fp32" else torch.bfloat16
    loop = ReleaseLoop(make_generator(data, seed=seed), language_dtype=dtype)
    step = ReleaseStep(loop)
    return Arm(
        name=name,
        model=loop,
        parts={"vision": loop.vision_model, "qformer": loop.qformer, "language_model": loop.language_model},
        losses=lambda number: step.losses(data.make_release_batch(number)),
        step=lambda number: step(data.make_release_batch(number)),
        optimizer=step.optimizer,
    )


def _name_parts(model: RablipForConditionalGeneration, *, has_copies: bool) -> dict[str, nn.Module]:
    def active(module: Any) -> nn.Module:
        # PEFT trains copies of the modules that it saves whole.
        return module.modules_to_save["default"] if has_copies else module

    return {
        "vision": model.vision_model,
        "qformer": active(model.qformer),
        "fusion": active(model.fusion),
        "language_model": model.language_model,
    }


__all__ = ["ARMS", "LORA_RANK", "Arm", "OwnStep", "make_arm", "make_generator", "make_tower_owner"]
