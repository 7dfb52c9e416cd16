"""`rablip train`: the recipes that make checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import OneLineErrors

__all__ = ["tiny", "train_app"]

train_app = typer.Typer(cls=OneLineErrors, help="Train models.", no_args_is_help=True)


@train_app.callback()
def _group() -> None:
    """Keep `tiny` a command of its own: a Typer with one command would swallow its name."""


@train_app.command("tiny")
def tiny(
    out: Annotated[Path, typer.Option("--out", help="The folder of the bundle: retriever/, reranker/, generator/.")],
    seed: Annotated[int, typer.Option("--seed", help="Seed of the worlds, the weights and the order.")] = 0,
    scale: Annotated[float, typer.Option("--scale", help="Fraction of the steps; below 1 only to try it out.")] = 1.0,
) -> None:
    """Train the tiny checkpoint that ships with the repository."""
    if scale <= 0:
        raise ValueError(f"--scale is {scale}; it must be above 0.")
    from ..tiny_checkpoint import train_tiny

    train_tiny(out, seed=seed, scale=scale)
    typer.echo(f"trained: {out}")
