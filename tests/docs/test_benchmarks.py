"""The ablations' scripts do what they say: arms with equal passes, nested distractors, paired figures, the README."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rablip.training import TrainingPool, find_distractors, mine_candidates
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import make_generator, make_retriever
from tests.training.tiny_pool import make_pool

ROOT = Path(__file__).parent.parent.parent
BENCHMARKS = ROOT / "examples" / "benchmarks"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A benchmark's module; they import each other as scripts of one folder do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return __import__(name)


@pytest.fixture(scope="module")
def pool() -> TrainingPool:
    pool = make_pool()
    processor = make_retriever_processor(max_images=3)
    mine_candidates(make_retriever(), processor, pool)
    find_distractors(make_retriever(), processor, pool, k=30)
    return pool


@pytest.mark.parametrize("arm", ["without", "release", "ours", "ours_turns", "unlabelled"])
def test_every_arm_makes_two_passes_over_as_many_questions(
    arm: str, pool: TrainingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = load("askg_arms", monkeypatch)
    processor = make_processor("t5", max_images=8, max_prompt_tokens=600)
    model = make_generator("t5", image_token_index=processor.image_token_id, max_images=8)
    batch = arms.make_arm_batch(arm, pool, np.random.default_rng(0), processor, num_questions=4, num_items=4)
    passes = []
    model.language_model.register_forward_hook(lambda *_: passes.append(1))
    parts = batch["passes"] if "passes" in batch else [batch]
    assert all(len(part["input_ids"]) == 4 for part in parts)
    assert all(bool(np.isfinite(model(**part).loss.item())) for part in parts)
    assert len(passes) == 2
    judged = [part for part in parts if "relevance_labels" in part]
    assert bool(judged) == (arm in arms.JUDGING_ARMS), "only our arms say which candidate is relevant"


def test_the_release_always_puts_the_right_one_first(pool: TrainingPool, monkeypatch: pytest.MonkeyPatch) -> None:
    arms, rng = load("askg_arms", monkeypatch), np.random.default_rng(0)
    rows = [arms.make_release_row(pool, example, rng) for example in pool.examples if example.answerable]
    assert arms.first_is_right(rows) == 1.0 and arms.chance_level(rows) == 0.5
    assert all(row.candidates[0].modality != row.candidates[1].modality for row in rows)


def test_fewer_distractors_are_a_part_of_more(pool: TrainingPool, monkeypatch: pytest.MonkeyPatch) -> None:
    ablation = load("askg_ablation", monkeypatch)
    weights = {"same_entity": 1.0}
    for example in [example for example in pool.examples if example.answerable][:10]:
        shown = [
            {item.id for item in ablation.arrange_evidence(pool, example, count, weights, 5)} for count in (0, 1, 3, 5)
        ]
        assert shown[0] == set(example.positive_ids)
        assert all(fewer <= more for fewer, more in zip(shown, shown[1:], strict=False))


def test_what_is_lost_is_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    ablation = load("askg_ablation", monkeypatch)

    def run(at_zero: list[bool], at_nine: list[bool]) -> dict[str, Any]:
        keys = {"none/0": at_zero, **{f"{kind}/9": at_nine for kind in ablation.KINDS}}
        return {"direct": keys, "selected": keys, "relevance_f1": dict.fromkeys(keys, 1.0)}

    without = run([True] * 4, [False, False, True, True])
    ours = run([True] * 4, [False, True, True, True])
    table = ablation.summarise({"without": [without], "ours": [ours]})
    assert table["without"]["direct_lost"]["value"] == 0.5 and table["ours"]["direct_lost"]["value"] == 0.25
    assert table["ours"]["direct_saved_to_without"]["value"] == 0.25
    low, high = table["ours"]["direct_saved_to_without"]["interval"]
    assert low == 0.0 and high == pytest.approx(0.75, abs=0.26)
    assert table["ours"]["direct_gained_at_none"]["value"] == 0.0


def test_the_gain_of_mined_labels_is_a_share_of_that_of_gold(monkeypatch: pytest.MonkeyPatch) -> None:
    ablation = load("askg_ablation", monkeypatch)
    none = {"direct": {"none/0": [True, False, False, False], "mixed/9": [True, False, False, False]}}
    gold = {"direct": none["direct"], "selected": {"none/0": [True] * 4, "mixed/9": [True, True, True, False]}}
    mined = {"direct": none["direct"], "selected": {"none/0": [True] * 4, "mixed/9": [True, True, False, False]}}
    gain = ablation.measure_label_gain({"unlabelled": [none], ablation.GOLD_ARM: [gold], "mined": [mined]})
    assert gain["gold"]["value"] == pytest.approx(5 / 8) and gain["mined"]["value"] == pytest.approx(4 / 8)
    assert gain["share"] == pytest.approx(0.8)
    low, high = gain["share_interval"]
    assert low < 0.8 < high <= 1.0


def test_labels_are_mined_once_for_all_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    ablation = load("askg_ablation", monkeypatch)
    model, processor = object(), make_processor("t5")
    given = ablation.Pools([], [], [], (None, None))
    assert ablation.mine_pools(model, processor, given) is ablation.mine_pools(model, processor, given)


def test_seeds_ask_the_same_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """More seeds of the same questions are no more questions: the interval of a copied run stays as wide."""
    reporting = load("reporting", monkeypatch)
    once = np.array([0.0, 1.0] * 20)
    one, three = reporting.describe_seeds([once]), reporting.describe_seeds([once, once, once])
    assert one["interval"] == three["interval"] and three["n"] == 40 and three["seeds"] == [0.5] * 3


def test_a_run_is_kept_and_never_mixed_with_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reporting = load("reporting", monkeypatch)
    made: list[Path] = []

    def compute(folder: Path) -> dict[str, Any]:
        made.append(folder)
        return {"right": [True]}

    def arguments(steps: int, seeds: list[int]) -> argparse.Namespace:
        return argparse.Namespace(work_dir=tmp_path, out=tmp_path / "o", seeds=seeds, steps=steps)

    for seeds in ([0], [0, 1]):
        assert reporting.keep_run(arguments(3, seeds), "a-0", compute) == {"right": [True]}
    assert made == [tmp_path / "a-0"]
    with pytest.raises(SystemExit, match=r"steps 3 then, 4 now.*--work-dir"):
        reporting.keep_run(arguments(4, [0]), "a-1", compute)


def test_gains_of_a_retriever_are_over_in_batch_negatives(monkeypatch: pytest.MonkeyPatch) -> None:
    ablation = load("retriever_ablation", monkeypatch)
    hits = {"in_batch": {"image": [True, False], "text": [True]}, "modality": {"image": [True, True], "text": [True]}}
    table = ablation.tabulate([hits, hits])
    assert table["modality"]["gain"]["value"] == pytest.approx(1 / 3) and table["in_batch"]["gain"]["value"] == 0
    assert table["in_batch"]["worst"] == "image" and table["in_batch"]["overall"]["value"] == pytest.approx(2 / 3)


def test_the_readme_has_the_figures_of_the_results(tmp_path: Path) -> None:
    script = str(BENCHMARKS / "update_readme.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- training:begin (x) -->\nold\n<!-- training:end -->\nb\n")
    results = tmp_path / "results"
    results.mkdir()
    figure = {"value": 0.5, "interval": [0.4, 0.6], "n": 9}
    arm = {"accuracy": figure, "trained_parameters": 1234, "state_megabytes": 1.5, "saved_megabytes": 0.5}
    report = {"command": "c", "arguments": {"seeds": [0], "steps": 3}, "arms": {"frozen": arm}}
    (results / "adapters.json").write_text(json.dumps(report))
    subprocess.run([sys.executable, script, "--readme", readme, "--results", results], check=True)
    text = readme.read_text()
    assert "| frozen | 0.500 (0.400 to 0.600) | 1,234 | 1.5 | 0.5 |" in text and "old" not in text
    assert text.startswith("a\n<!-- training:begin (x) -->\n") and text.endswith("<!-- training:end -->\nb\n")
