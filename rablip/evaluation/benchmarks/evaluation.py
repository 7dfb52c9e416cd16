"""One call from a benchmark and a model to figures, official predictions and a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...processes import Processes
from ...processing.benchmarks import Benchmark
from .answer_scoring import PluggedScorers
from .measuring import measure_run
from .paging import write_run_page
from .results import EvaluationResults
from .run import run_benchmark
from .submissions import write_submission

__all__ = ["PAGE_NAME", "evaluate_benchmark"]

PAGE_NAME = "report.html"


def evaluate_benchmark(
    benchmark: Benchmark,
    model: str | Path,
    *,
    out: str | Path,
    stress: Sequence[str] = (),
    plugged: PluggedScorers | None = None,
    device: Any = None,
    **options: Any,
) -> EvaluationResults:
    """Ask a system all questions of a benchmark, score it officially, and write everything into one folder.

    The folder holds `results.json` (every figure with variant, interval and origin), `scores.json` (the values of
    every question, for `compare_runs`), `predictions/`, `submission/` (the benchmark's own form), `report.html`, and
    `index/` where no index was given. The same call goes on where it was killed.

    Args:
        benchmark: from `open_benchmark`.
        model: a model folder or Hub id.
        out: the folder of the run.
        stress: names of stress tests, see `CONDITIONS`.
        plugged: models that metrics need, see `score_answers`.
        device: where models run; None for the GPU where there is one.
        options: further keywords of `run_benchmark`.

    Returns:
        The results, in every process.

    Raises:
        ValueError, RunMismatchError, ReaderError: as `run_benchmark`.

    Example:
        >>> from rablip.processing.benchmarks import open_benchmark
        >>> benchmark = open_benchmark("webqa", "data/webqa", split="val", setting="distractor")  # doctest: +SKIP
        >>> results = evaluate_benchmark(benchmark, "my_model", out="runs/webqa")  # doctest: +SKIP
    """
    run = run_benchmark(benchmark, model, out=out, stress=stress, device=device, **options)

    def finish() -> EvaluationResults:
        results = measure_run(run, plugged=plugged)
        write_submission(run, run.folder / "submission")
        write_run_page(run, results, run.folder / PAGE_NAME)
        # Last, so that a folder with results is a whole one.
        results.save(run.folder)
        return results

    return Processes(device).lead(finish)
