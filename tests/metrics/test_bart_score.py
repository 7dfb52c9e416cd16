"""The likelihood scorer against a loop over tokens, with a tiny random BART and a tokenizer made here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from rablip.metrics import BartScorer

WORDS = "the door is red a very old light in harbor it opened".split()


def make_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {token: number for number, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def make_model() -> BartForConditionalGeneration:
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=4 + len(WORDS), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2,
    )  # fmt: skip
    model = BartForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)  # so that likelihoods differ
    return model


SOURCES = ["the door is red", "it opened in the harbor", "red"]
TARGETS = ["a red door", "the very old light opened in the harbor", "red"]


def score_by_hand(source: str, target: str) -> float:
    """Token by token: what comes first is the start token, then what was said."""
    model, tokenizer = make_model(), make_tokenizer()
    read = tokenizer(source, return_tensors="pt")
    said = tokenizer(target)["input_ids"]
    logs = []
    for place, token in enumerate(said):
        before = torch.tensor([[2, *said[:place]]])
        with torch.no_grad():
            logits = model(
                input_ids=read["input_ids"], attention_mask=read["attention_mask"], decoder_input_ids=before
            ).logits
        logs.append(logits[0, -1].log_softmax(-1)[token].item())
    return sum(logs) / len(logs)


def test_equal_to_a_loop_over_tokens_whatever_the_batch() -> None:
    expected = [score_by_hand(source, target) for source, target in zip(SOURCES, TARGETS, strict=True)]
    for batch_size in (1, 2, 8):
        scorer = BartScorer(make_model(), make_tokenizer(), batch_size=batch_size)
        assert scorer(SOURCES, TARGETS) == pytest.approx(expected, abs=1e-5), "padding never counts"
    assert len({round(value, 3) for value in expected}) == 3


def test_the_direction_matters() -> None:
    scorer = BartScorer(make_model(), make_tokenizer())
    assert scorer(SOURCES[:1], TARGETS[:1])[0] != pytest.approx(scorer(TARGETS[:1], SOURCES[:1])[0], abs=1e-3)


def test_loaded_from_a_folder_and_never_from_elsewhere(tmp_path: Path) -> None:
    make_model().save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    loaded = BartScorer.from_pretrained(tmp_path, batch_size=2)
    assert loaded(SOURCES, TARGETS) == pytest.approx(
        BartScorer(make_model(), make_tokenizer())(SOURCES, TARGETS), abs=1e-6
    )
    with pytest.raises(FileNotFoundError, match="no folder"):
        BartScorer.from_pretrained("facebook/bart-large-cnn")
    with pytest.raises(ValueError, match="1 sources for 2 targets"):
        loaded(["a"], ["a", "the"])
    with pytest.raises(ValueError, match="batch_size"):
        BartScorer(make_model(), make_tokenizer(), batch_size=0)
