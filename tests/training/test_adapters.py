"""PEFT adapters: on differs from off, a reload is bit-equal, missing and strange keys are errors, merging is exact."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModel
from typer.testing import CliRunner

from rablip import ImageRef, KnowledgeItem, RablipAnswerer, RablipForConditionalGeneration, RablipProcessor
from rablip.cli import app
from rablip.training import add_lora, load_adapter, merge_adapter

# peft asks for what transformers calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

# transformers 5.17 loads no adapter that holds whole parts; rablip's own functions do.
LOADS_WHOLE_PARTS = Version(transformers.__version__) >= Version("5.18")
LORA = "base_model.model.language_model.decoder.block.0.layer.0.SelfAttention.k.lora_A.weight"
WHOLE = "base_model.model.query_tokens.weight"


def load_base(folder: Path) -> RablipForConditionalGeneration:
    return RablipForConditionalGeneration.from_pretrained(folder / "base").eval()


@pytest.fixture(scope="module")
def rows(tiny_folders: dict[str, Path]) -> dict[str, Any]:
    processor = RablipProcessor.from_pretrained(tiny_folders["generator"])
    evidence = [
        KnowledgeItem(id="a", image=ImageRef(path="a.png"), caption="Mill"),
        KnowledgeItem(id="b", text="Built in 1743."),
    ]
    picture = Image.new("RGB", (20, 20), "red")
    return dict(processor.process_generation(["Who?"], [evidence], [[picture, None]], answers=["Marlow"]))


@pytest.fixture(scope="module")
def adapters(tiny_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model and an adapter all of whose weights differ from a fresh one's."""
    folder = tmp_path_factory.mktemp("adapters")
    shutil.copytree(tiny_folders["generator"], folder / "base")
    adapted = add_lora(load_base(folder), rank=2)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    adapted.save_pretrained(folder / "adapter")
    return folder


def logits(model: Any, rows: dict[str, Any]) -> torch.Tensor:
    with torch.no_grad():
        return model(**rows).logits


def test_on_differs_from_off_and_a_reload_is_bit_equal(adapters: Path, rows: dict[str, Any]) -> None:
    off = logits(load_base(adapters), rows)
    reloaded = load_adapter(load_base(adapters), adapters / "adapter")
    assert isinstance(reloaded, PeftModel) and not reloaded.training
    on = logits(reloaded, rows)
    assert (on - off).abs().max() > 1e-3
    with reloaded.disable_adapter():
        assert torch.equal(logits(reloaded, rows), off)
    saved = load_file(adapters / "adapter" / "adapter_model.safetensors")
    assert LORA in saved and WHOLE in saved
    reloaded.save_pretrained(adapters / "again")
    again = load_file(adapters / "again" / "adapter_model.safetensors")
    assert again.keys() == saved.keys() and all(torch.equal(again[key], saved[key]) for key in saved)
    assert torch.equal(logits(load_adapter(load_base(adapters), adapters / "again"), rows), on)
    for loader in (AutoModel, RablipForConditionalGeneration):
        if LOADS_WHOLE_PARTS:
            assert torch.equal(logits(loader.from_pretrained(adapters / "adapter").eval(), rows), on)
            continue
        with pytest.raises(ValueError, match="older than 5.18"):
            loader.from_pretrained(adapters / "adapter")


def test_training_goes_on_only_where_it_is_asked_for(adapters: Path) -> None:
    frozen = load_adapter(load_base(adapters), adapters / "adapter")
    trainable = load_adapter(load_base(adapters), adapters / "adapter", is_trainable=True)
    assert not any(parameter.requires_grad for name, parameter in frozen.named_parameters() if "lora_" in name)
    named = {name for name, parameter in trainable.named_parameters() if parameter.requires_grad}
    assert any("lora_A" in name for name in named) and any("query_tokens" in name for name in named)


@pytest.mark.parametrize(
    "way", ["load_adapter", "model.load_adapter", "from_pretrained", "AutoModel", "merge_adapter"]
)
@pytest.mark.parametrize(
    ("change", "named"), [("missing LoRA", "lora_A"), ("missing part", "query"), ("strange", "x.y")]
)
def test_missing_and_strange_keys_are_errors(
    way: str, change: str, named: str, adapters: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(adapters / "adapter", tmp_path / "broken"))
    weights = load_file(broken / "adapter_model.safetensors")
    if change == "strange":
        weights["base_model.model.x.y"] = torch.zeros(2)
    else:
        del weights[LORA if change == "missing LoRA" else WHOLE]
    save_file(weights, broken / "adapter_model.safetensors")
    ways: dict[str, Callable[[], Any]] = {
        "load_adapter": lambda: load_adapter(load_base(adapters), broken),
        "model.load_adapter": lambda: load_base(adapters).load_adapter(str(broken)),
        "from_pretrained": lambda: RablipForConditionalGeneration.from_pretrained(broken),
        "AutoModel": lambda: AutoModel.from_pretrained(broken),
        "merge_adapter": lambda: merge_adapter(broken),
    }
    if not LOADS_WHOLE_PARTS and way not in ("load_adapter", "merge_adapter"):
        named = "missing"
    with pytest.raises(ValueError, match=named):
        ways[way]()


def test_an_adapter_of_another_size_is_an_error(adapters: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(adapters / "adapter", tmp_path / "broken"))
    weights = load_file(broken / "adapter_model.safetensors")
    weights[LORA] = torch.cat([weights[LORA], weights[LORA]])
    save_file(weights, broken / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="another shape.*lora_A"):
        load_adapter(load_base(adapters), broken)


def test_pickled_adapters_are_refused(adapters: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(adapters / "adapter", tmp_path / "pickled"))
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(FileNotFoundError, match="safetensors only"):
        load_adapter(load_base(adapters), folder)


def test_merged(adapters: Path, rows: dict[str, Any], tmp_path: Path) -> None:
    merged = merge_adapter(adapters / "adapter")
    on = logits(load_adapter(load_base(adapters), adapters / "adapter"), rows)
    assert type(merged) is RablipForConditionalGeneration
    torch.testing.assert_close(logits(merged, rows), on, rtol=0, atol=1e-4)
    done = CliRunner().invoke(app, ["merge", str(adapters / "adapter"), str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    saved = RablipForConditionalGeneration.from_pretrained(tmp_path / "out").eval()
    assert torch.equal(logits(saved, rows), logits(merged, rows))
    processors = [RablipProcessor.from_pretrained(folder) for folder in (adapters / "base", tmp_path / "out")]
    assert processors[0].to_dict() == processors[1].to_dict()
    again = CliRunner().invoke(app, ["merge", str(adapters / "adapter"), str(tmp_path / "out")])
    assert again.exit_code == 2 and "holds something already" in again.output
    with pytest.raises(ValueError, match="rablip merge"):
        RablipAnswerer.from_pretrained(adapters / "adapter")
