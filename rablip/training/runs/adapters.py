"""LoRA on the language model or the Q-Former, beside full training of the other parts that RA-BLIP trains."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    load_peft_weights,
    set_peft_model_state_dict,
)
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from transformers import AutoModel, AutoProcessor

from ...modeling_rablip.modeling_rablip_generator import TRAINED_PARTS
from ...snapshots import fetch_model
from .presets import LORA_TARGETS, QFORMER_TARGET

SUMMARY_NAME = "training.json"
_FITTED_FIELDS = ("relevance_temperature", "relevance_threshold", "citation_threshold", "abstain_threshold")
LoraPart = Literal["language_model", "qformer"]
_FROZEN_PARTS = ("vision_model", "language_model")


def add_lora(
    model: Any,
    *,
    parts: Sequence[LoraPart] = ("language_model",),
    rank: int = 16,
    alpha: int | None = None,
    dropout: float = 0.0,
) -> PeftModel:
    """Wrap a model: LoRA on the named parts; the rest is trained in full, but for vision tower and language model.

    Args:
        model: a rablip model; a generator's default is LoRA on its language model, the others have the Q-Former only.
        parts: which parts get adapters. A Q-Former that is not named is trained in full, a language model frozen.
        rank: LoRA rank.
        alpha: LoRA scaling numerator; twice the rank by default.
        dropout: LoRA dropout.

    Returns:
        A `PeftModel`; `merge_and_unload()` gives a plain model back. Everything that requires gradients is in its
        adapter.

    Raises:
        ValueError: no part is named, the model does not have it, or there is no preset for the language model's type.
    """
    children = [name for name, _ in model.named_children()]
    strange = [part for part in parts if part not in ("language_model", "qformer") or part not in children]
    if strange or not parts:
        raise ValueError(
            f"Got the parts {list(parts)} for LoRA on a {type(model).__name__}; name some of "
            f"{[part for part in ('language_model', 'qformer') if part in children]}."
        )
    whole = [name for name in children if name not in _FROZEN_PARTS and name not in parts]
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank if alpha is None else alpha,
        lora_dropout=dropout,
        target_modules="|".join(f"({_find_targets(model, part, whole)})" for part in parts),
        modules_to_save=whole,
    )
    return get_peft_model(model, config)


def _find_targets(model: Any, part: LoraPart, whole: list[str]) -> str:
    if part == "qformer":
        return QFORMER_TARGET
    model_type = model.config.text_config.model_type
    if model_type not in LORA_TARGETS:
        raise ValueError(
            f"There is no LoRA preset for language models of type {model_type!r}, only for {sorted(LORA_TARGETS)}. "
            f"Build a LoraConfig with your own target_modules and modules_to_save={whole}."
        )
    return LORA_TARGETS[model_type]


def load_adapter(model: Any, source: str | Path, *, is_trainable: bool = False, **kwargs: Any) -> PeftModel:
    """Put a saved adapter on its base model; PEFT itself only warns of missing keys and passes over unexpected ones.

    Args:
        model: the base, as it was before `add_lora`.
        source: local folder or Hub id of the adapter, in safetensors.
        is_trainable: whether its training goes on.
        kwargs: of the Hub (`revision`, `token`, `cache_dir`, ...).

    Returns:
        A `PeftModel`, in evaluation mode unless it is trainable.

    Raises:
        ValueError: keys are missing, unexpected or of another shape; names the first.
        FileNotFoundError: there is no such adapter, or it is not in safetensors.
    """
    folder = fetch_model(source, **kwargs).folder
    if not (folder / SAFETENSORS_WEIGHTS_NAME).is_file():
        raise FileNotFoundError(
            f"{source} has no {SAFETENSORS_WEIGHTS_NAME}; adapters are read from safetensors only."
        )
    config = PeftConfig.from_pretrained(str(folder))
    config.inference_mode = not is_trainable
    adapted = get_peft_model(model, config)
    weights = load_peft_weights(str(folder), device="cpu")
    expected = get_peft_model_state_dict(adapted)
    faults = {
        "missing": sorted(set(expected) - set(weights)),
        "unexpected": sorted(set(weights) - set(expected)),
        "of another shape": sorted(
            key for key in set(weights) & set(expected) if weights[key].shape != expected[key].shape
        ),
    }
    if any(faults.values()):
        listed = "; ".join(f"{len(keys)} keys {name}, such as {keys[0]}" for name, keys in faults.items() if keys)
        raise ValueError(f"{source} is no complete adapter of this model: {listed}. Train or download it again.")
    _widen_as_saved(adapted, expected, weights)
    set_peft_model_state_dict(adapted, weights)
    return adapted if is_trainable else adapted.eval()


def _widen_as_saved(model: PeftModel, own: dict[str, torch.Tensor], saved: dict[str, torch.Tensor]) -> None:
    """Cast to fp32 what is in half precision, as the base is, but was saved in fp32: parts that are trained whole."""
    narrow = {
        own[key].data_ptr()
        for key, value in saved.items()
        if value.dtype == torch.float32 and own[key].dtype in (torch.bfloat16, torch.float16)
    }
    for parameter in model.parameters():
        if parameter.data_ptr() in narrow:
            parameter.data = parameter.data.float()


def merge_adapter(source: str | Path, **kwargs: Any) -> Any:
    """A plain model: the adapter's base model with the adapter merged into its weights.

    Args:
        source: local folder or Hub id of the adapter; its configuration names the base model.
        kwargs: as in `load_adapter`.

    Returns:
        The generator, retriever or re-ranker in evaluation mode, with the temperature and thresholds that `rablip
        train` fitted for the adapter, where it did.

    Raises:
        As `load_adapter`; ValueError where it names no base model, OSError where that cannot be found.
    """
    folder = fetch_model(source, **kwargs).folder
    name, revision = _find_base(folder)
    base = AutoModel.from_pretrained(name, revision=revision or "main")
    merged = load_adapter(base, folder).merge_and_unload().eval()
    for field, value in _read_fitted(folder).items():
        setattr(merged.config, field, value)
    return merged


def load_base_processor(source: str | Path, **kwargs: Any) -> Any:
    """The processor saved with an adapter, or else that of its base model.

    Args:
        source: local folder or Hub id of the adapter.
        kwargs: as in `load_adapter`.

    Raises:
        ValueError: the adapter names no base model.
    """
    folder = fetch_model(source, **kwargs).folder
    if (folder / "processor_config.json").is_file():
        return AutoProcessor.from_pretrained(folder)
    name, revision = _find_base(folder)
    return AutoProcessor.from_pretrained(name, revision=revision or "main")


def _read_fitted(folder: Path) -> dict[str, float]:
    """What was fitted on validation data and belongs into the configuration; nothing for an adapter made elsewhere."""
    file = folder / SUMMARY_NAME
    if not file.is_file():
        return {}
    fitted = json.loads(file.read_text(encoding="utf-8")).get("fitted") or {}
    return {field: float(fitted[field]) for field in _FITTED_FIELDS if field in fitted}


def _find_base(folder: Path) -> tuple[str, str | None]:
    config = PeftConfig.from_pretrained(str(folder))
    if not config.base_model_name_or_path:
        raise ValueError(f"The adapter {folder} does not name its base model. Load that, then use `load_adapter`.")
    return config.base_model_name_or_path, config.revision


__all__ = ["TRAINED_PARTS", "add_lora", "load_adapter", "load_base_processor", "merge_adapter"]
