"""Retriever ablation on the world: which negatives help which modality.

    python examples/benchmarks/retriever_ablation.py --base examples/checkpoints/rablip-tiny-base --seeds 0 1 2

All runs of a seed start from one retriever that was trained with in-batch negatives alone, and go on for as many steps
with 3 extra candidates a question: drawn from all items (`random`), from what that retriever finds whatever its
modality (`random_hard`), or as in MM-Embed (`modality`: of a wrong modality above the right item, and of the right
modality), or with none (`in_batch`). Recall@5 over an unseen world's pairs of question and needed item, by modality.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from askg_ablation import describe_arguments, describe_command

import rablip
from rablip import RablipForConditionalGeneration, RablipRetriever, RablipRetrieverConfig, RablipRetrieverProcessor
from rablip.evaluation.intervals import proportion_figure
from rablip.evaluation.world_scoring import gold_pairs
from rablip.processing import RetrieverCollator
from rablip.training import TrainingPool, make_search_row, mine_candidates, retrieve_candidates, run_stage
from rablip.training.data.batches import draw_questions
from rablip.training.tiny.data import build_pool
from rablip.training.tiny.recipe import RETRIEVAL
from rablip.world import WORLD_VERSION, make_world

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


def main() -> None:
    """Train every arm from one start per seed and write the table."""
    args = parse_arguments()
    base = RablipForConditionalGeneration.from_pretrained(args.base)
    processor = RablipRetrieverProcessor.from_pretrained(args.processor)
    worlds = [make_world(1000 + number, args.entities, split="train") for number in range(args.worlds)]
    pools = [build_pool(world, base, processor.image_processor) for world in worlds]
    test = build_pool(make_world(args.eval_seed, args.eval_entities), base, processor.image_processor)
    parts = ("vision_config", "qformer_config", "adaptive_fusion_config")
    trunk = {name: getattr(base.config, name).to_dict() for name in parts}
    hits: dict[str, dict[str, list[bool]]] = {}
    for seed in args.seeds:
        torch.manual_seed(seed)
        sizes = {"num_query_tokens": base.config.num_query_tokens, "max_images": base.config.max_images}
        start = RablipRetriever(RablipRetrieverConfig(**trunk, **sizes, retrieval_config=dict(RETRIEVAL)))
        start.load_trunk(base)
        start.freeze_vision_tower()
        folder = args.work_dir / f"first-{seed}"
        start = train(start, pools, processor, "in_batch", args.first_steps, seed, args, folder)
        recalls = [mine_candidates(start, processor, pool, k=20) for pool in pools]
        print("seed", seed, "start: recall@5 on training worlds", [round(value, 3) for value in recalls], flush=True)
        for arm in ("start", *ARMS):
            model = copy.deepcopy(start)
            if arm != "start":
                folder = args.work_dir / f"{arm}-{seed}"
                model = train(model, pools, processor, arm, args.steps, seed + 100, args, folder)
            measured = measure(model, processor, test)
            for modality, values in measured.items():
                hits.setdefault(arm, {}).setdefault(modality, []).extend(values)
            print(arm, {key: round(float(np.mean(values)), 3) for key, values in measured.items()}, flush=True)
    table = {
        arm: {
            **{modality: proportion_figure(values).to_json() for modality, values in sorted(by_modality.items())},
            "overall": proportion_figure([hit for values in by_modality.values() for hit in values]).to_json(),
            "worst": min(by_modality, key=lambda modality: np.mean(by_modality[modality])),
        }
        for arm, by_modality in hits.items()
    }
    report = {
        "command": describe_command("retriever_ablation"),
        "arguments": describe_arguments(args),
        "world_version": WORLD_VERSION,
        "versions": {"rablip": rablip.__version__, "torch": torch.__version__},
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "recall@5": table,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
