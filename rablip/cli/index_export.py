"""`rablip index export`: copies an index into a vector engine, in a folder, an object store or a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .indexing import index_app
from .options import JsonOption
from .output import one_json_object

__all__ = ["export"]


@index_app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="An index folder made by `rablip index build`.")],
    uri: Annotated[
        str, typer.Option("--to", metavar="URI", help="A folder, s3://bucket/folder or db://name of LanceDB.")
    ],
    table: Annotated[str, typer.Option("--table", help="The name of the new table there.")] = "knowledge",
    as_json: JsonOption = False,
) -> None:
    """Copy INDEX into a new table of LanceDB, without encoding anything again; needs the extra `engine`."""
    from ..indexing import export_index

    with one_json_object(as_json) as write:
        num_items = len(export_index(folder, uri, table=table))
        if as_json:
            write({"to": uri, "table": table, "num_items": num_items})
            return
        typer.echo(f"{num_items} knowledge items in table {table} of {uri}")
