"""ASKG ablation on the world: how much accuracy distractors cost a generator, by how it was trained.

    python examples/benchmarks/askg_ablation.py --base examples/checkpoints/rablip-tiny-base --seeds 0 1 2

All arms start from the same stage-0 checkpoint, with the same steps, questions and passes per step (askg_arms.py).
Each run is evaluated on a world of unseen entities with the right evidence and 0, 1, 3, 5, 9 distractors of each kind:
`direct`, where everything stays before the generator, and, where the arm learns relevance, `selected`, where it
answers from what it judges relevant, as the answerer does, by a threshold fitted on a world that it never saw.
Runs are kept in the work folder, so that an interrupted ablation goes on.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import logging
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from askg_arms import (
    ARMS,
    GOLD_ARM,
    JUDGING_ARMS,
    PassesTrainer,
    chance_level,
    first_is_right,
    make_arm_batch,
    make_release_row,
)
from reporting import describe_run, describe_seeds, keep_run, write_report

from rablip import RablipForConditionalGeneration, RablipProcessor, RablipRetriever, RablipRetrieverProcessor
from rablip.answering.selection import choose_readable
from rablip.metrics import bootstrap_interval
from rablip.training import (
    NoiseMix,
    TrainingPool,
    add_lora,
    apply_labels,
    encode_pictures,
    find_distractors,
    fit_generator,
    generate_texts,
    make_generator_row,
    mine_candidates,
    mine_labels,
    retrieve_followups,
    run_stage,
    same_answer,
    sample_distractors,
)
from rablip.training.tiny.data import build_pool
from rablip.world import make_world

COUNTS = (0, 1, 3, 5, 9)
KINDS = ("same_entity", "look_alike", "other_modality", "empty", "mixed")
MAX_IMAGES, MAX_ITEMS = 12, 10
RESULTS = Path(__file__).parent / "results" / "askg_ablation.json"


def load_base(folder: Path) -> tuple[RablipForConditionalGeneration, RablipProcessor]:
    """The stage-0 generator with as many image slots as the longest list of candidates needs."""
    small = RablipForConditionalGeneration.from_pretrained(folder)
    config = copy.deepcopy(small.config)
    config.max_images = MAX_IMAGES
    model = RablipForConditionalGeneration(config)
    model.load_trunk(small)
    processor = RablipProcessor.from_pretrained(folder)
    processor.max_images, processor.max_prompt_tokens, processor.max_instruction_tokens = MAX_IMAGES, 400, 184
    return model, processor


@dataclasses.dataclass(eq=False)
class Pools:
    """Pools with mined candidates and distractors.

    Args:
        train: of train-split worlds.
        validation: of one more of them, to fit thresholds on.
        test: of a world of unseen entities.
        search: the retriever that found them, and its processor.
    """

    train: list[TrainingPool]
    validation: TrainingPool
    test: TrainingPool
    search: tuple[Any, Any]


def build_pools(args: argparse.Namespace, base: Any, processor: Any) -> Pools:
    """All pools, with the features of their pictures."""
    retriever = RablipRetriever.from_pretrained(args.retriever).eval()
    retriever_processor = RablipRetrieverProcessor.from_pretrained(args.retriever)
    worlds = [make_world(1000 + number, args.train_entities, split="train") for number in range(args.worlds)]
    worlds.append(make_world(3000, args.eval_entities, split="train"))
    worlds.append(make_world(args.eval_seed, args.eval_entities, split="test"))
    pools = []
    for world in worlds:
        # The retriever looks with its own tower, which need not be the base's.
        pool = build_pool(world, retriever, retriever_processor.image_processor)
        mine_candidates(retriever, retriever_processor, pool)
        find_distractors(retriever, retriever_processor, pool)
        features = encode_pictures(base, processor.image_processor, pool.pictures())
        pools.append(dataclasses.replace(pool, features=features))
    return Pools(pools[:-2], *pools[-2:], (retriever, retriever_processor))


def train_arm(
    arm: str, seed: int, args: argparse.Namespace, base: Any, processor: Any, given: Pools, folder: Path
) -> tuple[Any, dict[str, Any]]:
    """One run: a frozen language model with LoRA, Q-Former, fusion, projection and heads trained."""
    pools, facts = mine_pools(base, processor, given) if arm == "mined" else (given.train, {})
    recipe = GOLD_ARM if arm == "mined" else arm
    torch.manual_seed(seed)
    model = copy.deepcopy(base)
    model.requires_grad_(True)
    model.freeze_vision_tower()
    model.freeze_language_model()
    adapted = add_lora(model, rank=32)

    def make_batch(generator: np.random.Generator) -> dict[str, Any]:
        pool = pools[int(generator.integers(len(pools)))]
        return make_arm_batch(
            recipe, pool, generator, processor, num_questions=args.questions_per_pass, num_items=MAX_ITEMS
        )

    start = time.time()
    trained = run_stage(
        adapted,
        make_batch,
        output_dir=folder,
        num_steps=args.steps,
        learning_rate=args.learning_rate,
        seed=seed,
        save_steps=500,
        logging_steps=50,
        trainer_class=PassesTrainer,
    )
    return trained.merge_and_unload().eval(), facts | {"train_seconds": round(time.time() - start, 1)}


# No seed enters: the labels are the frozen generator's own, so every run of the arm learns from the same ones.
@cache
def mine_pools(base: Any, processor: Any, given: Pools) -> tuple[list[TrainingPool], dict[str, Any]]:
    """The training pools with labels that the untrained generator mined, and how right they are."""
    pools, facts = [], []
    for pool in given.train:
        followups = retrieve_followups(*given.search, pool)
        labels = mine_labels(base, processor, pool, followups=followups, num_candidates=5)
        facts.append(labels.measure(pool))
        labelled = apply_labels(pool, labels)
        find_distractors(*given.search, labelled)
        pools.append(labelled)
    return pools, {"labels": facts}


@torch.no_grad()
def evaluate_run(
    model: Any, processor: Any, pool: TrainingPool, args: argparse.Namespace, *, judges: bool
) -> dict[str, Any]:
    """Right or wrong for every question, by way of answering, kind and number of distractors."""
    rng = np.random.default_rng(args.eval_seed)
    answerable = [example for example in pool.examples if example.answerable]
    asked = [answerable[place] for place in sorted(rng.permutation(len(answerable))[: args.eval_questions])]
    outcomes: dict[str, Any] = {"direct": {}} | ({"selected": {}, "relevance_f1": {}} if judges else {})
    for kind in KINDS:
        weights = NoiseMix().weights if kind == "mixed" else {kind: 1.0}
        for count in COUNTS:
            if count == 0 and kind != "mixed":
                continue
            key = f"{kind}/{count}" if count else "none/0"
            direct, selected, hits = [], [], np.zeros(3)
            for first in range(0, len(asked), 64):
                batch = asked[first : first + 64]
                rows = [arrange_evidence(pool, example, count, weights, args.eval_seed) for example in batch]
                texts = generate_texts(model, processor, pool, batch, rows, max_new_tokens=8)
                direct += [same_answer(text, example) for text, example in zip(texts, batch, strict=True)]
                if not judges:
                    continue
                kept = select_relevant(model, processor, pool, batch, rows)
                texts = generate_texts(model, processor, pool, batch, kept, max_new_tokens=8)
                selected += [same_answer(text, example) for text, example in zip(texts, batch, strict=True)]
                for example, items in zip(batch, kept, strict=True):
                    right = set(example.positive_ids)
                    hits += (sum(item.id in right for item in items), len(items), len(right))
            outcomes["direct"][key] = direct
            if judges:
                outcomes["selected"][key] = selected
                outcomes["relevance_f1"][key] = float(2 * hits[0] / max(hits[1] + hits[2], 1))
    return outcomes


def arrange_evidence(pool: TrainingPool, example: Any, count: int, weights: dict[str, float], seed: int) -> list[Any]:
    """The right items and so many distractors in random order, by seed and question; fewer are a part of more."""
    rng = np.random.default_rng([seed, *example.id.encode()])
    distractors = sample_distractors(pool, example, rng, max(COUNTS), weights=weights)[:count]
    shown = [*(pool.items[item] for item in dict.fromkeys(example.positive_ids)), *distractors]
    return [shown[place] for place in rng.permutation(len(shown))]


def select_relevant(
    model: Any, processor: Any, pool: TrainingPool, batch: list[Any], rows: list[list[Any]]
) -> list[list[Any]]:
    """What the generator itself judges relevant of every row; all of it where nothing is, as in the answerer."""
    inputs = processor.process_generation(
        [example.question for example in batch],
        rows,
        [[pool.show_item(item) for item in items] for items in rows],
        question_images=[pool.show_question(example) for example in batch],
    )
    judged = model.predict_relevance(**inputs).tolist()
    kept = []
    for items, values in zip(rows, judged, strict=True):
        places = choose_readable(values[: len(items)], model.config.citation_threshold)
        kept.append([items[place] for place in places])
    return kept


def measure_leak(pool: TrainingPool, num_rows: int = 2000) -> dict[str, float]:
    """What "always the first reference" scores on the release's rows and on ours."""
    rng = np.random.default_rng(0)
    examples = [example for example in pool.examples if example.answerable]
    drawn = [examples[int(place)] for place in rng.integers(len(examples), size=num_rows)]
    release = [make_release_row(pool, example, rng) for example in drawn]
    make = partial(make_generator_row, max_candidates=MAX_ITEMS, max_pictures=MAX_IMAGES, noise=NoiseMix())
    ours = [make(pool, example, rng) for example in drawn]
    return {
        "release_first": first_is_right(release),
        "release_chance": chance_level(release),
        "ours_first": first_is_right(ours),
        "ours_chance": chance_level(ours),
    }


