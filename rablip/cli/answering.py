"""`rablip search` and `rablip answer`: candidates for one question, or its answer with what it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from .options import (
    DeviceOption,
    EngineOption,
    EngineTableOption,
    ImageOption,
    IndexOption,
    IndexRevisionOption,
    JsonOption,
    ModelOption,
    RetrievalOption,
    RevisionOption,
    check_model,
)
from .output import one_json_object, shorten

if TYPE_CHECKING:
    from ..answering import Answer, Candidate, RablipAnswerer

__all__ = ["answer", "search"]

QuestionArgument = Annotated[str, typer.Argument(metavar="QUESTION", help="The question, in quotes.")]


def search(
    question: QuestionArgument,
    index: IndexOption,
    model: ModelOption,
    revision: RevisionOption = None,
    index_revision: IndexRevisionOption = None,
    k: Annotated[int, typer.Option("-k", "--top-k", min=1, help="How many candidates to show.")] = 5,
    retrieval: RetrievalOption = "dense",
    engine: EngineOption = None,
    engine_table: EngineTableOption = "knowledge",
    image: ImageOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the knowledge items nearest to a question (by default the retriever alone)."""
    from ..answering.types import candidate_to_dict

    with one_json_object(as_json) as write:
        opened = _open_index(index, engine, engine_table)
        answerer = _load(model, opened, retrieval, device, revision, index_revision)
        (candidates,) = answerer.retrieve([question], images=[_open(image)], k=k)
        if as_json:
            ranked = [{"rank": rank, **candidate_to_dict(one)} for rank, one in enumerate(candidates, start=1)]
            write({"question": question, "index": index, "model": model, "k": k, "candidates": ranked})
            return
        if not candidates:
            typer.echo("The index is empty: nothing found.")
        for rank, candidate in enumerate(candidates, start=1):
            typer.echo(f"{rank:>3}  {candidate.score:6.3f}  {_describe(candidate)}")


def answer(
    question: QuestionArgument,
    index: IndexOption,
    model: ModelOption,
    revision: RevisionOption = None,
    index_revision: IndexRevisionOption = None,
    retrieval: RetrievalOption = "dense",
    engine: EngineOption = None,
    engine_table: EngineTableOption = "knowledge",
    image: ImageOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from an index, with citations and relevance, or abstain with the reason."""
    with one_json_object(as_json) as write:
        opened = _open_index(index, engine, engine_table)
        answerer = _load(model, opened, retrieval, device, revision, index_revision)
        given = answerer(question, image=_open(image))
        if as_json:
            write({"index": index, "model": model, **given.to_dict()})
        else:
            _show(given)


def _open_index(index: str, engine: str | None, table: str) -> Any:
    """The index as the answerer takes it: by name, or opened in the engine with the knowledge base of `index`."""
    if engine is None:
        return index
    from ..indexing import open_engine

    return open_engine(engine, index, table=table)


def _load(
    model: str, index: Any, retrieval: str, device: str | None, revision: str | None, index_revision: str | None
) -> RablipAnswerer:
    from ..answering import AnswerSettings, RablipAnswerer

    settings = AnswerSettings(retrieval=cast(Any, retrieval))
    hub: dict[str, Any] = {} if revision is None else {"revision": revision}
    return RablipAnswerer.from_pretrained(
        check_model(model), index=index, index_revision=index_revision, device=device, settings=settings, **hub
    )


def _open(image: Path | None) -> Any:
    """The picture of the question; opened here, so that a wrong path is reported before any model runs."""
    if image is None:
        return None
    from ..processing.images_rablip import load_image
    from ..processing.knowledge_rablip import ImageRef

    if not image.is_file():
        raise FileNotFoundError(f"--image {image}: there is no such file.")
    return load_image(ImageRef(path=str(image)))


def _describe(candidate: Candidate) -> str:
    item = candidate.item
    name = item.title or item.caption or ""
    text = item.text or item.caption or ""
    return (
        f"{item.id}  [{item.modality.value}]  {shorten(f'{name}: {text}' if name and text != name else text or name)}"
    )


def _show(given: Answer) -> None:
    if given.abstained:
        reason = given.reason.value if given.reason is not None else ""
        typer.echo(f"No answer ({reason}). {given.text or ''}".rstrip())
    else:
        typer.echo(given.text)
        typer.echo(f"cited: {', '.join(given.citations) or 'nothing'}")
    shown = {candidate.id: candidate for candidate in given.candidates}
    for number, evidence in enumerate(given.evidence, start=1):
        relevance = "  -  " if evidence.relevance is None else f"{evidence.relevance:5.2f}"
        what = _describe(shown[evidence.id]) if evidence.id in shown else evidence.id
        typer.echo(f"  [{number}] relevance {relevance}  {what}")
    if given.truncated:
        typer.echo("note: some text was cut to fit the model", err=True)
    if given.dropped_pictures:
        typer.echo(f"note: no room for the pictures of {', '.join(given.dropped_pictures)}", err=True)
