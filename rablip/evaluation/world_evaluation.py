"""One run over a world: the retriever, the baselines that see no picture, the answers, and the controls.

What is run, and how (figures are defined in `world_scoring`):

- **retriever**: the retriever alone, no lexical score, no re-ranker. The second item of a two-hop question is looked
  for with the generic second question, `"{question} | {title}"`, where the title is that of the best picture in the
  retriever's own first ranking. Every baseline gets the same two searches.
- **baselines**: `random`; `bm25` and `tfidf` over titles, captions and texts; `text_only`, the same retriever with the
  pictures of items and questions withheld.
- **retrieved**: the whole path of the answerer, over all questions; abstentions and citations are judged here.
- **oracle**: the gold items as evidence, in seeded random order, no search and no re-ranker.
- **closed_book**: no evidence, and the generator must answer.
- **shuffled_pictures**: the whole path, but every place where a picture is read gets an independently shuffled one:
  the pictures behind the index under one permutation, those shown to re-ranker and generator under another, those of
  the questions under a third; none keeps its picture, no question gets one of the thing it asks about. Titles,
  captions and texts stay.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .provenance import describe_machine, fingerprint_models
from .world_report import WorldReport
from .world_runs import WorldRun
from .world_scoring import abstain_figures, citation_figures

if TYPE_CHECKING:
    from ..answering import RablipAnswerer
    from ..world import World

__all__ = ["CONDITIONS", "evaluate_world"]

logger = logging.getLogger(__name__)

CONDITIONS = ("retrieved", "oracle", "closed_book", "shuffled_pictures")


def evaluate_world(
    world: World,
    answerer: RablipAnswerer,
    *,
    conditions: Sequence[str] = CONDITIONS,
    batch_size: int = 64,
    seed: int = 0,
    num_reference_checks: int = 300,
    model: str | Path | None = None,
    progress: bool = False,
) -> WorldReport:
    """Measures the models of an answerer on a world; its own index and knowledge base are not used.

    Args:
        world: items and questions (`seed`, `num_entities` and `split` are recorded where it has them).
        answerer: holds the retriever, and the re-ranker and generator where there are any. Without a generator only
            the retriever and the baselines are measured.
        conditions: which of `CONDITIONS` to answer under.
        batch_size: rows that a model gets at once.
        seed: of the baselines' ties, the order of the oracle evidence, the permutations and the bootstrap.
        num_reference_checks: how many questions are also asked for a written list of references, to compare it with
            the relevance (a second generation each).
        model: the folder or name the answerer was loaded from, recorded with its fingerprints.
        progress: show progress bars on standard error.

    Returns:
        A `WorldReport`; `report.to_json()` has the fixed keys listed there.

    Raises:
        TypeError: when `answerer` is not an answerer but, for example, the path of a model folder.
        ValueError: when it has no retriever or does not search by vectors alone, a condition is unknown, or the world
            is too small for the shuffled pictures (every picture must be able to change places).

    Example:
        >>> from rablip import RablipAnswerer
        >>> from rablip.world import make_world
        >>> answerer = RablipAnswerer.from_pretrained("examples/checkpoints/rablip-tiny")  # doctest: +SKIP
        >>> report = evaluate_world(make_world(987, 600), answerer)  # doctest: +SKIP
        >>> report.figure("retriever", "recall@5", "overall")["value"]  # doctest: +SKIP
    """
    if not hasattr(answerer, "retriever"):
        raise TypeError(
            f"evaluate_world needs an answerer, got {type(answerer).__name__}. Load one: "
            "RablipAnswerer.from_pretrained(folder)."
        )
    if answerer.settings.retrieval != "dense":
        raise ValueError(
            "The figures of a world are the retriever's alone, with no lexical score added, but the answerer searches "
            f'by {answerer.settings.retrieval!r}. Give one with AnswerSettings(retrieval="dense").'
        )
    unknown = sorted(set(conditions) - set(CONDITIONS))
    if unknown:
        raise ValueError(f"Unknown conditions {unknown}; known are {', '.join(CONDITIONS)}.")
    if answerer.generator is None:
        logger.warning("There is no generator: only the retriever and the baselines are evaluated.")
        conditions = ()
    run = WorldRun(world, answerer, batch_size=batch_size, seed=seed, progress=progress)
    if "shuffled_pictures" in conditions:
        run.deal_pictures()  # what cannot be done fails now, not after everything else
    figures: dict[str, Any] = run.retrieval_figures()
    accuracy: dict[str, Any] = {}
    if "retrieved" in conditions:
        outcomes = run.retrieved(num_reference_checks)
        accuracy["retrieved"] = run.accuracy([outcomes[place].text for place in run.answerable])
        figures["abstain"] = abstain_figures(run.questions, outcomes, seed=seed)
        figures["citation"] = citation_figures(run.questions, outcomes, seed=seed)
    for name, answer in {
        "oracle": run.oracle,
        "closed_book": run.closed_book,
        "shuffled_pictures": run.shuffled_pictures,
    }.items():
        if name in conditions:
            accuracy[name] = run.accuracy([outcome.text for outcome in answer()])
    if accuracy:
        figures["answer"] = {"accuracy": accuracy}
    return WorldReport(run={**_describe(world, answerer, model), **run.described()}, figures=figures)


def _describe(world: World, answerer: RablipAnswerer, model: str | Path | None) -> dict[str, Any]:
    from .. import __version__
    from ..world import WORLD_VERSION

    changed = _changed_knobs(world)
    return {
        "world_version": WORLD_VERSION + ("+knobs" if changed else ""),
        **({"knobs": changed} if changed else {}),
        "seed": getattr(world, "seed", None),
        "num_entities": getattr(world, "num_entities", None),
        "split": getattr(world, "split", None),
        "model": None if model is None else str(model),
        "model_fingerprints": fingerprint_models(model),
        "rablip_version": __version__,
        "machine": describe_machine("cpu" if answerer.retriever is None else str(answerer.retriever.device)),
    }


def _changed_knobs(world: World) -> dict[str, Any]:
    """Knobs that differ from the frozen benchmark's: figures of such a world are not the benchmark's figures."""
    knobs = getattr(world, "knobs", None)
    if knobs is None:
        return {}
    default = type(knobs)()
    values = {item.name: getattr(knobs, item.name) for item in dataclasses.fields(knobs)}
    return {name: value for name, value in values.items() if value != getattr(default, name)}
