"""LoRA against full fine-tuning of the generator on the world: quality, trained parameters, memory.

    python examples/benchmarks/adapters.py --base examples/checkpoints/rablip-tiny-base --seeds 0 1 2

Every run starts from the same stage-0 checkpoint and trains Q-Former, fusion, projection and heads; they differ in
what of the language model is trained beside them, or train the Q-Former by adapters too. Accuracy with the right
evidence and three distractors on an unseen world; gradients and AdamW's two moments are counted, what is saved is
measured. Runs are kept in the work folder, so that an interrupted ablation goes on.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from askg_ablation import Pools, arrange_evidence, build_pools, load_base
from askg_arms import make_arm_batch
from reporting import describe_run, describe_seeds, keep_run, write_report

from rablip.training import NoiseMix, TrainingPool, add_lora, generate_texts, run_stage, same_answer

RESULTS = Path(__file__).parent / "results" / "adapters.json"
NUM_DISTRACTORS = 3


def adapt(base: Any, arm: str) -> Any:
    """A copy of the base with what the arm trains."""
    model = copy.deepcopy(base)
    model.requires_grad_(True)
    model.freeze_vision_tower()
    if arm == "trained whole":
        return model
    model.freeze_language_model()
    if arm == "frozen":
        return model
    rank = int(arm.split("rank ")[1].rstrip(")"))
    parts = ("language_model", "qformer") if "Q-Former" in arm else ("language_model",)
    return add_lora(model, parts=parts, rank=rank)


ARMS = ("frozen", "LoRA (rank 8)", "LoRA (rank 32)", "LoRA, Q-Former too (rank 32)", "trained whole")


@torch.no_grad()
def measure(model: Any, processor: Any, pool: TrainingPool, args: argparse.Namespace) -> list[bool]:
    """Right or wrong per question."""
    rng = np.random.default_rng(args.eval_seed)
    answerable = [example for example in pool.examples if example.answerable]
    asked = [answerable[place] for place in sorted(rng.permutation(len(answerable))[: args.eval_questions])]
    right: list[bool] = []
    for first in range(0, len(asked), 64):
        batch = asked[first : first + 64]
        rows = [
            arrange_evidence(pool, example, NUM_DISTRACTORS, dict(NoiseMix().weights), args.eval_seed)
            for example in batch
        ]
        texts = generate_texts(model, processor, pool, batch, rows, max_new_tokens=8)
        right += [same_answer(text, example) for text, example in zip(texts, batch, strict=True)]
    return right


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="the stage-0 generator with its processor")
    parser.add_argument("--retriever", type=Path, default=Path("examples/checkpoints/rablip-tiny/retriever"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--learning-rate", type=float, default=8e-4)
    parser.add_argument("--questions", type=int, default=16)
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--train-entities", type=int, default=400)
    parser.add_argument("--eval-seed", type=int, default=4242)
    parser.add_argument("--eval-entities", type=int, default=200)
    parser.add_argument("--eval-questions", type=int, default=300)
    parser.add_argument("--work-dir", type=Path, default=Path("runs/adapters"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def train_and_measure(
    arm: str, seed: int, args: argparse.Namespace, base: Any, processor: Any, pools: Pools, folder: Path
) -> dict[str, Any]:
    """One run: right or wrong per question, and what it trained and saved."""
    torch.manual_seed(seed)
    model = adapt(base, arm)
    trained = [value for value in model.parameters() if value.requires_grad]

    def make_batch(generator: np.random.Generator) -> dict[str, Any]:
        pool = pools.train[int(generator.integers(len(pools.train)))]
        return make_arm_batch("ours", pool, generator, processor, num_questions=args.questions, num_items=4)

    done = run_stage(
        model,
        make_batch,
        output_dir=folder,
        num_steps=args.steps,
        learning_rate=args.learning_rate,
        seed=seed,
        save_steps=10 * args.steps,
        resume=False,
    )
    with tempfile.TemporaryDirectory() as saved_folder:
        done.save_pretrained(saved_folder)
        saved = sum(file.stat().st_size for file in Path(saved_folder).glob("*.safetensors"))
    merged = done.merge_and_unload() if hasattr(done, "merge_and_unload") else done
    return {
        "right": measure(merged.eval(), processor, pools.test, args),
        "trained_parameters": sum(value.numel() for value in trained),
        # A gradient and two moments of AdamW for every trained weight.
        "state_megabytes": 3 * sum(value.numel() * value.element_size() for value in trained) / 1e6,
        "saved_megabytes": saved / 1e6,
    }


def main() -> None:
    """Train and measure what is not there yet, then write the table."""
    args = parse_arguments()
    base, processor = load_base(args.base)
    get_pools = cache(lambda: build_pools(args, base, processor))
    arms: dict[str, Any] = {}
    for arm in ARMS:
        runs = []
        for seed in args.seeds:

            def make_run(folder: Path, arm: str = arm, seed: int = seed) -> dict[str, Any]:
                return train_and_measure(arm, seed, args, base, processor, get_pools(), folder)

            runs.append(keep_run(args, f"{arm}-{seed}", make_run))
            print(arm, seed, round(float(np.mean(runs[-1]["right"])), 3), flush=True)
        figures = {name: value for name, value in runs[0].items() if name != "right"}
        right = [np.asarray(run["right"], dtype=float) for run in runs]
        arms[arm] = {"accuracy": describe_seeds(right), **figures}
    write_report(describe_run(args, "adapters") | {"arms": arms}, args.out)


if __name__ == "__main__":
    main()
