"""Tiny random models of every class, shared by the tests (two layers, width 32, 16x16 pictures)."""

from __future__ import annotations

from typing import Any

import torch

from rablip import (
    RablipConfig,
    RablipForConditionalGeneration,
    RablipReranker,
    RablipRerankerConfig,
    RablipRetriever,
    RablipRetrieverConfig,
)

IMAGE_SIZE = 16
NUM_IMAGE_TOKENS = 5
NUM_QUERY_TOKENS = 3
QFORMER_VOCAB_SIZE = 120
LM_VOCAB_SIZE = 140
IMAGE_TOKEN_ID = 139


def trunk_arguments(**overrides: Any) -> dict[str, Any]:
    """Keyword arguments that every composite configuration takes."""
    arguments: dict[str, Any] = {
        "vision_config": {
            "hidden_size": 24,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": IMAGE_SIZE,
            "patch_size": 8,
            "initializer_range": 0.2,
        },
        "qformer_config": {
            "vocab_size": QFORMER_VOCAB_SIZE,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 256,
            "initializer_range": 0.2,
        },
        "adaptive_fusion_config": {
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "initializer_range": 0.2,
        },
        "num_query_tokens": NUM_QUERY_TOKENS,
        "max_images": 3,
        "initializer_range": 0.2,
    }
    arguments.update(overrides)
    return arguments


def text_arguments(language_model: str) -> dict[str, Any]:
    """A T5 or a Llama of two layers."""
    if language_model == "t5":
        return {
            "model_type": "t5",
            "vocab_size": LM_VOCAB_SIZE,
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 4,
            "decoder_start_token_id": 0,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "dropout_rate": 0.0,
        }
    return {
        "model_type": "llama",
        "vocab_size": LM_VOCAB_SIZE,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "initializer_range": 0.2,
    }


@torch.no_grad()
def stir(model: torch.nn.Module, *, seed: int = 0, scale: float = 0.2) -> torch.nn.Module:
    """Give the zero-initialised weights (fusion outputs, slots, pooler) random values, so that tests see them act."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if not parameter.any():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


def make_retriever(*, seed: int = 0, **overrides: Any) -> RablipRetriever:
    """A tiny retriever in evaluation mode with every weight active."""
    torch.manual_seed(seed)
    config = RablipRetrieverConfig(**{"retrieval_config": {"embedding_dim": 16}, **trunk_arguments(**overrides)})
    return stir(RablipRetriever(config)).eval()


def make_reranker(*, seed: int = 0, **overrides: Any) -> RablipReranker:
    """A tiny re-ranker in evaluation mode with every weight active."""
    torch.manual_seed(seed)
    config = RablipRerankerConfig(**{"retrieval_config": {"embedding_dim": 16}, **trunk_arguments(**overrides)})
    return stir(RablipReranker(config)).eval()


def make_generator(language_model: str = "t5", *, seed: int = 0, **overrides: Any) -> RablipForConditionalGeneration:
    """A tiny generator in evaluation mode with every weight active."""
    torch.manual_seed(seed)
    arguments = {
        "text_config": text_arguments(language_model),
        "image_token_index": IMAGE_TOKEN_ID,
        "matching_dim": 16,
    }
    config = RablipConfig(**{**trunk_arguments(), **arguments, **overrides})
    return stir(RablipForConditionalGeneration(config)).eval()
