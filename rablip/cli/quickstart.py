"""`rablip quickstart`: the whole path on a small unseen world, ending in one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import check_model

__all__ = ["quickstart"]


def quickstart(
    out: Annotated[Path, typer.Option("--out", help="The HTML page to write.")] = Path("quickstart/page.html"),
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="A model folder; by default the tiny one of the checkout."),
    ] = None,
) -> None:
    """Make a world, index it, print the table of baselines, answer a dozen questions, write an HTML page."""
    from ..quickstart import run_quickstart

    run_quickstart(out, model=check_model(model) if model is not None else None)
