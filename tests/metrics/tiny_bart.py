"""A random BART of two layers and a tokenizer of letters: no file, no network."""

from __future__ import annotations

import string
from typing import Any

import torch
from transformers import BartConfig, BartForConditionalGeneration, BartTokenizer

MAX_POSITIONS = 48


def make_bart_tokenizer() -> Any:
    """A byte-level tokenizer of letters and digits that wraps texts in <s> and </s>."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "Ġ", *string.ascii_letters, *string.digits, "an", "Ġan"]
    return BartTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[("a", "n"), ("Ġ", "an")]
    )


def make_bart(**options: Any) -> BartForConditionalGeneration:
    """A BART with random weights large enough that its scores differ from text to text."""
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=len(make_bart_tokenizer()),
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_position_embeddings=MAX_POSITIONS,
        init_std=0.4,
        **options,
    )
    return BartForConditionalGeneration(config).eval()
