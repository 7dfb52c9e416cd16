"""`rablip eval world`: the figures of a model on a world with a seed it has never seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import OneLineErrors
from .options import DeviceOption, JsonOption, ModelOption, check_model
from .output import one_json_object, write_json

__all__ = ["eval_app", "world"]

eval_app = typer.Typer(cls=OneLineErrors, help="Measure a model.", no_args_is_help=True)


@eval_app.callback()
def _group() -> None:
    """Keep `world` a command of its own: a Typer with one command would swallow its name."""


@eval_app.command("world")
def world(
    seed: Annotated[int, typer.Option("--seed", help="The seed of the world.")],
    entities: Annotated[int, typer.Option("--entities", min=1, help="How many buildings.")],
    model: ModelOption,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Rows that a model gets at once.")] = 64,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the JSON object to this file.")] = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a world of the test split and report every figure with its count, interval and baselines."""
    with one_json_object(as_json) as write:
        model = check_model(model)
        from ..answering import RablipAnswerer
        from ..evaluation import evaluate_world
        from ..world import make_world

        answerer = RablipAnswerer.from_pretrained(model, device=device)
        report = evaluate_world(
            make_world(seed, entities), answerer, batch_size=batch_size, model=model, progress=True
        )
        values = report.to_json()
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            with out.open("w", encoding="utf-8") as file:
                write_json(values, file=file)
        if as_json:
            write(values)
        else:
            from ..evaluation import print_report

            print_report(values)
