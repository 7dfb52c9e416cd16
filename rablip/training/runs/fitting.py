"""Fit temperatures and thresholds of trained models on a validation pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..data.batches import make_generator_batch
from ..data.distractors import NoiseMix
from ..data.pools import TrainingPool
from .calibration import fit_temperature, fit_threshold


@torch.no_grad()
def fit_reranker(
    reranker: Any, processor: Any, pool: TrainingPool, *, k: int = 10, batch_size: int = 256
) -> dict[str, float]:
    """Fit `relevance_temperature` and `relevance_threshold` on the retriever's candidates of every question.

    Args:
        reranker: a `RablipReranker`; its configuration is updated.
        processor: its processor.
        pool: validation questions with `mined` candidates.
        k: candidates per search.
        batch_size: pairs at a time.

    Returns:
        The fitted values, the F1 that the threshold reaches on these pairs, and their number.
    """
    pairs = []
    for example in pool.examples:
        # A later hop's item is neither right nor wrong for the first search: the question alone cannot tell.
        later = set(example.positive_ids)
        for hop, positives in enumerate(example.hops):
            for item in pool.mined[example.id, hop][:k]:
                if item in positives or item not in later:
                    pairs.append((example, hop, item, float(item in positives)))
    logits = []
    for start in range(0, len(pairs), batch_size):
        batch = pairs[start : start + batch_size]
        inputs = processor.process_pairs(
            [pool.ask(example, hop) for example, hop, _, _ in batch],
            [pool.items[item] for _, _, item, _ in batch],
            [pool.show_question(example) for example, _, _, _ in batch],
            [pool.show_item(pool.items[item]) for _, _, item, _ in batch],
        )
        logits.append(reranker(**inputs.to(reranker.device)).relevance_logits.float().cpu())
    labels = torch.tensor([label for _, _, _, label in pairs])
    with torch.enable_grad():
        temperature = fit_temperature(torch.cat(logits), labels)
    threshold, f1 = fit_threshold(torch.sigmoid(torch.cat(logits) / temperature), labels)
    reranker.config.relevance_temperature = temperature
    reranker.config.relevance_threshold = threshold
    return {"relevance_temperature": temperature, "relevance_threshold": threshold, "f1": f1, "num_pairs": len(pairs)}


@torch.no_grad()
def fit_generator(
    generator_model: Any,
    processor: Any,
    pool: TrainingPool,
    *,
    seed: int,
    num_batches: int = 30,
    num_rows: int = 64,
    max_candidates: int = 4,
    noise: NoiseMix | None = None,
) -> dict[str, float]:
    """Fit the generator's relevance temperature, citation threshold and abstention threshold.

    The citation threshold is the best F1 over single candidates; the abstention threshold the best F1 of "some
    candidate is relevant" over rows, judged by the highest relevance of the row.

    Args:
        generator_model: a `RablipForConditionalGeneration`; its configuration is updated.
        processor: its processor.
        pool: validation questions.
        seed: seed of the candidates.
        num_batches, num_rows: how much is drawn.
        max_candidates, noise: what is shown, as in `make_generator_batch`.

    Returns:
        The fitted values and their F1.
    """
    logits, labels, row_logits, row_labels = [], [], [], []
    for step in range(num_batches):
        batch = make_generator_batch(
            pool,
            np.random.default_rng([seed, step]),
            processor,
            num_questions=num_rows,
            max_candidates=max_candidates,
            askg=False,
            noise=noise,
        )
        relevance = batch.pop("relevance_labels", None)
        if relevance is None:
            continue  # no row of this batch shows any candidate
        batch.pop("labels", None)
        outputs = generator_model(**{name: value.to(generator_model.device) for name, value in batch.items()})
        read = outputs.relevance_logits.float().cpu()
        counted = relevance >= 0
        logits.append(read[counted])
        labels.append(relevance[counted])
        shown = counted.any(dim=1)
        row_logits.append(read.max(dim=1).values[shown])
        row_labels.append((relevance == 1).any(dim=1)[shown].float())
    if not logits:
        raise ValueError(
            f"None of {num_batches} batches over {len(pool.examples)} validation questions shows a candidate, so no "
            "threshold can be fitted. Give more validation questions."
        )
    all_logits, all_labels = torch.cat(logits), torch.cat(labels)
    with torch.enable_grad():
        temperature = fit_temperature(all_logits, all_labels)
    citation, citation_f1 = fit_threshold(torch.sigmoid(all_logits / temperature), all_labels)
    abstain, answer_f1 = fit_threshold(torch.sigmoid(torch.cat(row_logits) / temperature), torch.cat(row_labels))
    config = generator_model.config
    config.relevance_temperature, config.citation_threshold, config.abstain_threshold = temperature, citation, abstain
    return {
        "relevance_temperature": temperature,
        "citation_threshold": citation,
        "citation_f1": citation_f1,
        "abstain_threshold": abstain,
        "some_relevant_f1": answer_f1,
        "num_candidates": len(all_labels),
    }


__all__ = ["fit_generator", "fit_reranker"]
