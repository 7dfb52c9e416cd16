"""`rablip convert`: public checkpoints to model folders of rablip, and back to the release's form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import OneLineErrors
from .options import JsonOption, RevisionOption, check_model
from .output import one_json_object

__all__ = ["convert_app"]

convert_app = typer.Typer(
    cls=OneLineErrors, help="Make model folders of public checkpoints, and the other way.", no_args_is_help=True
)

SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="A checkpoint's folder, or a Hub id.")]
OutArgument = Annotated[
    Path, typer.Argument(metavar="OUT", help="The model folder to write; parts that it has stay beside the new one.")
]
DtypeOption = Annotated[
    str, typer.Option("--dtype", help="Of the weights: auto (the checkpoint's own), float32, bfloat16 or float16.")
]
MaxImagesOption = Annotated[int, typer.Option("--max-images", min=1, help="Pictures of a question and its evidence.")]


@convert_app.command("instructblip")
def convert_instructblip_checkpoint(
    source: SourceArgument,
    out: OutArgument,
    max_images: MaxImagesOption = 2,
    dtype: DtypeOption = "auto",
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make OUT/generator of an InstructBLIP checkpoint (Flan-T5 or Vicuna)."""
    from ..conversion import convert_instructblip

    with one_json_object(as_json) as write:
        folder = convert_instructblip(
            check_model(source), out, max_images=max_images, dtype=dtype, revision=revision or "main"
        )
        write({"folders": [str(folder)]}) if as_json else typer.echo(f"A generator in {folder}")


@convert_app.command("blip2-itm")
def convert_blip2_checkpoint(
    source: SourceArgument,
    out: OutArgument,
    reranker: Annotated[bool, typer.Option("--reranker", help="Also a re-ranker; it judges pictures only.")] = False,
    dtype: DtypeOption = "auto",
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make OUT/retriever of a BLIP-2 image-text matching checkpoint."""
    from ..conversion import convert_blip2_itm

    with one_json_object(as_json) as write:
        folders = convert_blip2_itm(
            check_model(source), out, reranker=reranker, dtype=dtype, revision=revision or "main"
        )
        if as_json:
            write({"folders": [str(folder) for folder in folders]})
            return
        for folder in folders:
            typer.echo(f"A {folder.name} in {folder}")


@convert_app.command("official")
def convert_official_checkpoint(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The release's .pth, or the same in safetensors.")],
    out: OutArgument,
    language_model: Annotated[
        str, typer.Option("--language-model", help="Folder or Hub id of its T5: configuration and tokenizer are read.")
    ],
    qformer: Annotated[
        str, typer.Option("--qformer", help="Folder or Hub id of its BERT: configuration and tokenizer are read.")
    ],
    num_vision_heads: Annotated[
        int, typer.Option("--num-vision-heads", min=1, help="Heads of the vision tower; no shape tells them.")
    ] = 16,
    dtype: DtypeOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Make OUT/generator of a checkpoint of the public RA-BLIP release."""
    from ..conversion import convert_official

    with one_json_object(as_json) as write:
        folder = convert_official(
            file, out, language_model=language_model, qformer=qformer, num_vision_heads=num_vision_heads, dtype=dtype
        )
        write({"folders": [str(folder)]}) if as_json else typer.echo(f"A generator in {folder}")


@convert_app.command("to-official")
def export_official_checkpoint(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A generator's folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder for the file.")],
    as_json: JsonOption = False,
) -> None:
    """Write a generator's weights under the release's names, in safetensors."""
    from ..conversion import export_official

    with one_json_object(as_json) as write:
        file = export_official(check_model(str(model)), out)
        write({"file": str(file)}) if as_json else typer.echo(f"The release's state dict in {file}")
