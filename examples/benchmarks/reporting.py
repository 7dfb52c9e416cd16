"""What the ablations share: runs kept in a work folder, so that an interrupted one goes on, and the report's head."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rablip
from rablip.metrics import bootstrap_interval
from rablip.world import WORLD_VERSION

# Which runs are made, and where they are written, changes no run.
PLACES = ("out", "work_dir")
CHOICES = ("arms", "seeds", "sizes", "data", "kinds", "peer")


def keep_run(args: argparse.Namespace, name: str, compute: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """The run of that name from the work folder, computed and written there when it is not there yet.

    Args:
        args: the command line, with `work_dir`.
        name: name of the run.
        compute: makes the run, given a folder of its own.

    Raises:
        SystemExit: when the folder holds runs that were made with other arguments.
    """
    file = args.work_dir / f"{name}.json"
    args.work_dir.mkdir(parents=True, exist_ok=True)
    _check_arguments(args)
    if not file.is_file():
        text = json.dumps(compute(args.work_dir / name))
        written = file.with_suffix(".part")
        written.write_text(text, encoding="utf-8")
        written.replace(file)
    run: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return run


def _check_arguments(args: argparse.Namespace) -> None:
    file = args.work_dir / "arguments.json"
    now = {name: value for name, value in describe_arguments(args).items() if name not in CHOICES}
    if not file.is_file():
        file.write_text(json.dumps(now, indent=2), encoding="utf-8")
    before = json.loads(file.read_text(encoding="utf-8"))
    changed = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
    if changed:
        said = ", ".join(f"{name} {before.get(name)} then, {now.get(name)} now" for name in changed)
        sys.exit(f"{args.work_dir} holds runs made with other arguments ({said}): choose another --work-dir")


def describe_run(args: argparse.Namespace, script: str) -> dict[str, Any]:
    """The head of a report: command, arguments, versions and machine."""
    return {
        "command": describe_command(script),
        "arguments": describe_arguments(args),
        "world_version": WORLD_VERSION,
        "versions": {"rablip": rablip.__version__, "torch": torch.__version__},
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }


def describe_command(script: str) -> str:
    """The command of this run, without where it lies and what it writes."""
    options = [f"--{name.replace('_', '-')}" for name in PLACES]
    words = sys.argv[1:]
    dropped = [number for number, word in enumerate(words) if word in options]
    kept = [word for number, word in enumerate(words) if number not in dropped and number - 1 not in dropped]
    return " ".join(["python", f"examples/benchmarks/{script}.py", *kept])


def describe_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """All arguments, without where the run writes."""
    kept = {name: value for name, value in vars(args).items() if name not in PLACES}
    return {name: str(value) if isinstance(value, Path) else value for name, value in kept.items()}


def describe_seeds(values: Sequence[np.ndarray]) -> dict[str, Any]:
    """Mean over seeds with a 95 % bootstrap interval over questions, and the mean of each seed.

    The same questions are asked of every seed's run: a question is one thing to draw, whatever the number of seeds.

    Args:
        values: per seed, a figure for every question.
    """
    of_questions = np.mean(values, axis=0)
    rows = np.stack([of_questions, np.ones(len(of_questions))], axis=1)
    low, high = bootstrap_interval(rows, lambda sums: sums[:, 0] / sums[:, 1])
    return {
        "value": float(of_questions.mean()),
        "interval": [low, high],
        "n": len(of_questions),
        "seeds": [float(np.mean(of_seed)) for of_seed in values],
    }


def write_report(report: dict[str, Any], out: Path) -> None:
    """Write a report as JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