def lost(run: dict[str, Any], way: str) -> np.ndarray:
    """Per question, what 9 distractors cost, averaged over kinds."""
    zero = np.asarray(run[way]["none/0"], dtype=float)
    nine = [np.asarray(run[way][f"{kind}/9"], dtype=float) for kind in KINDS if kind != "mixed"]
    return zero - np.mean(nine, axis=0)


def summarise(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Accuracy by kind and number, what is lost, and paired differences to the arm without ASKG with intervals."""
    table: dict[str, Any] = {}
    for arm, of_seeds in runs.items():
        ways = [way for way in ("direct", "selected") if way in of_seeds[0]]
        table[arm] = {}
        for way in ways:
            table[arm][way] = {
                key: float(np.mean([np.mean(run[way][key]) for run in of_seeds])) for key in of_seeds[0][way]
            }
            table[arm][f"{way}_lost"] = describe_seeds([lost(run, way) for run in of_seeds])
        if "selected" in ways:
            f1 = {key: float(np.mean([run["relevance_f1"][key] for run in of_seeds])) for key in table[arm]["direct"]}
            table[arm]["relevance_f1"] = f1
        if arm == "without" or len(of_seeds) != len(runs.get("without", ())):
            continue
        pairs = list(zip(runs["without"], of_seeds, strict=True))
        # What an arm is compared with always answers directly: without ASKG there is nothing to select by.
        for way in ways:
            saved = [lost(base, "direct") - lost(run, way) for base, run in pairs]
            table[arm][f"{way}_saved_to_without"] = describe_seeds(saved)
            gains = [_at_none(run, way) - _at_none(base, "direct") for base, run in pairs]
            table[arm][f"{way}_gained_at_none"] = describe_seeds(gains)
    return table


def measure_label_gain(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What gold and mined labels gain over none, each answering in its own way, and the mined share of gold's gain.

    Gains are paired by question; a question counts with the mean over kinds and numbers of distractors.
    """
    base, gold, mined = (
        np.mean([_accuracy(run) for run in runs[arm]], axis=0) for arm in ("unlabelled", GOLD_ARM, "mined")
    )
    rows = np.stack([mined - base, gold - base], axis=1)
    low, high = bootstrap_interval(rows, lambda sums: sums[:, 0] / sums[:, 1])
    return {
        "gold": describe_seeds([gold - base]),
        "mined": describe_seeds([mined - base]),
        "share": float(rows[:, 0].sum() / rows[:, 1].sum()),
        "share_interval": [low, high],
    }


def _accuracy(run: dict[str, Any]) -> np.ndarray:
    answered = run["selected" if "selected" in run else "direct"]
    return np.mean([np.asarray(right, dtype=float) for right in answered.values()], axis=0)


def _at_none(run: dict[str, Any], way: str) -> np.ndarray:
    return np.asarray(run[way]["none/0"], dtype=float)


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="the stage-0 generator with its processor")
    parser.add_argument("--retriever", type=Path, default=Path("examples/checkpoints/rablip-tiny/retriever"))
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--learning-rate", type=float, default=8e-4)
    parser.add_argument("--questions-per-pass", type=int, default=16)
    parser.add_argument("--worlds", type=int, default=12)
    parser.add_argument("--train-entities", type=int, default=400)
    parser.add_argument("--eval-seed", type=int, default=4242)
    parser.add_argument("--eval-entities", type=int, default=200)
    parser.add_argument("--eval-questions", type=int, default=128)
    parser.add_argument("--work-dir", type=Path, default=Path("runs/askg_ablation"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    """Train and evaluate what is not there yet, then write the table."""
    args = parse_arguments()
    logging.basicConfig(level=logging.INFO)
    base, processor = load_base(args.base)
    # Mined once, and only when a run is missing.
    get_pools = cache(lambda: build_pools(args, base, processor))

    def make_run(folder: Path, arm: str, seed: int) -> dict[str, Any]:
        pools = get_pools()
        model, facts = train_arm(arm, seed, args, base, processor, pools, folder)
        judges = arm in JUDGING_ARMS
        if judges:
            noise = NoiseMix(max_distractors=MAX_ITEMS - 1)
            facts["fitted"] = fit_generator(
                model, processor, pools.validation, seed=seed, num_batches=8, max_candidates=MAX_ITEMS, noise=noise
            )
        return facts | evaluate_run(model, processor, pools.test, args, judges=judges)

    runs: dict[str, list[dict[str, Any]]] = {}
    for seed in args.seeds:
        for arm in args.arms:
            run = keep_run(args, f"{arm}-{seed}", partial(make_run, arm=arm, seed=seed))
            runs.setdefault(arm, []).append(run)
            summary = {key: round(float(np.mean(run["direct"][key])), 3) for key in ("none/0", "mixed/9")}
            print(arm, seed, summary, "lost", round(float(lost(run, "direct").mean()), 3), flush=True)
    without_training = argparse.Namespace(**{**vars(args), "worlds": 0})
    report = describe_run(args, "askg_ablation") | {
        "leak": measure_leak(build_pools(without_training, base, processor).test),
        "table": summarise(runs),
        "train_seconds": {arm: [run["train_seconds"] for run in of_seeds] for arm, of_seeds in runs.items()},
        "labels": {
            arm: [run["labels"] for run in of_seeds] for arm, of_seeds in runs.items() if "labels" in of_seeds[0]
        },
    }
    if {"unlabelled", GOLD_ARM, "mined"} <= runs.keys():
        report["label_gain"] = measure_label_gain(runs)
    write_report(report, args.out)
    print(json.dumps({name: report.get(name) for name in ("table", "label_gain")}, indent=1))


if __name__ == "__main__":
    main()
