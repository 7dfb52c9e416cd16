"""Tiny tokenizers and processors for tests, built from letters alone: no file, no network, vocabularies below 140."""

from __future__ import annotations

import string
from typing import Any

from transformers import BertTokenizer, BlipImageProcessorPil, GPT2Tokenizer, LlamaTokenizer, T5Tokenizer

from rablip.processing import RablipProcessor, RablipRetrieverProcessor

PUNCTUATION = "?.,:|[]/()'-<>_"
IMAGE_SIZE = 16


def make_qformer_tokenizer() -> Any:
    """A BERT word-piece tokenizer of single letters and digits (108 tokens)."""
    symbols = string.ascii_lowercase + string.digits
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *symbols, *(f"##{symbol}" for symbol in symbols)]
    pieces += [*PUNCTUATION, "question", "picture", "text"]
    return BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})


def make_t5_tokenizer() -> Any:
    """A T5 unigram tokenizer of single letters and a few words (117 tokens), ending texts with </s>."""
    words = ["▁question", "▁picture", "▁text", "▁answer", "▁reference"]
    pieces = ["<pad>", "</s>", "<unk>", "▁", *string.ascii_letters, *string.digits, *PUNCTUATION, *words]
    vocab = [(piece, 0.0 if i < 3 else -float(len(pieces)) / (len(piece) + 1)) for i, piece in enumerate(pieces)]
    return T5Tokenizer(vocab=vocab, extra_ids=5)


def make_llama_tokenizer(**options: Any) -> Any:
    """A Llama tokenizer of single letters (BOS in front, padding on the left)."""
    pieces = ["<unk>", "<s>", "</s>", "<pad>", "▁", *string.ascii_letters, *string.digits, *PUNCTUATION, "an", "▁an"]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    return LlamaTokenizer(vocab=vocab, merges=[("a", "n"), ("▁", "an")], pad_token="<pad>", **options)


def make_gpt2_tokenizer() -> Any:
    """A byte-level tokenizer without BOS, EOS or prefix blank of its own; it pads on the right."""
    pieces = ["<|endoftext|>", "<pad>", "Ġ", *string.ascii_letters, *string.digits, *PUNCTUATION, "re", "Ġre"]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    return GPT2Tokenizer(vocab=vocab, merges=[("r", "e"), ("Ġ", "re")], pad_token="<pad>")


def make_image_processor() -> Any:
    """The Pillow-backed image processor at 16x16 pixels."""
    return BlipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})


def make_retriever_processor(**options: Any) -> RablipRetrieverProcessor:
    """A retriever processor from tiny parts."""
    return RablipRetrieverProcessor(make_image_processor(), make_qformer_tokenizer(), **options)


def make_processor(language_model: str = "t5", **options: Any) -> RablipProcessor:
    """A generator processor for "t5", "llama" or "gpt2", from tiny parts."""
    make = {"t5": make_t5_tokenizer, "llama": make_llama_tokenizer, "gpt2": make_gpt2_tokenizer}[language_model]
    options = {"num_query_tokens": 3, "causal_lm": language_model != "t5", **options}
    return RablipProcessor(make_image_processor(), make(), make_qformer_tokenizer(), **options)
