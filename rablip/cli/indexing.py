"""`rablip index build`: encodes a source of knowledge items and saves the index, naming what had to be left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from .errors import OneLineErrors
from .options import (
    Bf16Option,
    DeviceOption,
    JsonOption,
    ModelOption,
    RevisionOption,
    WorkersOption,
    check_model,
)
from .output import one_json_object

if TYPE_CHECKING:
    from ..indexing import BuildReport

__all__ = ["KindOption", "OnErrorOption", "build", "check_on_error", "index_app", "report_build"]

index_app = typer.Typer(
    cls=OneLineErrors, help="Build and keep an index over pictures and texts.", no_args_is_help=True
)

KindOption = Annotated[
    str | None,
    typer.Option("--kind", help="How it is searched: auto (by size), exact, hnsw, ivf, ivf_rabitq or ivf_pq."),
]
OnErrorOption = Annotated[
    str, typer.Option("--on-error", help="skip: leave broken items out and name them. raise: then change nothing.")
]


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
    kind: KindOption = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Items encoded at once.")] = 64,
    workers: WorkersOption = None,
    bf16: Bf16Option = None,
    on_error: OnErrorOption = "skip",
    lexical: Annotated[
        bool, typer.Option("--lexical", help="Also build the lexical part, for --retrieval hybrid.")
    ] = False,
    device: DeviceOption = None,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode every knowledge item of SOURCE with the retriever of MODEL and save an index.

    Run it again when it was killed: only what is missing is encoded. Several processes or GPUs share the work:
    torchrun --nproc-per-node 2 -m rablip index build ...
    """
    from ..index.search_kinds import SearchSettings
    from ..indexing import build_index

    with one_json_object(as_json) as write:
        report = build_index(
            source,
            model=check_model(model),
            out=out,
            search=SearchSettings() if kind is None else SearchSettings(kind=cast(Any, kind)),
            batch_size=batch_size,
            num_workers=workers,
            bf16=bf16,
            on_error=check_on_error(on_error),
            device=device,
            revision=revision,
            lexical=lexical,
        )
        report_build(report, as_json, write)


def check_on_error(on_error: str) -> Literal["raise", "skip"]:
    """Return what is done about broken items.

    Raises:
        ValueError: when it is neither.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"--on-error is {on_error!r}; it must be raise or skip.")
    return "skip" if on_error == "skip" else "raise"


def report_build(report: BuildReport, as_json: bool, write: Callable[[Mapping[str, Any]], None]) -> None:
    """Say what was built or added, and name what was left out; of several processes the first speaks."""
    from ..processes import is_first

    if not is_first():
        return
    for problem in report.problems:
        typer.echo(f"left out {problem}", err=True)
    if as_json:
        values = {"out": str(report.folder), **dataclasses.asdict(report)}
        del values["folder"]
        write(values)
        return
    typer.echo(
        f"{report.num_items} knowledge items in {report.folder}; {len(report.problems)} left out, "
        f"{report.num_truncated} cut to the model's length; {report.seconds:.0f} s"
    )
