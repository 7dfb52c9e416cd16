"""`rablip index build`: encodes a source of knowledge items and saves the index, naming what had to be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import OneLineErrors
from .options import DeviceOption, JsonOption, ModelOption, check_model
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
        str, typer.Option("--on-error", help="raise: stop at a broken item. skip: leave it out and report it by name.")
    ] = "raise",
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode every knowledge item of SOURCE with the retriever of MODEL and save an index."""
    from ..indexing import build_index

    with one_json_object(as_json) as write:
        if not source.exists():
            raise FileNotFoundError(f"{source} does not exist; give a folder or file of knowledge items.")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"--on-error is {on_error!r}; it must be raise or skip.")
        report = build_index(
            source, model=check_model(model), out=out, batch_size=batch_size, on_error=on_error, device=device
        )
        problems = [{"id": p.id, "file": p.file, "cause": p.cause} for p in report.problems]
        if as_json:
            write({"out": str(out), "num_items": report.num_items, "problems": problems})
            return
        for problem in problems:
            typer.echo(f"left out {problem['id']}: {problem['file']}: {problem['cause']}", err=True)
        typer.echo(f"{report.num_items} knowledge items in {out}, {len(problems)} left out")
