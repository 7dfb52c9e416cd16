"""`make tiny`: trains the checkpoint that ships with the repository, and fits what its models are judged by."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from .answering import RablipAnswerer
from .evaluation import fit_thresholds
from .evaluation.world_runs import WorldRun
from .training import fit_generator, fit_reranker, mine_candidates
from .training.tiny.data import build_pool
from .training.tiny.recipe import TinyRecipe
from .training.tiny.training import TinyTraining
from .world import WORLD_VERSION

__all__ = ["train_tiny"]


def train_tiny(
    out: str | Path, *, seed: int = 0, scale: float = 1.0, work_dir: str | Path | None = None
) -> dict[str, Any]:
    """Train the tiny bundle (retriever, re-ranker, generator, each with its processor).

    Args:
        out: folder of the bundle; what stage 0 gives, from which ablations start, goes beside it (`OUT-base`).
        seed: seed of worlds, weights and batches.
        scale: multiplies steps and data; 1.0 is what ships.
        work_dir: checkpoints and finished stages; beside `out` by default. An interrupted run goes on from there.

    Returns:
        `dict`: what was fitted on validation data (`reranker` and `generator` alone, `path` together), and `seed`,
        `scale`, `world_version`.
    """
    out = Path(out)
    training = TinyTraining(work_dir or out.with_name(f"{out.name}-work"), TinyRecipe(seed=seed, scale=scale))
    words = training.train_words()
    retriever = training.train_retriever(words)
    reranker = training.train_reranker(words, retriever)
    base = training.train_base()
    generator = training.train_generator(base, retriever)

    world = training.validation_world()
    validation = build_pool(world, base, training.processor.image_processor)
    validation_recall = mine_candidates(retriever, training.retriever_processor, validation)
    summary: dict[str, Any] = {
        "seed": seed,
        "scale": scale,
        "world_version": WORLD_VERSION,
        "retriever": {"validation_recall@5": validation_recall},
        "reranker": fit_reranker(reranker, training.retriever_processor, validation),
        "generator": fit_generator(generator, training.processor, validation, seed=seed),
    }
    answerer = RablipAnswerer(
        retriever=retriever,
        retriever_processor=training.retriever_processor,
        reranker=reranker,
        generator=generator,
        generator_processor=training.processor,
    )
    over_validation = WorldRun(world, answerer, batch_size=64, seed=seed, progress=True).answerer
    fitted = fit_thresholds(over_validation, world.questions)
    reranker.config.relevance_threshold = fitted.relevance_threshold
    generator.config.citation_threshold = fitted.citation_threshold
    generator.config.abstain_threshold = fitted.abstain_threshold
    summary["path"] = dataclasses.asdict(fitted)
    for name, model, processor in (
        ("retriever", retriever, training.retriever_processor),
        ("reranker", reranker, training.retriever_processor),
        ("generator", generator, training.processor),
    ):
        model.save_pretrained(out / name)
        processor.save_pretrained(out / name)
    base.save_pretrained(out.with_name(f"{out.name}-base"))
    training.processor.save_pretrained(out.with_name(f"{out.name}-base"))
    (out / "training.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary
