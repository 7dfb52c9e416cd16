"""However a checkpoint is loaded (shards, device maps, dtypes, quantised), weights and buffers are what was saved."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, BitsAndBytesConfig

from rablip import RablipForConditionalGeneration, RablipReranker, RablipRetriever
from tests import tiny
from tests.tiny_inputs import generator_rows, join_generator_rows, join_trunk_rows, trunk_rows

MAKERS = {
    "retriever": tiny.make_retriever,
    "reranker": tiny.make_reranker,
    "generator-t5": lambda: tiny.make_generator("t5"),
    "generator-llama": lambda: tiny.make_generator("llama"),
}


@torch.no_grad()
def run(model: Any) -> torch.Tensor:
    if isinstance(model, RablipForConditionalGeneration):
        rows = join_generator_rows(generator_rows())
        output = model(**rows, labels=rows["input_ids"])
        return torch.cat([output.logits.float().flatten(), output.relevance_logits.float().flatten()])
    output = model(**join_trunk_rows(trunk_rows()))
    return output.question_embeds if "question_embeds" in output else output.relevance_logits


def poison() -> None:
    """Fill freed memory with NaN, so that a tensor that nobody initialises shows."""
    blocks = [torch.full((size,), torch.nan) for size in (16, 256, 4096, 65536) for _ in range(50)]
    del blocks


@pytest.mark.parametrize("name", MAKERS)
def test_shards_give_the_same_model(name: str, tmp_path: Path) -> None:
    model = MAKERS[name]()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    poison()
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    assert torch.equal(run(loaded), run(model))
    index = tmp_path / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    lost = next(key for key, file in content["weight_map"].items() if file == shards[1].name)
    shards[1].unlink()
    with pytest.raises(OSError, match=shards[1].name):
        type(model).from_pretrained(tmp_path)
    content["weight_map"] = {key: file for key, file in content["weight_map"].items() if file != shards[1].name}
    index.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="missing") as caught:
        type(model).from_pretrained(tmp_path)
    assert lost in str(caught.value) or "..." in str(caught.value)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("device_map", ["auto", "cpu", "on disk"])
def test_device_maps_give_the_same_model(name: str, device_map: str, tmp_path: Path) -> None:
    model = MAKERS[name]()
    model.save_pretrained(tmp_path)
    kwargs: dict[str, Any] = {"device_map": device_map}
    if device_map == "on disk":
        parts = {child: "cpu" for child, _ in model.named_children()}
        kwargs = {"device_map": {**parts, "qformer": "disk"}, "offload_folder": tmp_path / "offloaded"}
    poison()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*offloaded to the disk.*")
        loaded = type(model).from_pretrained(tmp_path, **kwargs).eval()
    if device_map == "on disk":
        assert all(parameter.device.type == "meta" for parameter in loaded.qformer.parameters())
    torch.testing.assert_close(run(loaded), run(model), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_random_survives_a_load(name: str, tmp_path: Path) -> None:
    """Models are made without memory first and filled from the file: all of it, buffers that are not saved too."""
    model = MAKERS[name]()
    model.save_pretrained(tmp_path)
    for seed in (1, 2):
        poison()
        torch.manual_seed(seed)
        loaded = type(model).from_pretrained(tmp_path)
        for key, value in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value), key
        buffers = dict(loaded.named_buffers())
        assert buffers.keys() == dict(model.named_buffers()).keys()
        for key, value in model.named_buffers():
            assert torch.equal(buffers[key], value), key
    assert any("inv_freq" in key or "position_ids" in key for key in buffers)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", MAKERS)
def test_dtypes_as_asked_for_or_as_saved(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model = MAKERS[name]()
    model.save_pretrained(tmp_path / "full")
    asked = type(model).from_pretrained(tmp_path / "full", dtype=dtype)
    asked.save_pretrained(tmp_path / "cast")
    for given in ({}, {"dtype": "auto"}):
        loaded = AutoModel.from_pretrained(tmp_path / "cast", **given)
        for key, value in asked.state_dict().items():
            assert loaded.state_dict()[key].dtype == value.dtype, key
            assert torch.equal(loaded.state_dict()[key], value), key
    kept = {key for key, value in asked.state_dict().items() if value.dtype == torch.float32}
    if dtype == torch.float16 and name == "generator-t5":
        assert {key for key in kept if key.endswith(".wo.weight")}, "T5's activations overflow in fp16 there"
        kept = {key for key in kept if ".wo" not in key}  # transformers takes "word_embeddings" for a "wo" too
    assert dtype == torch.float32 or not kept, kept


def test_what_stays_in_full_precision_is_all_but_the_language_model() -> None:
    for language_model in ("t5", "llama"):
        parts = {child for child, _ in tiny.make_generator(language_model).named_children()}
        spared = RablipForConditionalGeneration.full_precision_modules
        assert spared is not None and {*spared} - {"lm_head"} == parts - {"language_model"}
    mine = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["shared"])
    config = RablipForConditionalGeneration._spare_full_precision(mine)
    assert config.llm_int8_skip_modules == ["shared", *spared] and mine.llm_int8_skip_modules == ["shared"]
    with pytest.raises(TypeError, match="dict"):
        RablipForConditionalGeneration._spare_full_precision({"load_in_8bit": True})


@pytest.mark.parametrize("model_class", [RablipRetriever, RablipReranker])
def test_there_is_nothing_to_quantise_in_a_retriever(model_class: Any, tmp_path: Path) -> None:
    tiny.make_retriever().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="nothing to quantise"):
        model_class.from_pretrained(tmp_path, quantization_config=BitsAndBytesConfig(load_in_8bit=True))


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("language_model", ["t5", "llama"])
@pytest.mark.parametrize("bits", [8, 4])
def test_quantised(bits: int, language_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The language model's layers are quantised, and nothing else; saved and loaded again it is the same."""
    wide = {"d_model": 64, "d_kv": 16, "d_ff": 128, "hidden_size": 64, "intermediate_size": 128}
    narrow = tiny.text_arguments(language_model)
    arguments = {**narrow, **{key: value for key, value in wide.items() if key in narrow}}
    monkeypatch.setattr(tiny, "text_arguments", lambda _: arguments)
    model = tiny.make_generator(language_model)
    model.save_pretrained(tmp_path / "full")
    options = {"load_in_8bit": True} if bits == 8 else {"load_in_4bit": True, "bnb_4bit_compute_dtype": torch.float32}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = RablipForConditionalGeneration.from_pretrained(
        tmp_path / "full", quantization_config=BitsAndBytesConfig(**options), device_map=device
    ).eval()
    names = [name for name, module in loaded.named_modules() if "bitsandbytes" in type(module).__module__]
    assert names and all(name.startswith("language_model.") for name in names)
    assert not any(name.endswith((".wo", "lm_head")) for name in names)
    for key, value in model.state_dict().items():
        if not key.startswith("language_model."):
            assert torch.equal(loaded.state_dict()[key].cpu(), value), key
    if device == "cuda":
        loaded.to(device)
    given = run(loaded)
    assert given.isfinite().all()
    if (bits, language_model) == (8, "t5"):
        torch.testing.assert_close(given, run(model), rtol=0.05, atol=0.3)
    loaded.save_pretrained(tmp_path / "quantised")
    again = RablipForConditionalGeneration.from_pretrained(tmp_path / "quantised").eval()
    # Both from packed weights: on a CPU bitsandbytes packs those of 4 bits anew when they are first used.
    assert torch.equal(run(again), run(loaded))
