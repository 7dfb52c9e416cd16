"""`rablip index build`: encodes a source of knowledge items and saves the index, naming what had to be left out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from .errors import OneLineErrors
from .options import DeviceOption, JsonOption, ModelOption, RevisionOption, check_model
from .output import one_json_object

__all__ = ["build", "index_app"]

index_app = typer.Typer(cls=OneLineErrors, help="Build an index over pictures and texts.", no_args_is_help=True)


@index_app.callback()
def _group() -> None:
    """Keep `build` a command of its own: a Typer with one command would swallow its name."""


@index_app.command("build")
def build(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder with metadata.jsonl, a JSONL file, a WebQA folder or a world.",
        ),
    ],
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", help="The index folder to write.")],
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Items encoded at once.")] = 64,
    on_error: Annotated[
        str, typer.Option("--on-error", help="skip: leave broken items out and name them. raise: then build nothing.")
    ] = "skip",
    device: DeviceOption = None,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode every knowledge item of SOURCE with the retriever of MODEL and save an index."""
    from ..indexing import build_index

    with one_json_object(as_json) as write:
        if on_error not in ("raise", "skip"):
            raise ValueError(f"--on-error is {on_error!r}; it must be raise or skip.")
        report = build_index(
            source,
            model=check_model(model),
            out=out,
            batch_size=batch_size,
            on_error="skip" if on_error == "skip" else "raise",
            device=device,
            revision=revision,
        )
        for problem in report.problems:
            typer.echo(f"left out {problem}", err=True)
        if as_json:
            values = {"out": str(out), **dataclasses.asdict(report)}
            del values["folder"]
            write(values)
            return
        typer.echo(
            f"{report.num_items} knowledge items in {out}; {len(report.problems)} left out, "
            f"{report.num_truncated} cut to the model's length; {report.seconds:.0f} s"
        )
