"""What each stage trains on and with: data sets, collator, trainer, metrics, and what is fitted at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from ...index.fingerprint import fingerprint_folder
from ...processing.collators import GeneratorCollator, RerankerCollator, RetrieverCollator
from ..data.candidates import check_room
from ..data.distractors import NoiseMix
from ..data.mining import mine_candidates
from ..data.pools import TrainingPool
from ..data.rows import QuestionRows, make_generator_row, make_search_row
from ..fusion.metrics import measure_pair_retrieval
from ..fusion.rows import FusionCollator, PairRows, pairs_from_items
from ..trainers.generator_trainer import GeneratorTrainer
from ..trainers.pair_trainers import FusionTrainer, RerankerTrainer
from ..trainers.relevance_metrics import AnswerMetrics, measure_relevance
from ..trainers.retriever_trainer import RetrieverTrainer
from ..trainers.stage_trainer import StageTrainer
from .fitting import fit_generator, fit_reranker
from .loading import StartingPoint
from .presets import Stage
from .searching import Searcher, find_all_candidates, find_candidates, open_searcher
from .settings import RunSettings


@dataclass
class StageParts:
    """What a stage hands to its trainer.

    Args:
        trainer_class: its trainer.
        train_dataset: rows to learn from.
        eval_dataset: rows to validate on.
        collator: rows to tensors.
        finish: measures and fits on validation data with the trained model; gives what it found.
        trainer_options: further arguments of the trainer.
    """

    trainer_class: type[StageTrainer]
    train_dataset: Any
    eval_dataset: Any
    collator: Any
    finish: Callable[[Any], dict[str, float]]
    trainer_options: dict[str, Any] = field(default_factory=dict)


Prepare = Callable[[StartingPoint, TrainingPool, TrainingPool, RunSettings, "str | Path"], StageParts]


def prepare_fusion(
    start: StartingPoint, pool: TrainingPool, validation: TrainingPool, settings: RunSettings, model: str | Path
) -> StageParts:
    """Pictures with their texts; questions are not looked at, a share of the pictures is held out."""
    pairs = pairs_from_items(pool.items.values())
    order = np.random.default_rng(settings.seed).permutation(len(pairs))
    num_held_out = max(2, round(settings.validation_share * len(pairs)))
    if len(pairs) < num_held_out + 2:
        raise ValueError(
            f"Fusion pre-training needs pictures with titles, captions or texts, and the data hold {len(pairs)}. Add "
            "some, at least four."
        )
    held_out = [pairs[place] for place in sorted(order[:num_held_out])]
    learned = [pairs[place] for place in sorted(order[num_held_out:])]
    lookups: dict[str, Any] = {"root": pool.root, "features": pool.feature_lookup}

    def finish(trained: Any) -> dict[str, float]:
        return measure_pair_retrieval(trained, start.processor, held_out, seed=settings.seed, **lookups)

    return StageParts(
        FusionTrainer,
        PairRows(learned, seed=settings.seed),
        PairRows(held_out, seed=settings.seed, shuffle=False),
        FusionCollator(start.processor, **lookups),
        finish,
    )


def prepare_retriever(
    start: StartingPoint, pool: TrainingPool, validation: TrainingPool, settings: RunSettings, model: str | Path
) -> StageParts:
    """Questions with one right item and hard negatives that the model as it starts finds in the index."""
    if settings.strategy not in ("random", "mixed"):
        fingerprint = fingerprint_folder(start.folder) if start.new_weights is None else None
        searcher = Searcher(start.model, start.processor, fingerprint)
        pool, _ = find_candidates(pool, searcher, start, device=PartialState().device, index=settings.index)
    make_row = partial(
        make_search_row, num_candidates=1 + settings.negatives, max_positives=1, strategy=settings.strategy
    )
    easy_row = partial(make_search_row, num_candidates=1 + settings.negatives, max_positives=1, strategy="random")

    def finish(trained: Any) -> dict[str, float]:
        return {"recall@5": mine_candidates(_plain(trained), start.processor, validation)}

    collator = partial(RetrieverCollator, start.processor, modalities=True)
    return StageParts(
        RetrieverTrainer,
        QuestionRows(pool, make_row, seed=settings.seed, answerable_only=True, balance_modalities=True),
        QuestionRows(validation, easy_row, seed=settings.seed, answerable_only=True, shuffle=False),
        _OverPools(collator, pool, validation),
        finish,
        {"chunk_size": settings.chunk_size},
    )


def prepare_reranker(
    start: StartingPoint, pool: TrainingPool, validation: TrainingPool, settings: RunSettings, model: str | Path
) -> StageParts:
    """(question, candidate) pairs out of what the retriever finds; temperature and threshold are fitted at the end."""
    pool, validation = _find_all(pool, validation, _open_searcher(settings, model), start, settings)
    if not any(set(example.positive_ids) & set(validation.mined[example.id, 0]) for example in validation.examples):
        raise ValueError(
            f"The retriever finds no right item for any of the {len(validation.examples)} validation questions, so no "
            "threshold can be fitted. Train the retriever first, or give more validation questions."
        )
    num_candidates = max(2, settings.negatives)
    make_row = partial(make_search_row, num_candidates=num_candidates, max_positives=max(1, num_candidates // 2))

    def finish(trained: Any) -> dict[str, float]:
        return fit_reranker(_plain(trained), start.processor, validation)

    return StageParts(
        RerankerTrainer,
        QuestionRows(pool, make_row, seed=settings.seed),
        QuestionRows(validation, make_row, seed=settings.seed, shuffle=False),
        _OverPools(partial(RerankerCollator, start.processor), pool, validation),
        finish,
        {"compute_metrics": measure_relevance},
    )


def prepare_generator(
    start: StartingPoint, pool: TrainingPool, validation: TrainingPool, settings: RunSettings, model: str | Path
) -> StageParts:
    """Questions with 0 to K candidates and both passes; thresholds are fitted at the end."""
    noise = NoiseMix(max_distractors=settings.max_candidates - 1) if settings.noise else None
    if noise is not None or settings.mine_labels:
        searcher = _open_searcher(settings, model)
        wanted = {"labels": settings.mine_labels, "distractors": True}
        pool, validation = _find_all(pool, validation, searcher, start, settings, **wanted)
    room = {"max_candidates": settings.max_candidates, "max_pictures": start.processor.max_images}
    make_row, check = partial(make_generator_row, noise=noise, **room), partial(check_room, **room)

    def finish(trained: Any) -> dict[str, float]:
        return fit_generator(
            _plain(trained),
            start.processor,
            validation,
            seed=settings.seed,
            max_candidates=settings.max_candidates,
            noise=noise,
        )

    return StageParts(
        GeneratorTrainer,
        QuestionRows(pool, make_row, seed=settings.seed, check=check),
        QuestionRows(validation, make_row, seed=settings.seed, shuffle=False, check=check),
        _OverPools(partial(GeneratorCollator, start.processor, askg=settings.askg_pass), pool, validation),
        finish,
        {"compute_metrics": AnswerMetrics(start.processor)},
    )


PREPARE: dict[Stage, Prepare] = {
    "fusion": prepare_fusion,
    "retriever": prepare_retriever,
    "reranker": prepare_reranker,
    "generator": prepare_generator,
}


class _OverPools:
    """The collator of rows of either pool: it looks pictures up where the row's own knowledge base has them."""

    def __init__(self, make_collator: Callable[..., Any], pool: TrainingPool, validation: TrainingPool) -> None:
        self._collators = {id(one): make_collator(**one.picture_sources, generator=None) for one in (pool, validation)}
        self._of_question = {example.id: id(one) for one in (validation, pool) for example in one.examples}

    def __call__(self, examples: Any) -> Any:
        return self._collators[self._of_question[examples[0].question.id]](examples)


def _plain(trained: Any) -> Any:
    """The model inside PEFT's wrapper, with its adapters in place."""
    return trained.get_base_model() if hasattr(trained, "get_base_model") else trained


def _find_all(
    pool: TrainingPool,
    validation: TrainingPool,
    searcher: Searcher,
    start: StartingPoint,
    settings: RunSettings,
    **wanted: bool,
) -> tuple[TrainingPool, TrainingPool]:
    """Both pools with what the retriever finds for them, on the device that the run's processes have."""
    device = PartialState().device
    found = find_all_candidates([pool, validation], searcher, start, device=device, index=settings.index, **wanted)
    return found[0][0], found[1][0]


def _open_searcher(settings: RunSettings, model: str | Path) -> Searcher:
    named = model if settings.retriever is None else settings.retriever
    try:
        return open_searcher(named)
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"This stage learns from what a retriever finds, and {named} gives none ({error}). Name one: "
            "`--retriever FOLDER`; the generator also trains without one when noise is turned off: `--no-noise`."
        ) from error


__all__ = [
    "PREPARE",
    "Prepare",
    "StageParts",
    "prepare_fusion",
    "prepare_generator",
    "prepare_reranker",
    "prepare_retriever",
]
