"""LoRA on the language model beside full training of the parts that RA-BLIP trains."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

TRAINED_PARTS = (
    "query_tokens",
    "qformer",
    "image_slots",
    "fusion",
    "language_projection",
    "relevance_head",
    "segment_pooler",
    "matching_projection",
    "matching_head",
)
_LORA_TARGETS = {
    "t5": r"language_model\..*\.(q|k|v|o|wi|wi_0|wi_1|wo)",
    "llama": r"language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
}


def add_lora(model: Any, *, rank: int = 16, alpha: int | None = None, dropout: float = 0.0) -> PeftModel:
    """Wrap a generator: LoRA on its frozen language model, everything else but the vision tower trained in full.

    Args:
        model: a `RablipForConditionalGeneration`.
        rank: LoRA rank.
        alpha: LoRA scaling numerator; twice the rank by default.
        dropout: LoRA dropout.

    Returns:
        A `PeftModel`; `merge_and_unload()` gives a plain generator back.

    Raises:
        ValueError: there is no preset for the language model's type.
    """
    model_type = model.config.text_config.model_type
    if model_type not in _LORA_TARGETS:
        raise ValueError(
            f"There is no LoRA preset for language models of type {model_type!r}, only for "
            f"{sorted(_LORA_TARGETS)}. Build a LoraConfig with your own target_modules and "
            f"modules_to_save={list(TRAINED_PARTS)}."
        )
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank if alpha is None else alpha,
        lora_dropout=dropout,
        target_modules=_LORA_TARGETS[model_type],
        modules_to_save=list(TRAINED_PARTS),
    )
    return get_peft_model(model, config)


__all__ = ["TRAINED_PARTS", "add_lora"]
