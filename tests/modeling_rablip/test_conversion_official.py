"""The public release's weights give its losses and answers with no, one and two pictures, and go back unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, T5Config

from rablip import RablipConfig, RablipForConditionalGeneration
from rablip.modeling_rablip.conversion_official_rablip import (
    MODULES_NEW_TO_OFFICIAL,
    configure_from_official,
    convert_official_state_dict,
    restore_official_state_dict,
)

GOLDEN = Path(__file__).parent.parent / "fixtures" / "golden" / "rablip-official-tiny"
INPUTS, OUTPUTS = (load_file(GOLDEN / f"{side}.safetensors") for side in ("inputs", "outputs"))
STATE = load_file(GOLDEN / "checkpoint" / "model_state.safetensors")
IMAGE_TOKEN, NUM_QUERIES = 400, 6


def make_config(**changes: Any) -> RablipConfig:
    arguments = {
        "qformer_config": json.loads((GOLDEN / "bert-base-uncased" / "config.json").read_text()),
        "text_config": AutoConfig.from_pretrained(GOLDEN / "flan-t5"),
        "image_token_index": IMAGE_TOKEN,
        "num_vision_heads": 4,
        **changes,
    }
    return configure_from_official(STATE, **arguments)


@pytest.fixture(scope="module")
def model() -> RablipForConditionalGeneration:
    return RablipForConditionalGeneration.from_official_state_dict(STATE, make_config(), dtype=torch.float32)


def make_inputs(step: str, prompt: str | None = None) -> dict[str, torch.Tensor]:
    """A step's recorded inputs, with image tokens where the release puts its query outputs: before the prompt."""
    ids, mask = (INPUTS[f"{prompt or step}.t5_{name}"] for name in ("input_ids", "attention_mask"))
    slots = torch.full((len(ids), NUM_QUERIES), IMAGE_TOKEN)
    pictures = torch.stack([INPUTS["askg.image_pos"], INPUTS["askg.image_neg"]], dim=1)
    return {
        "input_ids": torch.cat([slots, ids], dim=1),
        "attention_mask": torch.cat([torch.ones_like(slots), mask], dim=1),
        "qformer_input_ids": INPUTS[f"{step}.qformer_input_ids"],
        "qformer_attention_mask": INPUTS[f"{step}.qformer_attention_mask"],
        "pixel_values": INPUTS["image"] if step == "qa" else pictures,
        "image_mask": OUTPUTS[f"{step}.image_attention_mask"].unflatten(1, (2, -1))[:, :, 0].long(),
    }


