"""What is trained comes out whole: from shards, with adapters, with what was fitted."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel

from rablip.training import add_lora, gather_trained, load_start, merge_adapter, save_trained
from tests.module_processes import run_module

# peft asks for what transformers calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def stir(model: Any) -> None:
    """Other values of everything that is trained."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)


def make_trainer(model: Any, folder: Path, *, sharded: bool, rank: int = 0) -> Any:
    """What `gather_trained` asks of a trainer."""
    saved: list[str] = []
    plugin = SimpleNamespace(state_dict_type="SHARDED_STATE_DICT")
    plugin.set_state_dict_type = partial(setattr, plugin, "state_dict_type")

    def save_model(out: str) -> None:
        assert plugin.state_dict_type == "FULL_STATE_DICT"
        saved.append(out)
        if rank == 0:
            model.save_pretrained(out)

    return SimpleNamespace(
        model=model,
        is_fsdp_enabled=sharded,
        args=SimpleNamespace(output_dir=str(folder), device="cpu"),
        accelerator=SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin), unwrap_model=lambda model: model),
        save_model=save_model,
        is_world_process_zero=lambda: rank == 0,
        saved=saved,
    )


def test_a_model_that_is_whole_is_given_as_it_is(tiny_bundle: Path, tmp_path: Path) -> None:
    model = load_start("retriever", tiny_bundle).model.train()
    assert gather_trained(make_trainer(model, tmp_path, sharded=False), reload=pytest.fail) is model
    assert not model.training
    assert gather_trained(make_trainer(model, tmp_path, sharded=False, rank=1), reload=pytest.fail) is None


@pytest.mark.parametrize("case", ["fusion", "reranker", "reranker with adapters"])
def test_shards_are_brought_together_on_disk(case: str, tiny_bundle: Path, tmp_path: Path) -> None:
    stage: Any = case.split()[0]
    load = partial(load_start, stage, tiny_bundle, **({"captioning": True} if stage == "fusion" else {}))
    model = load().model
    trained = add_lora(model, parts=("qformer",)) if "adapters" in case else model
    stir(trained)
    trainer = make_trainer(trained, tmp_path, sharded=True)
    whole = gather_trained(trainer, reload=load)
    assert len(trainer.saved) == 1 and not list(tmp_path.iterdir()), "what was only for the way is gone"
    assert isinstance(whole, PeftModel if "adapters" in case else type(model)) and not whole.training
    assert whole is not trained
    found, expected = whole.state_dict(), trained.state_dict()
    assert found.keys() == expected.keys() and all(found[name].equal(expected[name]) for name in found)


def test_every_process_takes_part_where_there_are_shards(tiny_bundle: Path, tmp_path: Path) -> None:
    trainer = make_trainer(load_start("reranker", tiny_bundle).model, tmp_path, sharded=True, rank=1)
    assert gather_trained(trainer, reload=pytest.fail) is None and len(trainer.saved) == 1


def test_an_adapter_keeps_what_was_fitted(tiny_bundle: Path, tmp_path: Path) -> None:
    start = load_start("reranker", tiny_bundle)
    trained = add_lora(start.model, parts=("qformer",))
    stir(trained)
    fitted = {"relevance_temperature": 1.7, "relevance_threshold": 0.3, "f1": 0.9}
    assert save_trained(trained, start, tmp_path, fitted=fitted, summary={"stage": "reranker"}) is trained
    assert json.loads((tmp_path / "training.json").read_text()) == {"stage": "reranker", "fitted": fitted}
    config = merge_adapter(tmp_path).config
    assert (config.relevance_temperature, config.relevance_threshold) == (1.7, 0.3)


def test_a_plain_model_takes_the_place_of_an_adapter(tiny_bundle: Path, tmp_path: Path) -> None:
    start = load_start("reranker", tiny_bundle)
    save_trained(add_lora(start.model, parts=("qformer",)), start, tmp_path)
    start = load_start("reranker", tiny_bundle)
    stir(start.model)
    save_trained(start.model, start, tmp_path)
    loaded, expected = AutoModel.from_pretrained(tmp_path).state_dict(), start.model.state_dict()
    assert all(loaded[name].equal(expected[name]) for name in expected)


@pytest.mark.slow
def test_weights_of_two_processes(tiny_bundle: Path, tmp_path: Path) -> None:
    """With torch's own shards: an adapter comes out as without them, and thresholds are fitted on it."""
    run_module("tests.training.two_sharded_processes", tmp_path, tiny_bundle)
    merged, expected = merge_adapter(tmp_path / "out"), load_file(tmp_path / "whole.safetensors")
    fitted = json.loads((tmp_path / "out" / "training.json").read_text())["fitted"]
    assert merged.config.citation_threshold == fitted["citation_threshold"]
    found, before = merged.state_dict(), load_start("generator", tiny_bundle).model.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert sum(not value.equal(before[name]) for name, value in found.items()) > 10
