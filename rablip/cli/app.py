"""The command tree of `rablip`: which command is implemented where."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from . import index_editing as index_editing  # its commands join index_app
from . import index_export as index_export  # its command, too
from . import index_retrieval as index_retrieval  # its commands, too
from .answering import answer, search
from .benchmarks import report_app
from .conversion import convert_app
from .environment import env
from .errors import OneLineErrors
from .evaluation import eval_app
from .hub import merge, push
from .indexing import index_app
from .quickstart import quickstart
from .training import train_app
from .world import world_app

__all__ = ["app", "main"]

app = typer.Typer(
    name="rablip",
    cls=OneLineErrors,
    help="Answers to questions from your pictures and texts, with citations and relevance, or an honest abstention.",
    epilog="Bad input ends with exit code 2 and one line on stderr; RABLIP_DEBUG=1 adds the traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("env")(env)
app.command("search")(search)
app.command("answer")(answer)
app.command("quickstart")(quickstart)
app.command("push")(push)
app.command("merge")(merge)
app.add_typer(convert_app, name="convert")
app.add_typer(world_app, name="world")
app.add_typer(index_app, name="index")
app.add_typer(eval_app, name="eval")
app.add_typer(report_app, name="report")
app.add_typer(train_app, name="train")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command line; the entry point of the installed `rablip` command."""
    app(prog_name="rablip")
