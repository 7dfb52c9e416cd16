"""Writes the measured figures of results.json into README.md, between the two marks; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def main() -> None:
    """Update the README, or say that it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=ROOT / "examples/checkpoints/rablip-tiny/results.json", type=Path)
    parser.add_argument("--readme", default=ROOT / "README.md", type=Path)
    parser.add_argument("--check", action="store_true", help="exit code 1 when the README is out of date")
    arguments = parser.parse_args()

    section = render(json.loads(arguments.results.read_text(encoding="utf-8")))
    text = arguments.readme.read_text(encoding="utf-8")
    start, end = text.index(BEGIN), text.index(END)
    first_line = text[start : text.index("\n", start)]
    updated = f"{text[:start]}{first_line}\n{section}\n{text[end:]}"
    if arguments.check:
        sys.exit(0 if updated == text else f"{arguments.readme} is out of date: run this script without --check")
    arguments.readme.write_text(updated, encoding="utf-8")


if __name__ == "__main__":
    main()
