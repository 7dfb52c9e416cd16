"""InstructBLIP's checkpoints give here what they give in transformers, and nothing of them is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, InstructBlipConfig, InstructBlipForConditionalGeneration

from rablip import RablipConfig, RablipForConditionalGeneration, RablipRetrieverConfig
from rablip.modeling_rablip.conversion_instructblip_rablip import (
    MODULES_NEW_TO_INSTRUCTBLIP,
    configure_from_instructblip,
)

GOLDEN = Path(__file__).parent.parent / "fixtures" / "golden"
NAMES = ("instructblip-t5-tiny", "instructblip-llama-tiny")
PROMPT = ("input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask")
LOGITS_TOLERANCE = 2e-4


def read_golden(name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The recorded prompt with its one picture a row, labels, and outputs."""
    inputs, outputs = (load_file(GOLDEN / name / f"{side}.safetensors") for side in ("inputs", "outputs"))
    prompt = {key: inputs[key] for key in PROMPT} | {"pixel_values": inputs["pixel_values"].unsqueeze(1)}
    return prompt, inputs, outputs


def count_padding_too(prompt: dict[str, torch.Tensor]) -> torch.Tensor:
    """The positions of InstructBLIP's own forward."""
    return torch.arange(prompt["input_ids"].shape[1]).expand_as(prompt["input_ids"])


def until_end(ids: torch.Tensor, end: int) -> list[list[int]]:
    """Ids of each row up to its first end token: searches differ in what they fill up with."""
    rows = ids.tolist()
    return [row[: row.index(end) + 1] if end in row else row for row in rows]


@pytest.fixture(scope="module", params=NAMES)
def converted(request: pytest.FixtureRequest) -> tuple[str, RablipForConditionalGeneration]:
    return request.param, RablipForConditionalGeneration.from_instructblip(GOLDEN / request.param / "checkpoint")


def test_logits_and_loss_are_those_of_instructblip(converted: tuple[str, RablipForConditionalGeneration]) -> None:
    name, model = converted
    prompt, inputs, outputs = read_golden(name)
    with torch.no_grad():
        ours = model(**prompt, labels=inputs["labels"], position_ids=count_padding_too(prompt))
    torch.testing.assert_close(ours.logits, outputs["logits"], atol=LOGITS_TOLERANCE, rtol=0)
    torch.testing.assert_close(ours.loss.reshape(1), outputs["loss"], atol=1e-4, rtol=0)
    torch.testing.assert_close(ours.query_states, outputs["qformer.query_output"], atol=2e-5, rtol=0)


def test_rows_alone_are_those_of_instructblip_without_more_ado(
    converted: tuple[str, RablipForConditionalGeneration],
) -> None:
    name, model = converted
    stock = InstructBlipForConditionalGeneration.from_pretrained(GOLDEN / name / "checkpoint").eval()
    prompt, inputs, _ = read_golden(name)
    for row in range(3):
        kept = prompt["attention_mask"][row].bool()
        one = {key: value[row : row + 1] for key, value in prompt.items()}
        one |= {"input_ids": one["input_ids"][:, kept], "attention_mask": one["attention_mask"][:, kept]}
        labels = inputs["labels"][row : row + 1]
        if not model.config.is_encoder_decoder:
            labels = labels[:, kept]
        with torch.no_grad():
            ours = model(**one, labels=labels).logits
            theirs = stock(**{**one, "pixel_values": one["pixel_values"][:, 0]}, labels=labels).logits
        torch.testing.assert_close(ours, theirs, atol=LOGITS_TOLERANCE, rtol=0)


@pytest.mark.parametrize("search", ["greedy", "beam3", "beam5_rep1.5"])
def test_greedy_and_beam_tokens_are_identical(
    converted: tuple[str, RablipForConditionalGeneration], search: str
) -> None:
    name, model = converted
    prompt, _, outputs = read_golden(name)
    settings = json.loads((GOLDEN / name / "meta.json").read_text())["generation"]
    start = 0 if model.config.is_encoder_decoder else prompt["input_ids"].shape[1]
    expected = outputs[f"generate.{search}_ids"][:, start:]
    found = model.generate(**prompt, max_new_tokens=settings["max_new_tokens"], do_sample=False, **settings[search])
    end = model.generation_config.eos_token_id
    assert until_end(found, end) == until_end(expected, end)


def test_the_prompt_never_comes_back(converted: tuple[str, RablipForConditionalGeneration]) -> None:
    _, model = converted
    prompt, _, _ = read_golden(converted[0])
    ids = model.generate(**prompt, max_new_tokens=3, do_sample=False)
    whole = model.generate(**prompt, max_new_tokens=3, do_sample=False, return_dict_in_generate=True)
    assert torch.equal(whole.sequences, ids) and ids.shape[1] <= 4


