"""Public checkpoints as they are published: in shards, in half precision, over devices; quantised on the way in."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BitsAndBytesConfig,
    Blip2ForImageTextRetrieval,
    InstructBlipForConditionalGeneration,
    PreTrainedModel,
)

from rablip import RablipForConditionalGeneration, RablipReranker, RablipRetriever

GOLDEN = Path(__file__).parent.parent / "fixtures" / "golden"
CASES: dict[str, tuple[str, type[PreTrainedModel], Any]] = {
    "t5": (
        "instructblip-t5-tiny",
        InstructBlipForConditionalGeneration,
        RablipForConditionalGeneration.from_instructblip,
    ),
    "llama": (
        "instructblip-llama-tiny",
        InstructBlipForConditionalGeneration,
        RablipForConditionalGeneration.from_instructblip,
    ),
    "retriever": ("blip2-itm-tiny", Blip2ForImageTextRetrieval, RablipRetriever.from_blip2_itm),
    "reranker": ("blip2-itm-tiny", Blip2ForImageTextRetrieval, RablipReranker.from_blip2_itm),
}


def published(name: str, folder: Path, *, dtype: torch.dtype) -> Path:
    """The recorded checkpoint as transformers saves it in another precision, in several files."""
    source = GOLDEN / CASES[name][0] / "checkpoint"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    model = CASES[name][1].from_pretrained(source, dtype=dtype)
    model.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


@pytest.mark.parametrize("device_map", [None, "auto"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", CASES)
def test_shards_dtypes_and_devices(name: str, dtype: torch.dtype, device_map: str | None, tmp_path: Path) -> None:
    convert = CASES[name][2]
    kwargs = {} if device_map is None else {"device_map": device_map}
    whole = convert(GOLDEN / CASES[name][0] / "checkpoint", dtype=dtype).state_dict()
    model = convert(published(name, tmp_path / "source", dtype=dtype), **kwargs)
    found = model.state_dict()
    assert found.keys() == whole.keys() and not model.training
    new = {key for key in found if not torch.equal(found[key], whole[key])}
    assert all(
        key.split(".")[0] in ("image_slots", "fusion", "logit_scale", "matching_head", "matching_projection")
        for key in new
    ), new
    assert all(found[key].isfinite().all() for key in found)
    assert {value.dtype for key, value in found.items()} <= {dtype, torch.float32}
    assert found["vision_model.post_layernorm.weight"].dtype == dtype


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_with_a_missing_or_a_strange_weight_is_refused(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    source = Path(shutil.copytree(GOLDEN / CASES[name][0] / "checkpoint", tmp_path / "source"))
    weights = load_file(source / "model.safetensors")
    lost = "vision_model.post_layernorm.weight"
    for changed, named in (
        ({key: value for key, value in weights.items() if key != lost}, lost),
        ({**weights, "another.weight": torch.zeros(1)}, "another.weight"),
    ):
        save_file(changed, source / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ValueError, match=named):
            CASES[name][2](source)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("name", ["t5", "llama"])
def test_quantised_on_the_way_in(name: str) -> None:
    source = GOLDEN / CASES[name][0] / "checkpoint"
    config = BitsAndBytesConfig(load_in_8bit=True)
    model = CASES[name][2](source, quantization_config=config, device_map="cpu")
    full = CASES[name][2](source)
    quantised = [key for key, module in model.named_modules() if "bitsandbytes" in type(module).__module__]
    assert quantised and all(key.startswith("language_model.") for key in quantised)
    for key, value in full.vision_model.state_dict().items():
        assert torch.equal(model.vision_model.state_dict()[key], value)
