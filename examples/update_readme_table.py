"""Writes the measured figures of a checkpoint into README.md and its model card; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from safetensors import safe_open

from rablip.evaluation.table import answer_rows, retrieval_rows

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures:begin", "<!-- figures:end -->"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table from rows of text, a header first."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|---|{'---:|' * (len(rows[0]) - 1)}")
    return "\n".join(lines)


def render(report: Mapping[str, Any]) -> str:
    """The section of the README for one report of `rablip eval world --json`."""
    run = f"seed {report['seed']}, {report['num_entities']} entities, world version `{report['world_version']}`"
    intro = (
        f"`rablip-tiny` on an unseen world ({run}), as written to `results.json` by "
        f"`rablip eval world --seed {report['seed']} --entities {report['num_entities']}`. "
        "Recall@5 is over pairs of answerable question and needed item; accuracy beside the rate of the kind's "
        "commonest answer."
    )
    trust = [["", "value", "95 % interval", "n"]]
    for group, name in (("abstain", "f1"), ("abstain", "precision"), ("abstain", "recall"), ("citation", "precision")):
        figure = report[group][name]
        low, high = figure["interval"]
        trust.append([f"{group} {name}", f"{figure['value']:.3f}", f"{low:.3f} to {high:.3f}", str(figure["n"])])
    tables = [markdown_table(rows) for rows in (retrieval_rows(report), answer_rows(report), trust)]
    return "\n\n".join([intro, *tables])


def render_sizes(folder: Path) -> str:
    """A table of the models of a bundle: parameters and size on disk."""
    rows = [["model", "parameters", "megabytes"]]
    for weights in sorted(folder.glob("*/model.safetensors")):
        with safe_open(weights, framework="numpy") as tensors:
            count = sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())
        rows.append([f"`{weights.parent.name}/`", f"{count:,}", f"{weights.stat().st_size / 1e6:.1f}"])
    return markdown_table(rows)


def render_card(template: str, folder: Path, report: Mapping[str, Any]) -> str:
    """The model card of a bundle from its template, `training.json` and report."""
    training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    return Template(template).substitute(
        sizes=render_sizes(folder), seed=training["seed"], scale=training["scale"], figures=render(report)
    )


def main() -> None:
    """Update README and card, or say which of them is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default=ROOT / "examples/checkpoints/rablip-tiny", type=Path)
    parser.add_argument("--readme", default=ROOT / "README.md", type=Path)
    parser.add_argument("--card-template", default=ROOT / "hub_cards/rablip-tiny.md", type=Path)
    parser.add_argument("--check", action="store_true", help="exit code 1 when one is out of date")
    arguments = parser.parse_args()

    report = json.loads((arguments.checkpoint / "results.json").read_text(encoding="utf-8"))
    text = arguments.readme.read_text(encoding="utf-8")
    start, end = text.index(BEGIN), text.index(END)
    first_line = text[start : text.index("\n", start)]
    template = arguments.card_template.read_text(encoding="utf-8")
    wanted = {
        arguments.readme: f"{text[:start]}{first_line}\n{render(report)}\n{text[end:]}",
        arguments.checkpoint / "README.md": render_card(template, arguments.checkpoint, report),
    }
    for path, content in wanted.items():
        if arguments.check and (not path.is_file() or path.read_text(encoding="utf-8") != content):
            sys.exit(f"{path} is out of date: run this script without --check")
        if not arguments.check:
            path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
