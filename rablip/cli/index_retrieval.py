"""`rablip index lexical` and `rablip index scales`: what hybrid and modality-wise searches need beside the vectors."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from .index_editing import FolderArgument
from .indexing import index_app
from .options import DeviceOption, JsonOption, ModelOption, check_model
from .output import one_json_object

__all__ = ["lexical", "scales"]


@index_app.command("lexical")
def lexical(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Build the lexical part of INDEX (BM25 over titles, captions and texts), or build it again after a change."""
    from ..lexical import build_lexical_index

    with one_json_object(as_json) as write:
        built = build_lexical_index(folder)
        if as_json:
            write({"num_items": len(built), "num_words": built.num_words})
            return
        typer.echo(f"{built.num_words} different words of {len(built)} knowledge items in {folder}")


@index_app.command("scales")
def scales(
    folder: FolderArgument,
    questions: Annotated[
        Path, typer.Option("--questions", help="Sample questions: JSONL with `id`, `question` and perhaps `images`.")
    ],
    model: ModelOption,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how high the scores of each modality of INDEX lie, for --retrieval by_modality_scores."""
    from ..answering import fit_scales, load_parts
    from ..processing.images_rablip import load_image
    from ..processing.readers_jsonl import read_questions_jsonl

    with one_json_object(as_json) as write:
        examples = list(read_questions_jsonl(questions))
        parts = load_parts(check_model(model), index=folder, device=device)
        fitted = fit_scales(
            parts["retriever"],
            parts["retriever_processor"],
            parts["index"],
            [example.question for example in examples],
            [[load_image(image, root=questions.parent) for image in example.images] or None for example in examples],
        )
        fitted.save(folder)
        if as_json:
            write({name: dataclasses.asdict(scale) for name, scale in fitted.scales.items()})
            return
        for name, scale in fitted.scales.items():
            typer.echo(
                f"{name}: mean {scale.mean:.3f}, spread {scale.spread:.3f} ({scale.num_items} items, "
                f"{scale.num_questions} questions)"
            )
