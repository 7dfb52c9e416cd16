"""From BLIP-2's matching checkpoints: which configuration they give, and how their weights are called here."""

from __future__ import annotations

from typing import Any

from transformers import Blip2Config, PreTrainedConfig

# BLIP-2's name -> ours, as `from_pretrained(key_mapping=...)` takes them. Vision tower, Q-Former layers and
# projections are called alike; BLIP-2 keeps the Q-Former's embeddings outside of it.
BLIP2_KEY_MAPPING = {
    r"^query_tokens$": "query_tokens.weight",
    r"^embeddings\.": "qformer.embeddings.",
    r"^qformer\.layernorm\.": "qformer.embeddings.layernorm.",
}
# What a BLIP-2 checkpoint does not have. Slots and fusion start at zero and change nothing.
MODULES_NEW_TO_BLIP2 = ("image_slots", "fusion", "logit_scale")


def configure_from_blip2(config: PreTrainedConfig, **fields: Any) -> dict[str, Any]:
    """The fields under which the parts of a BLIP-2 checkpoint give what they gave before.

    Args:
        config: a `Blip2Config`.
        fields: further fields, which take precedence.

    Returns:
        Fields of the retriever's or the re-ranker's configuration.

    Raises:
        TypeError: `config` is of another kind of model.
        ValueError: it has no space for images and texts: it is no checkpoint for matching.
    """
    if config.model_type != Blip2Config.model_type:
        raise TypeError(
            f"Expected the configuration of a BLIP-2 checkpoint (model_type {Blip2Config.model_type!r}), got "
            f"{config.model_type!r}."
        )
    qformer = config.qformer_config.to_dict()
    if not qformer.pop("use_qformer_text_input", False):
        raise ValueError(
            "This BLIP-2 checkpoint's Q-Former reads no text, so it cannot compare pictures with questions. Use one "
            "of Blip2ForImageTextRetrieval, such as Salesforce/blip2-itm-vit-g."
        )
    vision = config.vision_config.to_dict()
    for part in (qformer, vision):
        part.pop("model_type")
    return {
        "vision_config": vision,
        "qformer_config": qformer,
        "num_query_tokens": config.num_query_tokens,
        "initializer_range": config.initializer_range,
        "adaptive_fusion_config": {
            "num_attention_heads": qformer["num_attention_heads"],
            "intermediate_size": qformer["intermediate_size"],
        },
        "retrieval_config": {"embedding_dim": config.image_text_hidden_size, "vectors": "per_query"},
        **fields,
    }


__all__ = ["BLIP2_KEY_MAPPING", "MODULES_NEW_TO_BLIP2", "configure_from_blip2"]
