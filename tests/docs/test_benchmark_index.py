"""The index benchmark measures what it says: recall by score, memory from the system, ratios within rounds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent.parent

# The benchmark's files import each other as scripts in one folder do.
sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))
import index as index_benchmark  # noqa: E402
import index_data  # noqa: E402
import index_measures  # noqa: E402
import index_runs  # noqa: E402
import update_readme  # noqa: E402
from index_arms import Arm  # noqa: E402


def make_small(vectors: np.ndarray, questions: np.ndarray) -> Any:
    best = index_data.find_best(vectors, questions)
    return index_data.Data(name="small", vectors=vectors, questions=questions, best=best, path=Path())


def test_recall_counts_what_is_as_near_as_the_tenth() -> None:
    vectors = np.repeat(np.linspace(1, 0, 20, dtype=np.float32), 2)[:, None]
    data = make_small(vectors, np.ones((2, 1), dtype=np.float32))
    assert data.best == pytest.approx(vectors[9, 0])
    assert index_data.measure_recall(data, [list(range(10)), list(range(10))]) == 1
    assert index_data.measure_recall(data, [list(range(5)) + [20, 21], []]) == pytest.approx(5 / 20)
    assert index_data.measure_recall(data, [[0] * 10, list(range(10))]) == pytest.approx(11 / 20), "twice is once"


@given(st.integers(12, 300), st.integers(0, 2**32 - 1))
def test_the_tenth_best_is_that_of_a_sort(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, questions = rng.standard_normal((count, 4), np.float32), rng.standard_normal((3, 4), np.float32)
    wanted = np.sort(questions @ vectors.T, axis=1)[:, -10]
    np.testing.assert_allclose(index_data.find_best(vectors, questions), wanted, rtol=1e-5, atol=1e-6)


def test_data_is_of_length_one_made_once_and_by_its_seed(tmp_path: Path) -> None:
    made = {
        (name, seed): index_data.make_data(name, 2000, seed=seed, folder=tmp_path / str(seed))
        for name in ("clustered", "isotropic")
        for seed in (0, 1)
    }
    for data in made.values():
        assert data.vectors.shape == (2000, 256) and data.questions.shape == (512, 256)
        np.testing.assert_allclose(np.linalg.norm(data.vectors, axis=1), 1, atol=1e-5)
    assert made["clustered", 0].best.mean() > 2 * made["isotropic", 0].best.mean()
    assert not np.array_equal(made["clustered", 0].vectors, made["clustered", 1].vectors)
    written = made["clustered", 0].path.stat().st_mtime_ns
    assert index_data.make_data("clustered", 2000, seed=0, folder=tmp_path / "0").path.stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="gives 100000 items"):
        index_data.make_data("world", 10**6, seed=0, folder=tmp_path)
    with pytest.raises(ValueError, match="one of world"):
        index_data.make_data("real", 10, seed=0, folder=tmp_path)


def test_memory_is_read_in_bytes() -> None:
    text = "Name:\tpython\nRssAnon:\t      12 kB\nRssFile:\t       3 kB\n"
    assert index_measures.parse_status(text) == {"anonymous": 12288, "mapped": 3072}
    with pytest.raises(ValueError, match="RssAnon"):
        index_measures.parse_status("Name:\tpython\n")


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is measured on Linux")
def test_a_peak_is_seen_after_it_has_gone() -> None:
    with index_measures.PeakMemory(every_seconds=0.001) as memory:
        room = np.ones(50_000_000, dtype=np.uint8)
        del room
    assert 45_000_000 < memory.peak - memory.start < 200_000_000


def test_arms_are_compared_within_rounds() -> None:
    rounds = [{"a": 2.0, "b": 1.0}, {"a": 40.0, "b": 20.0}, {"a": 9.0, "b": 3.0}]
    assert index_measures.compare_rounds(rounds, "a", "b")["median"] == 2
    assert index_measures.describe_times([1, 2, 3, 4, 101]) == {"p50": 3, "p95": pytest.approx(81.6), "n": 5}


def test_every_arm_has_its_turn_in_every_round() -> None:
    calls: list[tuple[str, int]] = []
    data = make_small(np.eye(16, 4, dtype=np.float32), np.ones((300, 4), dtype=np.float32))

    def make(name: str) -> Arm:
        return Arm(lambda questions: calls.append((name, len(questions))), lambda found: [[0, 1]] * 300)

    taken = index_runs.take_turns({"ours": make("ours"), "other": make("other")}, data, 2)
    timed = taken["seconds"]["ours"]["batch"]["cpu"]["n"]
    assert calls.count(("ours", 256)) == calls.count(("other", 256)) == timed + 2, "one in each round is not timed"
    order = [name for name, size in calls if size == 256]
    assert order[:4] == ["other", "ours", "ours", "other"], "the order turns round"
    assert set(taken["over_ours"]) == {"other"} and len(taken["rounds"]["single"]) == 2


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is measured on Linux")
def test_a_small_run_end_to_end(tmp_path: Path) -> None:
    arguments = ["--sizes", "2000", "--data", "clustered", "--kinds", "ivf_pq", "--rounds", "1"]
    arguments += ["--work-dir", str(tmp_path / "runs"), "--out", str(tmp_path / "results" / "index.json")]
    report = index_benchmark.main(arguments)
    (run,) = report["runs"]
    assert run["search"]["recall"]["exact"] == 1 and run["search"]["recall"]["ours"] > 0.9
    assert run["search"]["recall"]["ours"] == run["search"]["recall"]["bare"]
    assert run["build"]["disk_bytes_an_item"]["vectors"] == pytest.approx(1024, rel=0.01)
    assert set(run["memory"]["bytes_an_item"]) == {"loaded", "opened", "searched"}
    assert not list((tmp_path / "runs").glob("*/segment-*")), "the index was removed"
    kept = tmp_path / "runs" / "clustered-2000-ivf_pq.json"
    before = kept.stat().st_mtime_ns
    assert index_benchmark.main(arguments)["runs"] == report["runs"] and kept.stat().st_mtime_ns == before
    (line,) = [
        line for line in update_readme.render(tmp_path / "results", "index").splitlines() if "| ivf_pq |" in line
    ]
    assert line.startswith("| clustered, 2,000 x 256 | ivf_pq |")
    assert json.loads((tmp_path / "results" / "index.json").read_text())["versions"]["faiss"]
    with pytest.raises(SystemExit, match="rounds 1 then, 2 now"):
        index_benchmark.main([*arguments, "--rounds", "2"])


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--sizes", "999"], ["--data", "real"]])
def test_wrong_options_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        index_benchmark.parse_arguments(wrong)
