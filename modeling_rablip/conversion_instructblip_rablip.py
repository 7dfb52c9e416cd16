"""From InstructBLIP's checkpoints: which configuration they give, and how their weights are called here.

The parts keep InstructBLIP's names, so one weight is renamed and nothing is copied by hand: transformers' own loading
does the rest, for sharded checkpoints, `device_map`, `dtype` and quantisation alike.
"""

from __future__ import annotations

from typing import Any

from transformers import InstructBlipConfig, PreTrainedConfig

# InstructBLIP's name -> ours, as `from_pretrained(key_mapping=...)` takes them.
INSTRUCTBLIP_KEY_MAPPING = {r"^query_tokens$": "query_tokens.weight"}
# What an InstructBLIP checkpoint does not have. Slots and fusion start at zero and change nothing.
MODULES_NEW_TO_INSTRUCTBLIP = (
    "image_slots",
    "fusion",
    "relevance_head",
    "segment_pooler",
    "matching_projection",
    "matching_head",
)


def configure_from_instructblip(config: PreTrainedConfig, **fields: Any) -> dict[str, Any]:
    """The fields under which the parts of an InstructBLIP checkpoint give what they gave before.

    Args:
        config: an `InstructBlipConfig`.
        fields: further fields, which take precedence.

    Returns:
        Fields of `RablipConfig`. Nobody has trained the relevance of this checkpoint, so its thresholds
        are 0: all evidence shown is cited, and nothing makes it abstain.

    Raises:
        TypeError: `config` is of another kind of model.
    """
    if config.model_type != InstructBlipConfig.model_type:
        raise TypeError(
            f"Expected the configuration of an InstructBLIP checkpoint (model_type "
            f"{InstructBlipConfig.model_type!r}), got {config.model_type!r}."
        )
    qformer = config.qformer_config
    return {
        "vision_config": config.vision_config,
        "qformer_config": qformer,
        "text_config": config.text_config,
        "num_query_tokens": config.num_query_tokens,
        "image_token_index": config.image_token_index,
        "initializer_range": config.initializer_range,
        "citation_threshold": 0.0,
        "abstain_threshold": 0.0,
        "adaptive_fusion_config": {
            "num_attention_heads": qformer.num_attention_heads,
            "intermediate_size": qformer.intermediate_size,
        },
        **fields,
    }


__all__ = ["INSTRUCTBLIP_KEY_MAPPING", "MODULES_NEW_TO_INSTRUCTBLIP", "configure_from_instructblip"]
