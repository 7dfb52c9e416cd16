"""A whole run: what it trains, what it goes on with, what it refuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModel

from rablip.training import RunSettings, load_start, run_training
from rablip.world import make_world, write_world

# peft asks for what transformers calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

QUICK: dict[str, Any] = {
    "batch_size": 4,
    "max_steps": 1,
    "arguments": {"use_cpu": True, "disable_tqdm": True},
}


def write_lines(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def write_mills(folder: Path, num_mills: int = 12) -> Path:
    """Texts and questions about them."""
    folder.mkdir(parents=True, exist_ok=True)
    years = {f"t{number}": str(1700 + number) for number in range(num_mills)}
    write_lines(
        folder / "knowledge.jsonl",
        [{"id": key, "title": f"mill {key}", "text": f"was built in {year}"} for key, year in years.items()],
    )
    write_lines(
        folder / "questions.jsonl",
        [
            {"id": f"q{key}", "question": f"when was mill {key} built?", "answers": [year], "positive_ids": [key]}
            for key, year in years.items()
        ],
    )
    return folder


@pytest.fixture(scope="module")
def mills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mills(tmp_path_factory.mktemp("data") / "mills")


# The last model is kept: the best of so short a run may be the one after the first step, whose learning rate is 0.
RETRIEVER: dict[str, Any] = {
    **{**QUICK, "max_steps": 3, "arguments": {**QUICK["arguments"], "load_best_model_at_end": False}},
    "eval_steps": 1,
    "strategy": "random",
}


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def test_an_interrupted_run_ends_as_it_would_have_and_a_finished_one_is_reported(
    mills: Path, tiny_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, settings = tmp_path / "out", RunSettings(**RETRIEVER)
    start = read_weights(tiny_bundle / "retriever")
    first = run_training("retriever", mills, tiny_bundle, out, settings)
    whole = read_weights(out)
    assert any(not value.equal(start[name]) for name, value in whole.items())
    shutil.rmtree(out / "checkpoints" / "checkpoint-3")
    again = run_training("retriever", mills, tiny_bundle, out, settings)
    assert again["steps"] == 3 and "had ended before" not in caplog.text
    assert_same_weights(read_weights(out), whole)
    reported = run_training("retriever", mills, tiny_bundle, out, settings)
    assert "had ended before" in caplog.text and "--no-resume" in caplog.text
    assert reported["train_loss"] == again["train_loss"] > 0
    assert reported["validation"]["eval_loss"] == first["validation"]["eval_loss"]
    assert_same_weights(read_weights(out), whole)


def test_another_run_does_not_go_on_in_the_same_folder(mills: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_training("retriever", mills, tiny_bundle, out, RunSettings(**RETRIEVER))
    whole = read_weights(out)
    others: Any = {**RETRIEVER, "seed": 7, "learning_rate": 1e-2}
    more = write_mills(tmp_path / "more", 20)
    with pytest.raises(ValueError, match=r"questions is '18.* was '11.*seed is 7 and was 0.*--no-resume"):
        run_training("retriever", more, tiny_bundle, out, RunSettings(**others))
    assert_same_weights(read_weights(out), whole)
    run_training("retriever", more, tiny_bundle, out, RunSettings(**others, resume=False))
    assert any(not value.equal(whole[name]) for name, value in read_weights(out).items())


@pytest.mark.parametrize(
    ("stage", "options"),
    [
        ("fusion", {}),
        ("retriever", {"chunk_size": 2}),
        pytest.param("generator", {"lora": ("language_model",), "noise": False}, marks=pytest.mark.slow),
    ],
)
def test_workers_and_gradient_checkpointing_change_no_weight(
    stage: Any, options: dict[str, Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    world = write_world(make_world(3, 6, split="train"), tmp_path / "world")
    # Adam would make much of gradients that are 0 but for rounding, such as those of attention's key biases.
    arguments = {**RETRIEVER["arguments"], "optim": "sgd", "predict_with_generate": False}
    settings = RunSettings(batch_size=4, max_steps=2, learning_rate=0.1, arguments=arguments, **options)
    run_training(stage, world, tiny_bundle, tmp_path / "plain", settings)
    settings = dataclasses.replace(settings, workers=1, gradient_checkpointing=True)
    run_training(stage, world, tiny_bundle, tmp_path / "spared", settings)
    plain, spared = (load_file(next((tmp_path / name).glob("*.safetensors"))) for name in ("plain", "spared"))
    assert plain.keys() == spared.keys()
    for name, value in plain.items():
        torch.testing.assert_close(spared[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_bf16_computes_in_bfloat16_and_keeps_the_weights(mills: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    run_training("retriever", mills, tiny_bundle, tmp_path / "a", RunSettings(**RETRIEVER))
    run_training("retriever", mills, tiny_bundle, tmp_path / "b", RunSettings(**RETRIEVER, bf16=True))
    plain, rounded = read_weights(tmp_path / "a"), read_weights(tmp_path / "b")
    assert {value.dtype for value in rounded.values()} == {value.dtype for value in plain.values()}
    assert any(not value.equal(plain[name]) for name, value in rounded.items())


def test_a_generator_from_scratch_trains_its_language_model(mills: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    # The first step of the warm-up has a learning rate of 0.
    settings = RunSettings(**{**QUICK, "max_steps": 2}, from_scratch=True, noise=False)
    summary = run_training("generator", mills, tiny_bundle, tmp_path / "out", settings)
    start = load_start("generator", tiny_bundle, from_scratch=True).model
    assert summary["trainable_parameters"] == start.num_parameters()
    trained = AutoModel.from_pretrained(tmp_path / "out").state_dict()
    name = "language_model.decoder.block.0.layer.0.SelfAttention.q.weight"
    assert not trained[name].equal(start.state_dict()[name])


@pytest.mark.parametrize("part", ["language_model", "qformer"])
def test_adapters_on_random_weights_are_refused(part: Any) -> None:
    with pytest.raises(ValueError, match="from_scratch.*LoRA") as caught:
        RunSettings(from_scratch=True, lora=(part,))
    assert part in str(caught.value)


def write_pictures(folder: Path, num_pictures: int = 8) -> Path:
    """An imagefolder with captions."""
    folder.mkdir(parents=True)
    rows = []
    for number in range(num_pictures):
        Image.new("RGB", (20, 20), (30 * number, 100, 200)).save(folder / f"p{number}.png")
        rows.append({"file_name": f"p{number}.png", "caption": f"the mill {number}"})
    write_lines(folder / "metadata.jsonl", rows)
    return folder


def test_fusion_needs_items_only(tiny_bundle: Path, tmp_path: Path) -> None:
    """Questions are neither needed nor looked at, whatever they are like."""
    pictures = write_pictures(tmp_path / "pictures")
    summary = run_training("fusion", pictures, tiny_bundle, tmp_path / "out", RunSettings(**QUICK))
    (pictures / "questions.jsonl").write_text("not JSON at all")
    settings = RunSettings(**QUICK, feature_cache=tmp_path / "cache")
    again = run_training("fusion", pictures, tiny_bundle, tmp_path / "again", settings)
    assert again["validation"]["eval_loss"] == pytest.approx(summary["validation"]["eval_loss"], rel=0.05)


def test_fusion_takes_no_validation_questions(tiny_bundle: Path, tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures")
    settings = RunSettings(**QUICK, validation=tmp_path / "validation.jsonl")
    with pytest.raises(ValueError, match="validation_share"):
        run_training("fusion", pictures, tiny_bundle, tmp_path / "out", settings)
    write_lines(pictures / "metadata.jsonl", [{"file_name": "p0.png", "caption": "one", "id": "a"}] * 2)
    with pytest.raises(ValueError, match="'a'"):
        run_training("fusion", pictures, tiny_bundle, tmp_path / "out", RunSettings(**QUICK))
