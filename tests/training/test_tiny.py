"""The tiny checkpoint's command, at a scale at which nothing is learned: every stage runs, and the bundle is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from rablip import RablipAnswerer, RablipForConditionalGeneration
from rablip.tiny_checkpoint import train_tiny
from rablip.training.tiny.data import LIST_VISIBLE, make_base_batch
from rablip.training.tiny.recipe import TinyRecipe
from rablip.training.tiny.training import TinyTraining
from rablip.world import WORLD_VERSION, make_look_rows, make_viewing_rows

# PEFT 0.21 asks transformers for the old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

SCALE = 0.002
STAGES = ("vision", "words", "language", "base", "retriever", "reranker", "generator")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("tiny") / "bundle"
    return out, train_tiny(out, seed=3, scale=SCALE)


def test_the_command_writes_a_whole_bundle(trained: tuple[Path, dict[str, Any]]) -> None:
    out, summary = trained
    base = AutoModel.from_pretrained(out.with_name(f"{out.name}-base"))
    assert type(base) is RablipForConditionalGeneration
    assert summary == json.loads((out / "training.json").read_text(encoding="utf-8"))
    assert (summary["seed"], summary["scale"], summary["world_version"]) == (3, SCALE, WORLD_VERSION)
    answerer = RablipAnswerer.from_pretrained(out)
    assert answerer.reranker.config.relevance_threshold == summary["path"]["relevance_threshold"]
    assert answerer.generator.config.citation_threshold == summary["path"]["citation_threshold"]
    assert answerer.generator.config.abstain_threshold == summary["path"]["abstain_threshold"]
    # The language model and the tower are shared by no accident: the tower is frozen after its own stage.
    towers = [part.vision_model.state_dict() for part in (answerer.retriever, answerer.reranker, answerer.generator)]
    for name, value in towers[0].items():
        assert all(bool((tower[name] == value).all()) for tower in towers[1:]), name


def test_a_run_goes_on_from_its_finished_stages(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, summary = trained
    work = out.with_name("bundle-work")
    assert {f"{stage}-model" for stage in STAGES} <= {path.name for path in work.iterdir()}

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a finished stage was trained again")

    monkeypatch.setattr("rablip.training.tiny.training.run_stage", refuse)
    assert train_tiny(tmp_path / "again", seed=3, scale=SCALE, work_dir=work) == summary
    for weights in out.glob("*/model.safetensors"):
        assert weights.read_bytes() == (tmp_path / "again" / weights.parent.name / weights.name).read_bytes()


def test_base_batches_mix_lists_pictures_and_facts(tmp_path: Path) -> None:
    training = TinyTraining(tmp_path, TinyRecipe(seed=0, scale=SCALE))
    features = {row.id: torch.zeros(37, 64) for row in training.pretraining}
    viewing, looks = make_viewing_rows(0, training.pretraining, 32), make_look_rows(0, training.pretraining, 32)
    arguments = (training.pretraining, features, viewing, looks, training.reading)
    batch = make_base_batch(*arguments, np.random.default_rng(0), training.processor, 16)
    prompts = training.processor.decode_answers(batch["input_ids"])
    assert [LIST_VISIBLE in prompt for prompt in prompts] == [True] * 2 + [False] * 14
    pictures = batch["image_mask"].sum(dim=1).tolist()
    assert pictures[:2] == [1] * 2 and all(1 <= count <= 3 for count in pictures[2:8]) and pictures[12:] == [0] * 4
    assert all(2 <= count <= 4 for count in pictures[8:12])
    rows = viewing + looks + training.reading
    asked = {row.question: row for row in rows}
    for place, prompt in enumerate(prompts[2:], start=2):
        row = next(row for question, row in asked.items() if f"Question: {question}" in prompt)
        relevance = batch["relevance_labels"][place]
        assert relevance[relevance >= 0].tolist() == [float(i in row.relevant) for i in range(len(row.items))]
        learned = batch["labels"][place]
        assert training.processor.decode_answers(learned[None].clamp(min=0)) == [row.answer]
