"""Hard negatives from the index: what the retriever finds for each training question, told apart by modality."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...index.knowledge_index import KnowledgeIndex
from ...index.manifest import IndexManifest
from ...processing.knowledge_rablip import KnowledgeItem, QuestionExample
from ...processing.second_search import expand_question
from .pools import TrainingPool


@torch.no_grad()
def index_pool(retriever: Any, processor: Any, pool: TrainingPool, *, batch_size: int = 256) -> KnowledgeIndex:
    """An index in memory over the items of a pool; it is not saved, so it names no model folder.

    Args:
        retriever: a `RablipRetriever`; used in evaluation mode and put back as it was.
        processor: its processor.
        pool: the items.
        batch_size: items encoded at a time.

    Returns:
        The index, with the ids in the order of `pool.items`.
    """
    was_training = retriever.training
    retriever.eval()
    index = KnowledgeIndex.create(
        IndexManifest(
            model_id="in memory",
            model_fingerprint="in memory",
            embedding_dim=retriever.config.embedding_dim,
            max_vectors=retriever.config.max_vectors,
        )
    )
    for start in range(0, len(pool.item_ids), batch_size):
        ids = pool.item_ids[start : start + batch_size]
        items = [pool.items[key] for key in ids]
        inputs = processor.process_knowledge(items, [pool.show_item(item) for item in items])
        index.add(ids, retriever.encode_knowledge(**inputs.to(retriever.device)))
    retriever.train(was_training)
    return index


@torch.no_grad()
def search_questions(
    retriever: Any,
    processor: Any,
    pool: TrainingPool,
    searches: Sequence[tuple[QuestionExample, int]],
    *,
    k: int,
    index: KnowledgeIndex,
    batch_size: int = 256,
) -> list[list[str]]:
    """The k best items for each of several searches.

    Args:
        retriever: a `RablipRetriever`; used in evaluation mode and put back as it was.
        processor: its processor.
        pool: where the questions come from.
        searches: question and hop.
        k: how many items.
        index: where to search; made by this retriever.
        batch_size: questions encoded at a time.

    Returns:
        Item ids, best first, per search.

    Raises:
        ValueError: the index holds an item that the pool does not have; it is not the index of this knowledge base.
    """
    was_training = retriever.training
    retriever.eval()
    found: list[list[str]] = []
    for start in range(0, len(searches), batch_size):
        batch = searches[start : start + batch_size]
        inputs = processor.process_questions(
            [pool.ask(example, hop) for example, hop in batch], [pool.show_question(example) for example, _ in batch]
        )
        embeddings = retriever.encode_questions(**inputs.to(retriever.device))
        found += [[hit.id for hit in hits] for hits in index.search(embeddings.cpu(), k)]
    retriever.train(was_training)
    strange = next((item for ids in found for item in ids if item not in pool.items), None)
    if strange is not None:
        raise ValueError(
            f"The index gives item {strange!r}, which is not in the knowledge base. Give the index that was built "
            "over these very items."
        )
    return found


def retrieve_candidates(
    retriever: Any, processor: Any, pool: TrainingPool, *, k: int = 10, index: KnowledgeIndex | None = None
) -> dict[tuple[str, int], list[str]]:
    """The k best items for every question of a pool, and for every second search.

    Args:
        retriever: a `RablipRetriever`.
        processor: its processor.
        pool: questions and items.
        k: how many items per search.
        index: the index of the pool's items by this retriever; built in memory when it is None.

    Returns:
        Item ids, best first, by (question id, hop).
    """
    index = index_pool(retriever, processor, pool) if index is None else index
    searches = [(example, hop) for example in pool.examples for hop in range(len(example.hops))]
    found = search_questions(retriever, processor, pool, searches, k=k, index=index)
    return {(example.id, hop): ids for (example, hop), ids in zip(searches, found, strict=True)}


def mine_candidates(
    retriever: Any, processor: Any, pool: TrainingPool, *, k: int = 10, index: KnowledgeIndex | None = None
) -> float:
    """Fill `pool.mined` with what the retriever finds, and say how good it is.

    Returns:
        Recall@5 over all (search, positive) pairs of the pool.
    """
    pool.mined = retrieve_candidates(retriever, processor, pool, k=k, index=index)
    hits = total = 0
    for example in pool.examples:
        if not example.answerable:
            continue
        for hop, positives in enumerate(example.hops):
            hits += len(set(positives) & set(pool.mined[example.id, hop][:5]))
            total += len(set(positives))
    return hits / max(total, 1)


def retrieve_followups(
    retriever: Any, processor: Any, pool: TrainingPool, *, k: int = 10, index: KnowledgeIndex | None = None
) -> dict[str, list[str]]:
    """What a second search finds for every question, asked with the title of the best picture that the first found.

    As the answerer asks it: no label is read.

    Args:
        retriever: a `RablipRetriever`.
        processor: its processor.
        pool: questions with first searches in `pool.mined`.
        k: how many items per search.
        index: the index of the pool's items by this retriever; built in memory when it is None.

    Returns:
        Item ids, best first, by question id; questions that have nothing new to ask are left out.
    """
    asked = []
    for example in pool.examples:
        found = (pool.items[item] for item in pool.mined.get((example.id, 0), ()))
        picture = next((item for item in found if item.image is not None), None)
        question = None if picture is None else expand_question(example.question, picture.title)
        if question is not None:
            asked.append(dataclasses.replace(example, question=question))
    index = index_pool(retriever, processor, pool) if index is None else index
    results = search_questions(retriever, processor, pool, [(example, 0) for example in asked], k=k, index=index)
    return {example.id: ids for example, ids in zip(asked, results, strict=True)}


def split_by_modality(
    found: Sequence[str], positives: Sequence[str], items: Mapping[str, KnowledgeItem]
) -> tuple[list[str], list[str]]:
    """Modality-aware hard negatives (MM-Embed, arXiv 2411.02571): what is wrong by its modality, what by its content.

    A retriever that prefers one modality ranks items of it above the right one: these are the first list. The second
    holds items of the right one's own modality, wherever they rank, so that modality alone never decides.

    Args:
        found: ids of retrieved candidates, best first.
        positives: ids of right items.
        items: the knowledge base.

    Returns:
        Ids of another modality than every right item, ranked above the best right one (all, where none was found);
        ids of a right item's modality.

    Example:
        >>> kinds = {"a": "text", "b": "text", "c": None}
        >>> items = {key: KnowledgeItem(id=key, title="T", text=text) for key, text in kinds.items()}
        >>> split_by_modality(["b", "a", "c"], ["a"], items)
        ([], ['b', 'c'])
    """
    right = set(positives)
    modalities = {items[item].modality for item in right}
    best = next((place for place, item in enumerate(found) if item in right), len(found))
    wrong_modality = [item for item in found[:best] if items[item].modality not in modalities]
    same_modality = [item for item in found if item not in right and items[item].modality in modalities]
    return wrong_modality, same_modality


__all__ = [
    "index_pool",
    "mine_candidates",
    "retrieve_candidates",
    "retrieve_followups",
    "search_questions",
    "split_by_modality",
]
