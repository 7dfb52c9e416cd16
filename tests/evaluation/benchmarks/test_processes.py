"""Several processes answer what one answers, and a run of which a process was killed goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.benchmarks.tiny_benchmarks import write_webqa
from tests.module_processes import run_module

MODULE = "tests.evaluation.benchmarks.eval_process"


def read_scores(out: Path) -> dict[str, Any]:
    return json.loads((out / "scores.json").read_text(encoding="utf-8"))


def test_two_processes_and_a_killed_one(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data = write_webqa(tmp_path / "data")
    one, two = tmp_path / "one", tmp_path / "two"
    run_module(MODULE, data, tiny_bundle, one, "-1", "-1", num_processes=1)
    with pytest.raises(AssertionError):
        run_module(MODULE, data, tiny_bundle, two, "1", "1")
    assert not (two / "results.json").exists(), "a folder with results is a whole one"
    left = sorted(path.name for path in (two / "predictions" / "plain").glob("part-*"))
    assert "part-00000001.jsonl" in left and "part-00000003.jsonl" not in left
    run_module(MODULE, data, tiny_bundle, two, "-1", "-1")
    assert read_scores(one)["answers"] == read_scores(two)["answers"]
    for condition, metrics in read_scores(one)["metrics"].items():
        others = {
            (other["metric"], other["k"], other["variant"]): other for other in read_scores(two)["metrics"][condition]
        }
        for metric in metrics:
            twin = others[metric["metric"], metric["k"], metric["variant"]]
            assert twin["values"] == pytest.approx(metric["values"], abs=1e-5)
