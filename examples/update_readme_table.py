"""Writes the measured figures of a checkpoint into README.md and its model card; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rablip.hub import make_card, read_contents, update_card
from rablip.hub.figures import describe_run, render_figures

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures:begin", "<!-- figures:end -->"


def render(report: Mapping[str, Any]) -> str:
    """The section of the README for one report of `rablip eval world --json`."""
    intro = (
        f"`rablip-tiny` on an unseen world ({describe_run(report)}), as written to `results.json` by "
        f"`rablip eval world --seed {report['seed']} --entities {report['num_entities']}`. "
        "Recall@5 is over pairs of answerable question and needed item; accuracy beside the rate of the kind's "
        "commonest answer."
    )
    return f"{intro}\n\n{render_figures(report)}"


def main() -> None:
    """Update README and card, or say which of them is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default=ROOT / "examples/checkpoints/rablip-tiny", type=Path)
    parser.add_argument("--readme", default=ROOT / "README.md", type=Path)
    parser.add_argument("--name", default="examples/checkpoints/rablip-tiny", help="under which the card loads it")
    parser.add_argument("--check", action="store_true", help="exit code 1 when one is out of date")
    arguments = parser.parse_args()

    report = json.loads((arguments.checkpoint / "results.json").read_text(encoding="utf-8"))
    text = arguments.readme.read_text(encoding="utf-8")
    start, end = text.index(BEGIN), text.index(END)
    first_line = text[start : text.index("\n", start)]
    card = arguments.checkpoint / "README.md"
    existing = card.read_text(encoding="utf-8") if card.is_file() else None
    wanted = {
        arguments.readme: f"{text[:start]}{first_line}\n{render(report)}\n{text[end:]}",
        card: str(update_card(existing, make_card(read_contents(arguments.checkpoint), arguments.name))),
    }
    for path, content in wanted.items():
        if arguments.check and (not path.is_file() or path.read_text(encoding="utf-8") != content):
            sys.exit(f"{path} is out of date: run this script without --check")
        if not arguments.check:
            path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
