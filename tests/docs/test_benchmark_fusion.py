"""The benchmark of ways to search: paired figures, a run over a small world, and the README's table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import ModuleType

import pytest

from rablip.answering.types import RETRIEVALS
from rablip.evaluation.world_scoring import GoldPair
from rablip.world import make_world
from tests.docs.test_benchmarks import BENCHMARKS, ROOT, load


@pytest.fixture
def fusion(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("fusion", monkeypatch)


def make_pair(question: int, gold_id: str, hop: int = 0) -> GoldPair:
    return GoldPair(question=question, gold_id=gold_id, hop=hop, modality="text", kind="text", visual_only=False)


def test_the_difference_is_paired_by_question(fusion: ModuleType) -> None:
    pairs = [make_pair(0, "a"), make_pair(0, "b", hop=1), make_pair(1, "c")]
    dense, other = [[["a"], ["x"]], [["c"]]], [[["a"], ["b"]], [["x"] * 5 + ["c"]]]
    found = fusion.compare(pairs, other, dense)
    assert found["value"] == 0 and found["n"] == 2 and found["interval"][0] < 0 < found["interval"][1]
    assert fusion.compare(pairs, dense, dense) == {"value": 0, "interval": [0, 0], "n": 2}
    assert fusion.compare(pairs[:2], other, dense)["value"] == 0.5


def test_every_way_over_a_small_world(fusion: ModuleType, tiny_bundle: Path) -> None:
    world = make_world(5, 12)
    args = argparse.Namespace(model=tiny_bundle, seed=5, entities=12, sample_questions=10)
    parts = fusion.prepare(args, world)
    assert {scale.num_questions for scale in parts["scales"].scales.values()} == {10}
    searches = fusion.make_searches(parts, world)
    assert set(searches) == {*RETRIEVALS, "hybrid, words 0.25", "words"}
    places = range(4)
    for search in searches.values():
        found = search([world.questions[place].question for place in places], places)
        assert [len(set(row)) == len(row) <= 10 for row in found] == [True] * 4


def test_the_readme_has_the_table_of_the_results(fusion: ModuleType) -> None:
    report = json.loads((BENCHMARKS / "results" / "fusion.json").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert fusion.render(report["ways"]) in readme and report["command"] in readme
