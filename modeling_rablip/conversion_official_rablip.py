"""The public RA-BLIP release's and LAVIS's state dicts, key by key, to rablip's names and back.

Of such a file every key is used, or named in an error. Written from the list of keys and shapes, not from its code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedConfig

from ..configuration.configuration_rablip import RablipConfig

# (their name, ours) of prefixes and parts; each pair is read in both directions, the first that fits counts.
_RENAMED = (
    ("visual_encoder.cls_token", "vision_model.embeddings.class_embedding"),
    ("visual_encoder.pos_embed", "vision_model.embeddings.position_embedding"),
    ("visual_encoder.patch_embed.proj.", "vision_model.embeddings.patch_embedding."),
    ("visual_encoder.blocks.", "vision_model.encoder.layers."),
    ("ln_vision.", "vision_model.post_layernorm."),
    ("query_tokens", "query_tokens.weight"),
    ("pos_embeds", "image_slots.position_embeddings.weight"),
    ("type_embeds", "image_slots.slot_embeddings.weight"),
    ("Qformer.bert.embeddings.LayerNorm.", "qformer.embeddings.layernorm."),
    ("Qformer.bert.embeddings.", "qformer.embeddings."),
    ("Qformer.bert.encoder.layer.", "qformer.encoder.layer."),
    ("t5_model.", "language_model."),
    ("t5_proj.", "language_projection."),
)
_RENAMED_IN_VISION = (
    (".norm1.", ".layer_norm1."),
    (".norm2.", ".layer_norm2."),
    (".attn.qkv.", ".self_attn.qkv."),
    (".attn.proj.", ".self_attn.projection."),
)
_RENAMED_IN_QFORMER = (
    (".attention.self.", ".attention.attention."),
    (".crossattention.self.", ".crossattention.attention."),
)
_POSITIONS = "Qformer.bert.embeddings.position_ids"  # 0, 1, 2, ...: nothing that was learned
_BIASES = re.compile(r"^visual_encoder\.blocks\.(\d+)\.attn\.(q|v)_bias$")

# What the release does not have; what LAVIS's InstructBLIP, on which it builds, does not have either.
MODULES_NEW_TO_OFFICIAL = ("fusion", "relevance_head", "segment_pooler", "matching_projection", "matching_head")


def configure_from_official(
    state: Mapping[str, torch.Tensor],
    *,
    qformer_config: Mapping[str, Any],
    text_config: PreTrainedConfig,
    image_token_index: int,
    num_vision_heads: int = 16,
) -> RablipConfig:
    """The configuration of a release's state dict; sizes are read from the shapes.

    Args:
        state: the state dict.
        qformer_config: the values of the BERT configuration that the Q-Former was built from (the number of heads is
            in no shape).
        text_config: the language model's configuration.
        image_token_index: id of the image token, which the release does not have: it puts the queries first.
        num_vision_heads: heads of the vision tower; 16 is ViT-g's.

    Returns:
        [`RablipConfig`] that computes what the release computes: exact GELU in T5, and query outputs in front of
        every prompt, also of one without a picture.

    Raises:
        ValueError: a key from which a size is read is missing.
    """
    needed = ("visual_encoder.cls_token", "visual_encoder.pos_embed", "visual_encoder.patch_embed.proj.weight")
    needed += (
        "visual_encoder.blocks.0.mlp.fc1.weight",
        "query_tokens",
        "Qformer.bert.embeddings.word_embeddings.weight",
    )
    missing = [key for key in needed if key not in state]
    if missing:
        raise ValueError(
            f"This is no state dict of the RA-BLIP release or of LAVIS's InstructBLIP: it lacks {missing}."
        )
    hidden_size, patch_size = state["visual_encoder.cls_token"].shape[-1], state[needed[2]].shape[-1]
    num_patches = state["visual_encoder.pos_embed"].shape[1] - 1
    side = round(num_patches**0.5)
    layers = {int(key.split(".")[2]) for key in state if key.startswith("visual_encoder.blocks.")}
    crossed = sorted({int(key.split(".")[4]) for key in state if ".crossattention." in key})
    read = ("hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "max_position_embeddings")
    read += ("hidden_act", "layer_norm_eps", "pad_token_id", "hidden_dropout_prob", "attention_probs_dropout_prob")
    qformer = {name: qformer_config[name] for name in read if name in qformer_config}
    text_config.dense_act_fn = "gelu"
    slots = state["type_embeds"].shape[0] if "type_embeds" in state else 2
    return RablipConfig(
        vision_config={
            "hidden_size": hidden_size,
            "intermediate_size": state[needed[3]].shape[0],
            "num_hidden_layers": len(layers),
            "num_attention_heads": num_vision_heads,
            "image_size": side * patch_size,
            "patch_size": patch_size,
        },
        qformer_config={
            **qformer,
            "vocab_size": state[needed[5]].shape[0],
            "cross_attention_frequency": crossed[1] - crossed[0] if len(crossed) > 1 else 1,
        },
        adaptive_fusion_config={name: qformer[name] for name in ("num_attention_heads", "intermediate_size")},
        text_config=text_config,
        num_query_tokens=state["query_tokens"].shape[1],
        max_images=slots,
        image_token_index=image_token_index,
        queries_without_pictures=True,
        citation_threshold=0.0,
        abstain_threshold=0.0,
    )


def convert_official_state_dict(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A release's state dict under rablip's names.

    Args:
        state: the state dict, every tensor in its own dtype.

    Returns:
        The same values; biases of queries and values join (keys have none), embeddings lose their empty dimensions.

    Raises:
        ValueError: a key is unknown, or half of a bias is missing; all of them are named.
    """
    converted: dict[str, torch.Tensor] = {}
    unknown = []
    for key, value in state.items():
        if key == _POSITIONS or _BIASES.match(key):
            continue
        name = _rename(key, 0, 1)
        if name is None:
            unknown.append(key)
        elif name.startswith("image_slots."):
            converted[name] = value.reshape(-1, value.shape[-1])
        else:
            converted[name] = value
    for layer in {found[1] for found in map(_BIASES.match, state) if found}:
        query, value = (state.get(f"visual_encoder.blocks.{layer}.attn.{side}_bias") for side in "qv")
        if query is None or value is None:
            raise ValueError(
                f"visual_encoder.blocks.{layer}.attn has only one of q_bias and v_bias. Get the whole file."
            )
        joined = torch.cat([query, torch.zeros_like(value), value])
        converted[f"vision_model.encoder.layers.{layer}.self_attn.qkv.bias"] = joined
    if unknown:
        raise ValueError(
            f"{len(unknown)} keys are none of the RA-BLIP release's or LAVIS's InstructBLIP's: "
            f"{', '.join(unknown[:10])}{', ...' if len(unknown) > 10 else ''}. Nothing was converted."
        )
    return converted


