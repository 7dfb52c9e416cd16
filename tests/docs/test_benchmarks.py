"""The ablations' scripts do what they say: arms with equal passes, nested distractors, paired figures, the README."""

from __future__ import annotations

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


@pytest.mark.parametrize("arm", ["without", "release", "ours", "ours_noise", "unlabelled", "one_pass"])
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
    assert len(passes) == (1 if arm == "one_pass" else 2)
    judged = [part for part in parts if "relevance_labels" in part]
    assert bool(judged) == (arm in ("ours", "ours_noise", "one_pass")), "only our arms say which candidate is relevant"


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
