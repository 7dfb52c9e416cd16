"""The checkpoint that ships: its figures are what it does, on the world they were measured on and on another."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rablip import RablipAnswerer
from rablip.evaluation import evaluate_world
from rablip.world import WORLD_VERSION, make_world

QUALITIES = (
    ("retriever", "recall@5", "overall"),
    ("retriever", "recall@5", "visual_only"),
    ("answer", "accuracy", "retrieved"),
    ("answer", "accuracy", "oracle"),
    ("abstain", "f1"),
    ("citation", "precision"),
)
CONTROLS = (("answer", "accuracy", "closed_book"), ("answer", "accuracy", "shuffled_pictures"))


def _figure(report: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    figure: Any = report
    for name in path:
        figure = figure[name]
    return figure.get("overall", figure)


def _value(report: dict[str, Any], path: tuple[str, ...]) -> float:
    return float(_figure(report, path)["value"])


def _deviation(report: dict[str, Any], shipped: dict[str, Any], path: tuple[str, ...]) -> float:
    """By how many standard errors of the difference a figure lies above the shipped one."""
    widths = [high - low for low, high in (_figure(part, path)["interval"] for part in (report, shipped))]
    return (_value(report, path) - _value(shipped, path)) / (math.hypot(*widths) / (2 * 1.96))


@pytest.fixture(scope="module")
def shipped(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / "results.json"
    if not path.is_file():
        pytest.skip(f"no {path}: the checkpoint is not measured yet")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_figures_are_of_the_frozen_world(shipped: dict[str, Any]) -> None:
    assert shipped["world_version"] == WORLD_VERSION
    assert (shipped["seed"], shipped["num_entities"]) == (987, 600)


def test_what_is_promised_was_measured(shipped: dict[str, Any]) -> None:
    recall = shipped["retriever"]["recall@5"]
    assert recall["overall"]["value"] >= 0.95
    assert all(recall[modality]["value"] >= 0.90 for modality in ("text", "image", "image_text"))
    for baseline in ("bm25", "text_only"):
        found = shipped["baselines"][baseline]["recall@5"]["visual_only"]["value"]
        assert recall["visual_only"]["value"] >= found + 0.3
    accuracy = {name: kinds["overall"]["value"] for name, kinds in shipped["answer"]["accuracy"].items()}
    assert accuracy["retrieved"] >= 0.80 and accuracy["oracle"] - accuracy["retrieved"] <= 0.05
    for control in ("closed_book", "shuffled_pictures"):
        for kind, figure in shipped["answer"]["accuracy"][control]["by_kind"].items():
            # What is told in texts is still there when pictures are exchanged.
            if (control, kind) != ("shuffled_pictures", "text"):
                assert figure["value"] <= figure["majority"] + 0.05, (control, kind)
    assert shipped["abstain"]["f1"]["value"] >= 0.85 and shipped["citation"]["precision"]["value"] >= 0.90


def test_the_bundle_is_small_and_of_safetensors(checkpoint: Path) -> None:
    weights = list(checkpoint.glob("*/model.safetensors"))
    assert {path.parent.name for path in weights} == {"retriever", "reranker", "generator"}
    assert sum(path.stat().st_size for path in checkpoint.rglob("*") if path.is_file()) <= 12_000_000
    assert not [path for path in checkpoint.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".py")]


def test_another_unseen_world_is_answered_as_well(checkpoint: Path, shipped: dict[str, Any]) -> None:
    world = make_world(4242, 60)
    report = evaluate_world(world, RablipAnswerer.from_pretrained(checkpoint), num_reference_checks=20).to_json()
    # A small world is easier to search, so only the worse side is a fault; for a control it is the better one.
    for path in QUALITIES:
        assert _deviation(report, shipped, path) > -3, path
    for path in CONTROLS:
        assert _deviation(report, shipped, path) < 3, path


@pytest.mark.full
def test_the_same_world_gives_the_same_figures(checkpoint: Path, shipped: dict[str, Any]) -> None:
    world = make_world(shipped["seed"], shipped["num_entities"])
    report = evaluate_world(world, RablipAnswerer.from_pretrained(checkpoint)).to_json()
    for path in (*QUALITIES, *CONTROLS):
        assert _value(report, path) == pytest.approx(_value(shipped, path), abs=0.01), path
