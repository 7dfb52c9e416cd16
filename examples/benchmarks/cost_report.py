"""The cost benchmark's figures: summaries over the rounds, ratios within each round, the goal, and a table."""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cost_arms import LORA_RANK
from cost_measures import compare_flops, find_card_peak
from cost_setup import CANDIDATES_PER_EXAMPLE, PICTURES_PER_EXAMPLE, CostData

GOAL_SPEED, GOAL_MEMORY = 3.0, 0.5
_BASELINES = ("release", "release_fp32")
# The first one decides on the goal.
_SIZES = ("training_peak", "peak_above_construction", "saved_for_backward")


def summarize(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest value of the rounds.

    Of n independent rounds, the range from smallest to largest misses the true median once in 2^(n - 1) runs.
    """
    median, low, high = statistics.median(values), min(values), max(values)
    return {"median": round(median, 4), "low": round(low, 4), "high": round(high, 4)}


def make_report(
    arms: dict[str, dict[str, Any]],
    *,
    options: argparse.Namespace,
    command: str,
    machine: dict[str, Any],
    precision: str,
    data: CostData,
    builds: list[dict[str, float]],
    at_full: dict[str, Any] | None,
) -> dict[str, Any]:
    """What is written to the JSON file.

    Args:
        arms: by name, each with its `rounds` and what else is known.
        options: of the command line.
        command: the command line.
        machine: where it ran.
        precision: of rablip's arms.
        data: what was trained on.
        builds: cost of each build of the cache, per picture.
        at_full: operations at full size, None to leave them out.
    """
    key = "cpu_seconds" if options.device == "cpu" else "seconds"
    times = {name: [row[key] for row in arm["rounds"]] for name, arm in arms.items()}
    summaries = {name: _summarize_arm(name, arm, times, data, options.device) for name, arm in arms.items()}
    threads = os.environ.get("OMP_NUM_THREADS")
    return {
        "benchmark": "training_cost",
        "command": f"{f'OMP_NUM_THREADS={threads} ' if threads else ''}python examples/benchmarks/training_cost.py "
        + command,
        "seed": options.seed,
        "rounds": options.rounds,
        "time_is": {
            "cpu_seconds": "seconds of the processor, since other work shares the machine",
            "seconds": "seconds of the clock",
        }[key],
        "machine": machine,
        "precision": {"release": "bf16 language model, rest as the release", "rablip": precision},
        "dims": {"name": options.dims, **asdict(data.dims)},
        "batch": {
            "examples": options.batch_size,
            "pictures_per_example": PICTURES_PER_EXAMPLE,
            "candidates_per_example": CANDIDATES_PER_EXAMPLE,
            "language_model_tokens": data.tokens_per_step,
        },
        "lora_rank": LORA_RANK,
        "arms": summaries,
        "flops_here": compare_flops({name: arm["flops_per_step"] for name, arm in arms.items()}),
        "flops_at_full": at_full,
        "cache": _summarize_cache(builds, key, times, options.batch_size),
        "goal": _compare_with_goal(summaries),
    }


def _summarize_arm(
    name: str, arm: dict[str, Any], times: dict[str, list[float]], data: CostData, device: str
) -> dict[str, Any]:
    seconds = times[name]
    summary: dict[str, Any] = {
        "seconds_per_step": summarize(seconds),
        "steps_per_second": summarize([1 / value for value in seconds]),
        "steps_per_second_of_the_clock": summarize([1 / row["seconds"] for row in arm["rounds"]]),
        "tokens_per_second": summarize([data.tokens_per_step / value for value in seconds]),
    }
    for other in _BASELINES:
        if other in times:
            ratios = [theirs / own for theirs, own in zip(times[other], seconds, strict=True)]
            summary[f"speed_over_{other}"] = summarize(ratios)
    if device == "cuda" and (peak := find_card_peak()) is not None:
        rate = arm["flops_per_step"]["total"] / statistics.median(seconds) / 1e12
        summary["share_of_bf16_peak"] = {"tflops": round(rate, 1), "peak": peak, "share": round(rate / peak, 4)}
    return {"what": arm["what"], **summary, **{key: value for key, value in arm.items() if key != "what"}}


def _summarize_cache(
    builds: list[dict[str, float]], key: str, times: dict[str, list[float]], batch_size: int
) -> dict[str, Any]:
    """Cost of a build, and after how many epochs it is paid for where no two examples share a picture."""
    costs = [build[key] for build in builds]
    cost_per_step = statistics.median(costs) * PICTURES_PER_EXAMPLE * batch_size
    paid = {}
    for other in ("cache_off", *_BASELINES):
        if other in times:
            saved = statistics.median(times[other]) - statistics.median(times["cache_on"])
            paid[f"over_{other}"] = round(cost_per_step / saved, 3) if saved > 0 else None
    return {"seconds_per_picture": summarize(costs), "paid_for_after_epochs": paid, "builds": builds}


def _compare_with_goal(arms: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Speed and memory of rablip's arms over the release and over the control, and whether the goal is reached."""
    found: dict[str, dict[str, Any]] = {}
    for name in arms:
        for other in _BASELINES:
            if name in _BASELINES or other not in arms:
                continue
            speed = arms[name][f"speed_over_{other}"]["median"]
            row: dict[str, Any] = {"speed": speed, "speed_reached": speed >= GOAL_SPEED}
            if "memory_megabytes" in arms[name]:
                own, theirs = (arms[arm]["memory_megabytes"] for arm in (name, other))
                for size in _SIZES:
                    row[f"memory_{size}"] = round(own[size] / theirs[size], 3)
                row["memory_reached"] = row[f"memory_{_SIZES[0]}"] <= GOAL_MEMORY
            found[f"{name} over {other}"] = row
    return {"speed_at_least": GOAL_SPEED, "memory_at_most": GOAL_MEMORY, "found": found}


def print_report(report: dict[str, Any]) -> None:
    """Print the table and what has to be known to read it."""
    rates = report["machine"]["matmul_gflops"]
    print(f"{report['command']}\n{report['machine']['cpu']}, {report['machine']['threads']} threads, matmul {rates}")
    print("shares of the release's step:", report["flops_here"]["shares_of_release"])
    head = ("arm", "steps/s", "over release", "over fp32", "tower calls", "training MB", "above weights", "saved")
    print(" | ".join(f"{cell:>13}" for cell in head))
    for name, arm in report["arms"].items():
        memory = arm.get("memory_megabytes", {})
        cells: list[str] = [name, f"{arm['steps_per_second']['median']:.3f}"]
        for other in _BASELINES:
            ratio = arm.get(f"speed_over_{other}")
            cells.append(f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})" if ratio else "-")
        cells.append(str(arm["calls_per_step"]["vision_calls"]))
        cells += [str(memory.get(size, "-")) for size in _SIZES]
        print(" | ".join(f"{cell:>13}" for cell in cells))
    print("cache:", {key: value for key, value in report["cache"].items() if key != "builds"})
    print(f"goal: {GOAL_SPEED:g} times the steps per second, {GOAL_MEMORY:g} of the memory (training_peak)")
    for name, row in report["goal"]["found"].items():
        print(f"  {name}: {row}")
    if report["flops_at_full"]:
        print("operations at full size, release over:", report["flops_at_full"]["release_over"])


__all__ = ["GOAL_MEMORY", "GOAL_SPEED", "make_report", "print_report", "summarize"]
