"""What a retriever finds for the questions of a run: on the run's device, by one process for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers.utils import logging

from ...index.knowledge_index import KnowledgeIndex
from ...processing.knowledge_rablip import KnowledgeItem
from ...retriever_source import find_retriever, fingerprint_model, load_retriever
from ..data.distractors import find_distractors
from ..data.label_mining import MinedLabels, apply_labels, mine_labels
from ..data.mining import index_pool, mine_candidates, retrieve_followups
from ..data.pools import TrainingPool
from .loading import StartingPoint
from .processes import compute_once, on_device

logger = logging.get_logger(__name__)

_KINDS = ("relevant", "needed", "irrelevant")


class Searcher(NamedTuple):
    """A retriever that finds candidates.

    Args:
        model: a `RablipRetriever`.
        processor: its processor.
        fingerprint: what an index of it names; None for a model that no index on disk can be of.
    """

    model: Any
    processor: Any
    fingerprint: str | None = None


def open_searcher(retriever: str | Path) -> Searcher:
    """Load a retriever to find candidates with.

    Args:
        retriever: its folder, a bundle, or the name of either on the Hub.

    Raises:
        FileNotFoundError, ValueError: there is no retriever.
    """
    source = find_retriever(retriever)
    return Searcher(*load_retriever(source), fingerprint_model(source))


def find_candidates(
    pool: TrainingPool,
    searcher: Searcher,
    start: StartingPoint,
    *,
    device: torch.device | str | None = None,
    index: str | Path | None = None,
    labels: bool = False,
    distractors: bool = False,
) -> tuple[TrainingPool, dict[str, float]]:
    """What the retriever finds for every question of a pool: candidates, and labels and distractors where wanted.

    Under several processes the first one searches for all; every process has to call this.

    Args:
        pool: the questions.
        searcher: what finds candidates; may be the model that is trained.
        start: the model that is trained: features of the pool are of its vision tower, and it finds the labels.
        device: where the models work; they are put back afterwards. None leaves them where they are.
        index: folder of an index of the same items by the same retriever; built in memory when it is None.
        labels: whether what counts as relevant is found (`mine_labels`, `apply_labels`), in the place of the pool's
            own labels.
        distractors: whether misleading items are found by kind (`find_distractors`).

    Returns:
        A pool with `mined` and, where wanted, `distractors`; and figures: `recall@5` of the retriever by the pool's
        own labels, and `labelled`, the number of questions for which labels were found.

    Raises:
        IndexMismatchError, ValueError: the index is of another retriever, or of other items.
    """
    options: Any = {"device": device, "index": index, "labels": labels, "distractors": distractors}
    return find_all_candidates([pool], searcher, start, **options)[0]


def find_all_candidates(
    pools: Sequence[TrainingPool],
    searcher: Searcher,
    start: StartingPoint,
    *,
    device: torch.device | str | None = None,
    index: str | Path | None = None,
    labels: bool = False,
    distractors: bool = False,
) -> list[tuple[TrainingPool, dict[str, float]]]:
    """`find_candidates` for several pools; those with the same items are searched in one index.

    Args:
        pools: each with its questions.
        searcher, start, device, index, labels, distractors: as in `find_candidates`.
    """
    search = _Search(searcher, start, device, index)
    found = compute_once(lambda: [search.find(pool, labels=labels, distractors=distractors) for pool in pools])
    filled = []
    for pool, one in zip(pools, found, strict=True):
        pool = dataclasses.replace(pool, mined={(key, hop): ids for key, hop, ids in one["mined"]})
        if one["labels"] is not None:
            pool = apply_labels(pool, _read_labels(one["labels"]))
        if one["distractors"] is not None:
            pool = dataclasses.replace(pool, distractors=one["distractors"])
        logger.info("Mined candidates of %d questions: %s.", len(pool.examples), one["figures"])
        filled.append((pool, one["figures"]))
    return filled


class _Search:
    """The searches of one process."""

    def __init__(self, searcher: Searcher, start: StartingPoint, device: Any, index: str | Path | None) -> None:
        self._searcher, self._start, self._device, self._folder = searcher, start, device, index
        self._retriever = searcher.model, searcher.processor
        # The index that was searched last, and the items that it holds.
        self._index: KnowledgeIndex | None = None
        self._indexed: Mapping[str, KnowledgeItem] | None = None

    def find(self, pool: TrainingPool, *, labels: bool, distractors: bool) -> dict[str, Any]:
        """What `find_candidates` gives for a pool, as plain data."""
        seen = self._as_seen(pool)
        found_labels = found_distractors = None
        with on_device(self._searcher.model, self._device):
            index = self._get_index(seen)
            figures = {"recall@5": mine_candidates(*self._retriever, seen, index=index)}
            mined = seen.mined
            followups = retrieve_followups(*self._retriever, seen, index=index) if labels else None
        if labels:
            # With the features of the model that answers, where there are any.
            asked = dataclasses.replace(pool, mined=mined)
            with on_device(self._start.model, self._device) as model:
                found_labels = mine_labels(model, self._start.processor, asked, followups=followups)
            figures["labelled"] = float(len(found_labels.relevant))
            # What is not labelled right can mislead, so labels come before distractors.
            seen = apply_labels(seen, found_labels)
        if distractors:
            with on_device(self._searcher.model, self._device):
                find_distractors(*self._retriever, seen, index=index)
            found_distractors = seen.distractors
        return {
            "figures": figures,
            "mined": [[key, hop, ids] for (key, hop), ids in mined.items()],
            "labels": None if found_labels is None else _write_labels(found_labels),
            "distractors": found_distractors,
        }

    def _as_seen(self, pool: TrainingPool) -> TrainingPool:
        """The pool as the retriever may use it: features of another tower mean nothing to it, pictures do."""
        pool = dataclasses.replace(pool, mined={}, distractors={})
        model, start = self._searcher.model, self._start
        if not pool.features or model is start.model:
            return pool
        own, theirs = (one.vision_model.state_dict() for one in (start.model, model))
        same = own.keys() == theirs.keys() and all(torch.equal(own[name].cpu(), theirs[name].cpu()) for name in own)
        if same and start.processor.image_processor.to_dict() == self._searcher.processor.image_processor.to_dict():
            return pool
        logger.info("The retriever has a vision tower of its own: it looks at the pictures, not at cached features.")
        return dataclasses.replace(pool, features={})

    def _get_index(self, pool: TrainingPool) -> KnowledgeIndex:
        if self._index is None or self._indexed is not pool.items:
            folder = self._folder
            self._index = index_pool(*self._retriever, pool) if folder is None else self._open_index(pool, folder)
            self._indexed = pool.items
        return self._index

    def _open_index(self, pool: TrainingPool, folder: str | Path) -> KnowledgeIndex:
        fingerprint = self._searcher.fingerprint or "a model with new weights"
        index = KnowledgeIndex.load(folder, expected={"model_fingerprint": fingerprint})
        missing = [item for item in pool.item_ids if item not in index]
        if missing:
            raise ValueError(
                f"{len(missing)} knowledge items of the data are not in the index {folder}, such as {missing[0]!r}. "
                "Build it over these very items, or leave out the index: one is then built in memory."
            )
        return index


def _write_labels(labels: MinedLabels) -> dict[str, Any]:
    kinds = {name: {key: list(ids) for key, ids in getattr(labels, name).items()} for name in _KINDS}
    return {**kinds, "known": sorted(labels.known)}


def _read_labels(written: dict[str, Any]) -> MinedLabels:
    kinds = {name: {key: tuple(ids) for key, ids in written[name].items()} for name in _KINDS}
    return MinedLabels(**kinds, known=frozenset(written["known"]))


__all__ = ["Searcher", "find_all_candidates", "find_candidates", "open_searcher"]
