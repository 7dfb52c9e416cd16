"""Hard negatives from the retriever itself: what it finds for each training question."""

from __future__ import annotations

from typing import Any

import torch

from .pools import TrainingPool


@torch.no_grad()
def encode_pool_items(retriever: Any, processor: Any, pool: TrainingPool, *, batch_size: int = 256) -> torch.Tensor:
    """Embeddings of a pool's items, in the order of `pool.items`.

    Returns:
        `torch.FloatTensor` of shape `(num_items, embedding_dim)`, L2-normalised.
    """
    ids = list(pool.items)
    rows = []
    for start in range(0, len(ids), batch_size):
        batch = ids[start : start + batch_size]
        inputs = processor.process_knowledge([pool.items[key] for key in batch], [pool.picture(key) for key in batch])
        rows.append(retriever.encode_knowledge(**inputs.to(retriever.device)).cpu())
    return torch.cat(rows)


@torch.no_grad()
def retrieve_candidates(
    retriever: Any, processor: Any, pool: TrainingPool, *, k: int = 10, batch_size: int = 256
) -> dict[tuple[str, int], list[str]]:
    """The k best items for every question of a pool, and for every second search.

    Args:
        retriever: a `RablipRetriever`.
        processor: its processor.
        pool: questions and items.
        k: how many items per search.
        batch_size: inputs encoded at a time.

    Returns:
        Item ids, best first, by (question id, hop).
    """
    was_training = retriever.training
    retriever.eval()
    ids = list(pool.items)
    embeddings = encode_pool_items(retriever, processor, pool, batch_size=batch_size)
    searches = [(example, hop) for example in pool.examples for hop in range(len(example.hops))]
    found: dict[tuple[str, int], list[str]] = {}
    for start in range(0, len(searches), batch_size):
        batch = searches[start : start + batch_size]
        inputs = processor.process_questions(
            [pool.ask(example, hop) for example, hop in batch], [pool.picture(example.id) for example, _ in batch]
        )
        scores = retriever.encode_questions(**inputs.to(retriever.device)).cpu() @ embeddings.T
        for (example, hop), row in zip(batch, scores.topk(min(k, len(ids)), dim=1).indices.tolist(), strict=True):
            found[example.id, hop] = [ids[index] for index in row]
    retriever.train(was_training)
    return found


def mine_candidates(retriever: Any, processor: Any, pool: TrainingPool, *, k: int = 10) -> float:
    """Fill `pool.mined` with what the retriever finds, and say how good it is.

    Returns:
        Recall@5 over all (search, positive) pairs of the pool.
    """
    pool.mined = retrieve_candidates(retriever, processor, pool, k=k)
    hits = total = 0
    for example in pool.examples:
        if not example.answerable:
            continue
        for hop, positives in enumerate(example.hops):
            hits += len(set(positives) & set(pool.mined[example.id, hop][:5]))
            total += len(set(positives))
    return hits / max(total, 1)


__all__ = ["encode_pool_items", "mine_candidates", "retrieve_candidates"]
