"""`rablip index add`, `delete`, `verify`, `stats`, `compact` and `merge`: what keeps an index in order."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from .indexing import KindOption, OnErrorOption, check_on_error, index_app, report_build
from .options import DeviceOption, JsonOption, WorkersOption, check_model
from .output import one_json_object

__all__ = ["FolderArgument", "add", "compact", "delete", "merge", "stats", "verify"]

FolderArgument = Annotated[Path, typer.Argument(metavar="INDEX", help="An index folder made by `rablip index build`.")]
DuplicateOption = Annotated[
    str,
    typer.Option(
        "--on-duplicate", help="Of an id that is there already: fail, skip (keep the old item) or overwrite."
    ),
]


@index_app.command("add")
def add(
    folder: FolderArgument,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="As of `rablip index build`.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model that built the index; by default as it names it.")
    ] = None,
    on_duplicate: DuplicateOption = "fail",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Items encoded at once.")] = 64,
    workers: WorkersOption = None,
    on_error: OnErrorOption = "skip",
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode the knowledge items of SOURCE and add them to INDEX; only they are encoded."""
    from ..indexing import add_knowledge

    with one_json_object(as_json) as write:
        report = add_knowledge(
            folder,
            source,
            model=None if model is None else check_model(model),
            on_duplicate=_check_policy(on_duplicate),
            batch_size=batch_size,
            num_workers=workers,
            on_error=check_on_error(on_error),
            device=device,
        )
        report_build(report, as_json, write)


@index_app.command("delete")
def delete(
    folder: FolderArgument,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of knowledge items.")],
    strict: Annotated[bool, typer.Option("--strict", help="Delete nothing when an id is not there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete knowledge items from INDEX: they are found no more; `compact` frees their room."""
    from ..indexing import delete_knowledge

    with one_json_object(as_json) as write:
        unknown = delete_knowledge(folder, ids, strict=strict)
        num_deleted = len(set(ids)) - len(unknown)
        if as_json:
            write({"num_deleted": num_deleted, "unknown": unknown})
            return
        for item_id in unknown:
            typer.echo(f"not in the index: {item_id}", err=True)
        typer.echo(f"{num_deleted} knowledge items deleted")


@index_app.command("verify")
def verify(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Check every byte of every file of INDEX, its lexical part included, against the hashes kept of them."""
    from ..indexing import measure_knowledge, verify_knowledge

    with one_json_object(as_json) as write:
        manifest = verify_knowledge(folder)
        measured, lexical = measure_knowledge(folder)
        num_bytes = measured.disk_bytes + (lexical.disk_bytes if lexical else 0)
        if as_json:
            write({"is_whole": True, "num_items": manifest.num_items, "num_bytes": num_bytes})
            return
        typer.echo(f"{folder} is whole: {manifest.num_items} knowledge items, {num_bytes} bytes")


@index_app.command("stats")
def stats(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """What INDEX holds, how it is searched, and what it takes on disk and in memory."""
    from ..indexing import measure_knowledge

    with one_json_object(as_json) as write:
        measured, lexical = measure_knowledge(folder)
        if as_json:
            write(dataclasses.asdict(measured) | {"lexical": lexical and dataclasses.asdict(lexical)})
            return
        typer.echo(
            f"{measured.num_items} knowledge items ({measured.num_deleted} more deleted), generation "
            f"{measured.generation}\n{measured.disk_bytes} bytes on disk, {measured.items_bytes} of them items; "
            f"{measured.resident_bytes} bytes in memory"
        )
        for segment in measured.segments:
            typer.echo(
                f"  {segment.name}: {segment.kind}, {segment.num_items} items, {segment.num_deleted} deleted, "
                f"{segment.num_vectors} vectors, {segment.disk_bytes} bytes"
            )
        if lexical is not None:
            state = f"stale, build it again: rablip index lexical {folder}" if lexical.is_stale else "up to date"
            typer.echo(f"  lexical part: {lexical.num_words} words, {lexical.disk_bytes} bytes, {state}")


@index_app.command("compact")
def compact(folder: FolderArgument, kind: KindOption = None, as_json: JsonOption = False) -> None:
    """Write INDEX anew without what was deleted, as one segment with one search structure."""
    from ..index.search_kinds import SearchSettings
    from ..indexing import compact_knowledge

    with one_json_object(as_json) as write:
        search = None if kind is None else SearchSettings(kind=cast(Any, kind))
        manifest = compact_knowledge(folder, search=search)
        kinds = [record.search.kind for record in manifest.segments]
        if as_json:
            write({"num_items": manifest.num_items, "kinds": kinds, "generation": manifest.generation})
            return
        typer.echo(f"{manifest.num_items} knowledge items in {folder}, searched by: {', '.join(kinds) or 'nothing'}")


@index_app.command("merge")
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="INDEX...", help="Two or more indexes of one model.")],
    out: Annotated[Path, typer.Option("--out", help="The new index folder.")],
    on_duplicate: DuplicateOption = "fail",
    as_json: JsonOption = False,
) -> None:
    """Join indexes that one model built into a new one, without encoding anything again."""
    from ..indexing import merge_indexes

    with one_json_object(as_json) as write:
        manifest = merge_indexes(folders, out, on_duplicate=_check_policy(on_duplicate))
        if as_json:
            write({"out": str(out), "num_items": manifest.num_items})
            return
        typer.echo(f"{manifest.num_items} knowledge items in {out}")


def _check_policy(policy: str) -> Any:
    if policy not in ("fail", "skip", "overwrite"):
        raise ValueError(f"--on-duplicate is {policy!r}; it must be fail, skip or overwrite.")
    return policy