def test_losses_and_logits_of_both_steps(model: RablipForConditionalGeneration) -> None:
    losses = {}
    for step in ("qa", "askg"):
        labels = INPUTS[f"{step}.labels"]
        with torch.no_grad():
            output = model(**make_inputs(step), labels=labels)
        torch.testing.assert_close(output.query_states, OUTPUTS[f"{step}.query_output"], atol=5e-5, rtol=0)
        learned = labels != -100  # the release masks what its decoder reads behind an answer
        torch.testing.assert_close(output.logits[learned], OUTPUTS[f"{step}.logits"][learned], atol=3e-4, rtol=0)
        torch.testing.assert_close(output.loss.reshape(1), OUTPUTS[f"{step}.loss"], atol=1e-4, rtol=0)
        losses[step] = output.loss
    total = losses["qa"] + model.config.askg_loss_weight * losses["askg"]
    torch.testing.assert_close(total.reshape(1), OUTPUTS["total_loss"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("num_pictures", [0, 1, 2])
def test_the_number_of_pictures(model: RablipForConditionalGeneration, num_pictures: int) -> None:
    """The recorded sample has two pictures, of which so many count."""
    inputs = {name: value[:1] for name, value in make_inputs("qa").items()}
    inputs["image_mask"] = (torch.arange(2) < num_pictures).long()[None]
    with torch.no_grad():
        output = model(**inputs, labels=INPUTS["qa.labels"][:1])
    expected = OUTPUTS[f"valid{num_pictures}.query_output"]
    torch.testing.assert_close(
        output.loss.reshape(1), OUTPUTS[f"valid{num_pictures}.loss"].reshape(1), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(output.query_states, expected, atol=5e-5, rtol=0)


def test_without_pictures_alone_as_in_a_batch(model: RablipForConditionalGeneration) -> None:
    inputs = {name: value[1:2] for name, value in make_inputs("qa").items()}
    assert not inputs.pop("image_mask").any()
    del inputs["pixel_values"]
    with torch.no_grad():
        output = model(**inputs)
    torch.testing.assert_close(output.query_states, OUTPUTS["qa.query_output"][1:2], atol=5e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("greedy", {"num_beams": 1}),
        ("greedy_rep1.5", {"num_beams": 1, "repetition_penalty": 1.5}),
        ("beam3_rep1", {"num_beams": 3}),
        ("beam5_default", {"num_beams": 5, "repetition_penalty": 1.5, "length_penalty": 1.0, "min_length": 1}),
    ],
)
def test_generated_ids(model: RablipForConditionalGeneration, name: str, options: dict[str, Any]) -> None:
    steps = [("qa", "gen")] + ([("askg", "askg_gen")] if name == "beam5_default" else [])
    for step, prompt in steps:
        ids = model.generate(**make_inputs(step, prompt), max_new_tokens=12, do_sample=False, **options)
        ended = (ids == 1).cumsum(dim=1) - (ids == 1).long() > 0
        ids = ids.masked_fill(ended, 0)
        expected = OUTPUTS[f"{prompt}_tf5.{name}_ids"]
        assert torch.equal(torch.nn.functional.pad(ids, (0, expected.shape[1] - ids.shape[1])), expected)


def test_gradients_of_the_total_loss() -> None:
    """Of the projection; further down the release lets scores learn that its mask has made meaningless (see below)."""
    model = RablipForConditionalGeneration.from_official_state_dict(STATE, make_config(), dtype=torch.float32)
    for weight, step in ((1.0, "qa"), (0.1, "askg")):
        (weight * model(**make_inputs(step), labels=INPUTS[f"{step}.labels"]).loss).backward()
    for name in ("weight", "bias"):
        expected = OUTPUTS[f"grad.t5_proj.{name}"]
        found = model.language_projection.get_parameter(name).grad
        torch.testing.assert_close(found, expected, atol=1e-3 * float(expected.abs().max()), rtol=0)
    # Row 1 has no picture: in the release its attention is even whatever the scores are, yet they get gradients.
    model.zero_grad()
    rows = {name: value[1:2] for name, value in make_inputs("qa").items()}
    model(**rows, labels=INPUTS["qa.labels"][1:2]).loss.backward()
    layer = model.qformer.encoder.layer[0].crossattention.attention
    assert layer.query.weight.grad.abs().max() < 1e-6 < layer.value.weight.grad.abs().max()


def test_every_key_is_used_and_comes_back(model: RablipForConditionalGeneration) -> None:
    back = restore_official_state_dict(model.state_dict())
    assert back.keys() | {"Qformer.bert.embeddings.position_ids"} == STATE.keys()
    assert all(torch.equal(value, STATE[key].float()) for key, value in back.items())
    ours = convert_official_state_dict(STATE)
    own = {key for key in model.state_dict() if key.split(".")[0] not in MODULES_NEW_TO_OFFICIAL}
    assert ours.keys() == own


def test_keys_that_have_no_place_are_named(model: RablipForConditionalGeneration) -> None:
    with pytest.raises(ValueError, match=r"1 keys are none .*: Qformer\.cls\.bias"):
        convert_official_state_dict({**STATE, "Qformer.cls.bias": torch.zeros(3)})
    torn = {key: value for key, value in STATE.items() if key != "visual_encoder.blocks.1.attn.v_bias"}
    with pytest.raises(ValueError, match="only one of q_bias and v_bias"):
        convert_official_state_dict(torn)
    torn = {key: value for key, value in STATE.items() if key != "t5_proj.bias"}
    with pytest.raises(ValueError, match=r"1 missing \(language_projection\.bias\)"):
        RablipForConditionalGeneration.from_official_state_dict(torn, make_config())
    with pytest.raises(ValueError, match=r"lacks \['query_tokens'\]"):
        configure_from_official(
            {key: value for key, value in STATE.items() if key != "query_tokens"},
            qformer_config={},
            text_config=T5Config(),
            image_token_index=1,
        )
    state = model.state_dict()
    with pytest.raises(ValueError, match="has been trained"):
        restore_official_state_dict({**state, "fusion.layers.0.output.weight": torch.ones(2, 2)})
    with pytest.raises(ValueError, match="has no name in the release"):
        restore_official_state_dict({**state, "retrieval_projection.bias": torch.ones(2)})


def test_full_size_has_the_keys_of_the_release() -> None:
    """ViT-g and Flan-T5-XL at full size, on the meta device: the release's keys, their shapes and its two slots."""
    from transformers import InstructBlipConfig

    from rablip.modeling_rablip.conversion_instructblip_rablip import configure_from_instructblip

    text = {"d_model": 2048, "d_ff": 5120, "num_layers": 24, "num_heads": 32, "d_kv": 64, "vocab_size": 32128}
    source = InstructBlipConfig(
        text_config={"model_type": "t5", "feed_forward_proj": "gated-gelu", **text}, image_token_index=32100
    )
    with torch.device("meta"):
        full = RablipForConditionalGeneration(RablipConfig(**configure_from_instructblip(source))).state_dict()
    # The values are not there, only the names and shapes are.
    names = {key for key in full if key.split(".")[0] not in MODULES_NEW_TO_OFFICIAL}
    zeros = {key: torch.zeros(1, 1).expand(full[key].shape) if full[key].dim() > 1 else full[key] for key in names}
    zeros |= {key: torch.zeros(full[key].shape) for key in names if key.endswith("qkv.bias")}
    theirs = restore_official_state_dict(zeros)
    pattern = {key.replace(".1.", ".0.").replace(".2.", ".0.").replace(".3.", ".0.") for key in STATE}
    for key in theirs:
        assert any(same_place(key, known) for known in pattern), key
    assert theirs["pos_embeds"].shape == (1, 2 * 257, 1408) and theirs["type_embeds"].shape == (2, 1, 1, 1408)
    assert theirs["Qformer.bert.encoder.layer.10.crossattention.self.key.weight"].shape == (768, 1408)
    converted = convert_official_state_dict(theirs)
    assert {key: value.shape for key, value in converted.items()} == {key: full[key].shape for key in names}


def same_place(key: str, known: str) -> bool:
    """Equal but for the numbers of layers."""
    first, second = (["#" if part.isdigit() else part for part in name.split(".")] for name in (key, known))
    return first == second
