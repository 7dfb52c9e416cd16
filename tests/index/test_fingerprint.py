"""A model's fingerprint changes with its weights, config and processor, and with nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rablip.index import fingerprint_folder


def write_model(folder: Path, *, bias: float = 0.0, **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.eye(3), "bias": torch.full((3,), bias)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "tower", "transformers_version": "5.23", **config}))
    (folder / "qformer_tokenizer").mkdir(exist_ok=True)
    (folder / "qformer_tokenizer" / "tokenizer.json").write_text('{"a": 1, "b": 2}')
    return folder


def test_what_counts(tmp_path: Path) -> None:
    prints = {fingerprint_folder(write_model(tmp_path / "a"))}
    prints.add(fingerprint_folder(write_model(tmp_path / "b", bias=1e-30)))
    prints.add(fingerprint_folder(write_model(tmp_path / "c", width=64)))
    write_model(tmp_path / "d")
    (tmp_path / "d" / "qformer_tokenizer" / "tokenizer.json").write_text('{"a": 1, "b": 3}')
    prints.add(fingerprint_folder(tmp_path / "d"))
    write_model(tmp_path / "e")
    save_file({"weight": torch.eye(3), "bias2": torch.zeros(3)}, tmp_path / "e" / "model.safetensors")
    prints.add(fingerprint_folder(tmp_path / "e"))
    assert len(prints) == 5


def test_what_does_not_count(tmp_path: Path) -> None:
    first = fingerprint_folder(write_model(tmp_path / "a"))
    other = write_model(tmp_path / "b", transformers_version="6.0", rablip_version="9")
    (other / "README.md").write_text("a card")
    (other / "results.json").write_text("{}")
    (other / "qformer_tokenizer" / "tokenizer.json").write_text('{"b": 2,\n "a": 1}')
    (other / "model.safetensors").unlink()
    save_file({"bias": torch.zeros(3)}, other / "model-00001-of-00002.safetensors", metadata={"format": "pt"})
    save_file({"weight": torch.eye(3)}, other / "model-00002-of-00002.safetensors")
    write_model(other / "checkpoint-100", bias=3)
    assert fingerprint_folder(other) == first


def test_a_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    content = (folder / "model.safetensors").read_bytes()
    for length in (0, 4, 20, len(content) - 1):
        (folder / "model.safetensors").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"model\.safetensors is not a whole safetensors file"):
            fingerprint_folder(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        fingerprint_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="safetensors"):
        fingerprint_folder(tmp_path)