def restore_official_state_dict(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inverse of `convert_official_state_dict`; what the release does not have must be untrained.

    Args:
        state: a converted model's `state_dict()`.

    Returns:
        The release's keys, without `position_ids`, which it makes itself.

    Raises:
        ValueError: the model has a part that the release cannot hold (a fusion that was trained), or a key bias.
    """
    restored: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        if key.split(".")[0] in MODULES_NEW_TO_OFFICIAL:
            if (
                key.startswith("fusion.")
                and key.endswith((".output.weight", "modality_embeddings.weight"))
                and value.any()
            ):
                raise ValueError(
                    f"`{key}` has been trained, and the release has no place for it. Nothing was exported."
                )
        elif key.endswith(".self_attn.qkv.bias"):
            query, middle, last = value.chunk(3)
            if middle.any():
                raise ValueError(f"`{key}` has a bias of the keys, and the release has no place for it.")
            block = key.replace("vision_model.encoder.layers.", "visual_encoder.blocks.").removesuffix(
                ".self_attn.qkv.bias"
            )
            restored |= {f"{block}.attn.q_bias": query.clone(), f"{block}.attn.v_bias": last.clone()}
        else:
            name = _rename(key, 1, 0)
            if name is None:
                raise ValueError(f"`{key}` has no name in the release. Nothing was exported.")
            if name == "pos_embeds":
                value = value[None]
            elif name == "type_embeds":
                value = value[:, None, None]
            restored[name] = value
    return restored


def _rename(key: str, source: int, target: int) -> str | None:
    for pair in _RENAMED:
        theirs = pair[source]
        if key == theirs or (theirs.endswith(".") and key.startswith(theirs)):
            name = pair[target] + key[len(theirs) :]
            for parts, room in ((_RENAMED_IN_VISION, "visual_encoder."), (_RENAMED_IN_QFORMER, "Qformer.")):
                if pair[0].startswith(room):
                    for part in parts:
                        name = name.replace(part[source], part[target])
            return name
    return None


__all__ = [
    "MODULES_NEW_TO_OFFICIAL",
    "configure_from_official",
    "convert_official_state_dict",
    "restore_official_state_dict",
]
