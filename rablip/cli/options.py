"""Options that several commands share, and the check of a model given by path or name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Bf16Option",
    "DeviceOption",
    "EngineOption",
    "EngineTableOption",
    "ImageOption",
    "IndexOption",
    "IndexRevisionOption",
    "JsonOption",
    "ModelOption",
    "RetrievalOption",
    "RevisionOption",
    "WorkersOption",
    "check_model",
]

ModelOption = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="A model folder (one model, or a bundle of retriever/ and generator/), or a Hub id."
    ),
]
IndexOption = Annotated[
    str, typer.Option("--index", help="An index folder made by `rablip index build`, or one on the Hub.")
]
IndexRevisionOption = Annotated[
    str | None, typer.Option("--index-revision", help="The commit (40 digits) of an index on the Hub.")
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", help="Branch, tag or commit of the model on the Hub.")
]
RetrievalOption = Annotated[
    str,
    typer.Option("--retrieval", help="dense, by_modality_scores, by_modality_ranks or hybrid (with words, BM25)."),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="URI",
        help="Search the table that `rablip index export` made there; --index then gives texts and pictures only.",
    ),
]
EngineTableOption = Annotated[str, typer.Option("--engine-table", help="The name of that table.")]
ImageOption = Annotated[Path | None, typer.Option("--image", help="A picture that belongs to the question.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Such as cpu or cuda; by default a GPU if any.")]

WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=0, help="Threads that open pictures ahead; by default by processors.")
]
Bf16Option = Annotated[
    bool | None, typer.Option("--bf16/--no-bf16", help="Compute in bfloat16; by default where that is faster.")
]


def check_model(model: str) -> str:
    """Return `model`; a path that does not exist is an error here, not a question to the Hub.

    Raises:
        FileNotFoundError: when `model` can only be a path and there is no such folder.
        NotADirectoryError: when it is a file.

    Example:
        >>> check_model("someone/rablip-base")
        'someone/rablip-base'
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return str(path)
    if path.exists():
        raise NotADirectoryError(f"--model {model} is a file; give the model folder that holds config.json.")
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise FileNotFoundError(f"--model {model}: there is no such folder; give a model folder or a Hub id.")
    return model
