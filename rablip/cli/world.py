"""`rablip world make`: writes a world, the seeded encyclopaedia of pictures and texts, to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import OneLineErrors
from .options import JsonOption
from .output import one_json_object

__all__ = ["make", "world_app"]

world_app = typer.Typer(cls=OneLineErrors, help="Make worlds: pictures, texts and questions.", no_args_is_help=True)


@world_app.callback()
def _group() -> None:
    """Keep `make` a command of its own: a Typer with one command would swallow its name."""


@world_app.command("make")
def make(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write; it must not exist or be empty.")],
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes everywhere.")],
    entities: Annotated[int, typer.Option("--entities", min=1, help="How many buildings; each gives about 4 items.")],
    split: Annotated[str, typer.Option("--split", help="train, validation or test; they share no name.")] = "test",
    as_json: JsonOption = False,
) -> None:
    """Write a world: WebQA files, knowledge.jsonl, questions.jsonl and pictures."""
    with one_json_object(as_json) as write:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise FileExistsError(f"{out} exists and is not an empty folder; give a new one.")
        from ..world import WORLD_VERSION, make_world, write_world

        world = make_world(seed, entities, split=split)
        write_world(world, out)
        report = {
            "out": str(out),
            "world_version": WORLD_VERSION,
            "seed": seed,
            "entities": entities,
            "split": split,
            "items": len(world.items),
            "questions": len(world.questions),
        }
        if as_json:
            write(report)
        else:
            typer.echo(f"{report['items']} knowledge items and {report['questions']} questions in {out}")
            typer.echo(f"next: rablip index build {out} --model MODEL --out INDEX")