def test_a_converted_model_is_saved_and_loaded_without_a_change(
    converted: tuple[str, RablipForConditionalGeneration], tmp_path: Path
) -> None:
    name, model = converted
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is RablipForConditionalGeneration
    prompt, inputs, _ = read_golden(name)
    with torch.no_grad():
        arguments = {**prompt, "labels": inputs["labels"]}
        assert torch.equal(loaded(**arguments).logits, model(**arguments).logits)


@pytest.mark.parametrize("saved_first", [False, True])
def test_an_untied_head_survives_a_resize(saved_first: bool, tmp_path: Path) -> None:
    """transformers ties the head of every T5 again when it resizes, and Flan-T5's head is not tied."""
    model = RablipForConditionalGeneration.from_instructblip(GOLDEN / NAMES[0] / "checkpoint")
    if saved_first:
        model.save_pretrained(tmp_path)
        model = RablipForConditionalGeneration.from_pretrained(tmp_path)
    head, words = (layer.weight.clone() for layer in (model.get_output_embeddings(), model.get_input_embeddings()))
    assert not torch.equal(head, words)
    model.resize_token_embeddings(len(words) + 3)
    model.tie_weights()
    assert torch.equal(model.get_output_embeddings().weight[: len(head)], head)
    assert torch.equal(model.get_input_embeddings().weight[: len(words)], words)


def test_two_conversions_are_the_same_and_judge_nothing(converted: tuple[str, RablipForConditionalGeneration]) -> None:
    name, model = converted
    torch.manual_seed(1)
    again = RablipForConditionalGeneration.from_instructblip(GOLDEN / name / "checkpoint")
    prompt, _, _ = read_golden(name)
    relevance = {"reference_positions": torch.tensor([[8, 9], [8, -1], [8, 9]])}
    segments = torch.zeros_like(prompt["input_ids"])
    segments[:, -6:] = torch.tensor([1, 1, 2, 2, 3, 3])
    for one in (model, again):
        found = one.predict_relevance(**prompt, **relevance, segment_ids=segments)
        assert found.tolist() == [[0.5, 0.5], [0.5, 0.0], [0.5, 0.5]]
    assert model.config.citation_threshold == model.config.abstain_threshold == 0


def test_fields_that_the_checkpoint_does_not_decide() -> None:
    model = RablipForConditionalGeneration.from_instructblip(
        GOLDEN / NAMES[0] / "checkpoint",
        config_fields={"max_images": 3, "adaptive_fusion_config": {"num_hidden_layers": 0, "num_attention_heads": 4}},
        dtype=torch.bfloat16,
    )
    assert model.config.max_images == 3 and not model.fusion.layers and model.dtype == torch.bfloat16


def test_other_checkpoints_and_missing_weights_are_refused(tmp_path: Path) -> None:
    RablipRetrieverConfig().save_pretrained(tmp_path / "retriever")
    with pytest.raises(TypeError, match="'instructblip'.*'rablip_retriever'"):
        RablipForConditionalGeneration.from_instructblip(tmp_path / "retriever")
    stock = InstructBlipForConditionalGeneration.from_pretrained(GOLDEN / NAMES[0] / "checkpoint")
    state = stock.state_dict()
    del state["qformer.embeddings.layernorm.weight"]
    stock.save_pretrained(tmp_path / "torn", state_dict=state)
    with pytest.raises(ValueError, match=r"1 missing \(qformer\.embeddings\.layernorm\.weight\)"):
        RablipForConditionalGeneration.from_instructblip(tmp_path / "torn")


@pytest.mark.parametrize("size", ["xl", "xxl"])
def test_full_size_has_the_keys_of_instructblip(size: str) -> None:
    """ViT-g and Flan-T5 at full size, on the meta device: every key of InstructBLIP is used, with its shape."""
    text = {
        "xl": {"d_model": 2048, "d_ff": 5120, "num_layers": 24, "num_heads": 32},
        "xxl": {"d_model": 4096, "d_ff": 10240, "num_layers": 24, "num_heads": 64},
    }[size]
    config = InstructBlipConfig(
        text_config={"model_type": "t5", "d_kv": 64, "vocab_size": 32128, "feed_forward_proj": "gated-gelu", **text},
        image_token_index=32100,
    )
    with torch.device("meta"):
        theirs = InstructBlipForConditionalGeneration(config).state_dict()
        ours = RablipForConditionalGeneration(RablipConfig(**configure_from_instructblip(config))).state_dict()
    named = {"query_tokens.weight" if key == "query_tokens" else key: value.shape for key, value in theirs.items()}
    assert {key: ours[key].shape for key in named} == named
    assert {key.split(".")[0] for key in ours.keys() - named.keys()} == set(MODULES_NEW_TO_INSTRUCTBLIP)
    assert sum(value.numel() for value in theirs.values()) > {"xl": 3.9e9, "xxl": 12e9}[size]
