"""Retriever ablation on the world: which negatives help which modality.

    python examples/benchmarks/retriever_ablation.py --base examples/checkpoints/rablip-tiny-base --seeds 0 1 2

All runs of a seed start from one retriever that was trained with in-batch negatives alone, and go on for as many steps
with 3 extra candidates a question: drawn from all items (`random`), from what that retriever finds whatever its
modality (`random_hard`), or as in MM-Embed (`modality`: of a wrong modality above the right item, and of the right
modality), or with none (`in_batch`). Recall@5 over an unseen world's pairs of question and needed item, by modality.
Seeds are kept in the work folder, so that an interrupted ablation goes on.
"""

from __future__ import annotations

import argparse
import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reporting import describe_run, describe_seeds, keep_run, write_report

from rablip import RablipForConditionalGeneration, RablipRetriever, RablipRetrieverConfig, RablipRetrieverProcessor
from rablip.evaluation.world_scoring import gold_pairs
from rablip.processing import RetrieverCollator
from rablip.training import TrainingPool, make_search_row, mine_candidates, retrieve_candidates, run_stage
from rablip.training.data.batches import draw_questions
from rablip.training.tiny.data import build_pool
from rablip.training.tiny.recipe import RETRIEVAL
from rablip.world import make_world

ARMS = ("in_batch", "random", "random_hard", "modality")
RESULTS = Path(__file__).parent / "results" / "retriever_ablation.json"


def make_batch(
    pool: TrainingPool, generator: np.random.Generator, processor: Any, arm: str, num_questions: int
) -> dict[str, Any]:
    """Questions with one right item each, and three more of the arm's."""
    rows = [
        make_search_row(
            pool,
            example,
            generator,
            num_candidates=1 if arm == "in_batch" else 4,
            max_positives=1,
            strategy="random" if arm == "in_batch" else arm,  # type: ignore[arg-type]
        )
        for example in draw_questions(pool, generator, num_questions, answerable_only=True)
    ]
    lookup = pool.feature_lookup
    return RetrieverCollator(processor, generator=generator, features=lookup, question_features=lookup)(rows)


def train(
    model: Any, pools: list[TrainingPool], processor: Any, arm: str, steps: int, seed: int, args: Any, folder: Path
) -> Any:
    """So many steps of one arm."""

    def step(generator: np.random.Generator) -> dict[str, Any]:
        pool = pools[int(generator.integers(len(pools)))]
        return make_batch(pool, generator, processor, arm, args.questions)

    model.train()
    return run_stage(
        model,
        step,
        output_dir=folder,
        num_steps=steps,
        learning_rate=args.learning_rate,
        seed=seed,
        save_steps=10 * steps,
        resume=False,
    )


def measure(model: Any, processor: Any, pool: TrainingPool) -> dict[str, list[bool]]:
    """Found or not among the first five, for every pair of question and needed item, by the item's modality."""
    found = retrieve_candidates(model, processor, pool, k=5)
    hits: dict[str, list[bool]] = {}
    for pair in gold_pairs(pool.examples, pool.items):
        example = pool.examples[pair.question]
        hits.setdefault(pair.modality, []).append(pair.gold_id in found[example.id, pair.hop])
    return hits


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="the stage-0 generator: its trunk is the start")
    parser.add_argument("--processor", type=Path, default=Path("examples/checkpoints/rablip-tiny/retriever"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--first-steps", type=int, default=500)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=9e-4)
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--entities", type=int, default=400)
    parser.add_argument("--eval-seed", type=int, default=4242)
    parser.add_argument("--eval-entities", type=int, default=300)
    parser.add_argument("--work-dir", type=Path, default=Path("runs/retriever_ablation"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def compare_arms(
    seed: int, args: argparse.Namespace, base: Any, processor: Any, worlds: Any, folder: Path
) -> dict[str, dict[str, list[bool]]]:
    """All arms of a seed, from one start: hits by arm and modality."""
    pools, test = worlds
    torch.manual_seed(seed)
    parts = ("vision_config", "qformer_config", "adaptive_fusion_config")
    trunk = {name: getattr(base.config, name).to_dict() for name in parts}
    sizes = {"num_query_tokens": base.config.num_query_tokens, "max_images": base.config.max_images}
    start = RablipRetriever(RablipRetrieverConfig(**trunk, **sizes, retrieval_config=dict(RETRIEVAL)))
    start.load_trunk(base)
    start.freeze_vision_tower()
    start = train(start, pools, processor, "in_batch", args.first_steps, seed, args, folder / "first")
    recalls = [mine_candidates(start, processor, pool, k=20) for pool in pools]
    print("seed", seed, "start: recall@5 on training worlds", [round(value, 3) for value in recalls], flush=True)
    hits = {}
    for arm in ("start", *ARMS):
        model = copy.deepcopy(start)
        if arm != "start":
            model = train(model, pools, processor, arm, args.steps, seed + 100, args, folder / arm)
        hits[arm] = measure(model, processor, test)
        print(arm, {key: round(float(np.mean(values)), 3) for key, values in hits[arm].items()}, flush=True)
    return hits


def tabulate(runs: list[dict[str, dict[str, list[bool]]]]) -> dict[str, Any]:
    """Recall by arm and modality over seeds, and what each arm gains over in-batch negatives, question by question."""
    table: dict[str, Any] = {}
    for arm in runs[0]:
        of_arm = [run[arm] for run in runs]
        modalities = sorted(of_arm[0])
        figures = {name: describe_seeds([np.asarray(hits[name], float) for hits in of_arm]) for name in modalities}
        overall = [_join(hits) for hits in of_arm]
        table[arm] = figures | {
            "overall": describe_seeds(overall),
            "worst": min(figures, key=lambda name: figures[name]["value"]),
        }
        gains = [mine - _join(run["in_batch"]) for mine, run in zip(overall, runs, strict=True)]
        table[arm]["gain"] = describe_seeds(gains)
    return table


def _join(hits: dict[str, list[bool]]) -> np.ndarray:
    return np.concatenate([np.asarray(hits[name], dtype=float) for name in sorted(hits)])


def main() -> None:
    """Train every arm from one start per seed and write the table."""
    args = parse_arguments()
    base = RablipForConditionalGeneration.from_pretrained(args.base)
    processor = RablipRetrieverProcessor.from_pretrained(args.processor)

    @cache
    def get_worlds() -> tuple[list[TrainingPool], TrainingPool]:
        worlds = [make_world(1000 + number, args.entities, split="train") for number in range(args.worlds)]
        worlds.append(make_world(args.eval_seed, args.eval_entities))
        pools = [build_pool(world, base, processor.image_processor) for world in worlds]
        return pools[:-1], pools[-1]

    runs = []
    for seed in args.seeds:

        def make_run(folder: Path, seed: int = seed) -> dict[str, Any]:
            return compare_arms(seed, args, base, processor, get_worlds(), folder)

        runs.append(keep_run(args, f"seed-{seed}", make_run))
    table = tabulate(runs)
    write_report(describe_run(args, "retriever_ablation") | {"recall@5": table}, args.out)
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
