"""The arms of the ASKG ablation: what each shows the generator in a step, from one start, with equal passes.

Every arm sees as many questions per step and makes two passes of the language model over each of them:

- `without`: answers from the right evidence; the second pass is a second batch of questions.
- `release`: answers from the right evidence; the second pass is the public release's: two references, the right one
  always first, the other of another modality, and the list of the relevant ones as target.
- `ours`: 0 to K candidates, 0 to K of them relevant, in random order; the second pass lists the relevant ones, and a
  relevance is read in both.
- `ours_turns` (ours + noise): the first pass answers from the right evidence, as `without`; the second, of half the
  weight, answers and judges relevance among distractors. So answering is learned mostly from what the answerer shows,
  which is what was judged relevant, and relevance where there is something to judge. Distractors are 1 to 9, by kind,
  drawn from the index; all rows of a batch have as many, so that none pays for another's length.
- `mined`: as `ours_turns`, with labels that the untrained generator mined.
- `unlabelled`: what one does without relevance labels: answers from whatever is retrieved, twice as many questions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rablip import Modality, QuestionExample
from rablip.processing import CandidateExample
from rablip.training import NoiseMix, StageTrainer, TrainingPool, make_generator_batch
from rablip.training.data.batches import draw_questions
from rablip.training.data.candidates import choose_distinct

ARMS = ("without", "release", "ours", "ours_turns", "unlabelled", "mined")
# Those that learn which candidate is relevant.
JUDGING_ARMS = ("ours", "ours_turns", "mined")
# What is trained as this arm with labels that were mined is the arm `mined`.
GOLD_ARM = "ours_turns"
NOISY_PASS_WEIGHT = 0.5
OUR_CANDIDATES = 4


class PassesTrainer(StageTrainer):
    """Adds up the loss of two batches in one step, the second by default with the weight of the ASKG term."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """The loss of the first batch, and lambda (or `second_weight`) times that of the second."""
        if "passes" not in inputs:
            return super().compute_loss(model, inputs, return_outputs, **kwargs)
        first, second = inputs["passes"]
        outputs = model(**first)
        weight = inputs.get("second_weight", model.config.askg_loss_weight)
        loss = outputs.loss + weight * model(**second).loss
        return (loss, outputs) if return_outputs else loss


def make_arm_batch(
    arm: str, pool: TrainingPool, generator: np.random.Generator, processor: Any, *, num_questions: int, num_items: int
) -> dict[str, Any]:
    """The batch or batches of one step.

    Args:
        arm: one of the arms above.
        pool: questions with mined candidates and distractors.
        generator: source of randomness.
        processor: a `RablipProcessor`.
        num_questions: questions per pass.
        num_items: most candidates shown by `ours_turns` and `unlabelled`.
    """
    if arm == "ours":
        return make_generator_batch(
            pool, generator, processor, num_questions=num_questions, max_candidates=OUR_CANDIDATES
        )
    if arm == "ours_turns":
        drawn = draw_questions(pool, generator, num_questions, answerable_only=True)
        right = _answer_batch(pool, [_gold(pool, example, generator, num_items) for example in drawn], processor)
        count = int(generator.integers(1, num_items))
        noisy = make_generator_batch(
            pool,
            generator,
            processor,
            num_questions=num_questions,
            max_candidates=num_items,
            askg=False,
            noise=NoiseMix(max_distractors=count, min_distractors=count, clean_rate=0.0),
        )
        return {"passes": [right, noisy], "second_weight": NOISY_PASS_WEIGHT}
    examples = draw_questions(pool, generator, 2 * num_questions, answerable_only=True)
    show = _retrieved if arm == "unlabelled" else _gold
    first = _answer_batch(
        pool, [show(pool, example, generator, num_items) for example in examples[:num_questions]], processor
    )
    if arm == "release":
        second = _release_batch(pool, examples[:num_questions], generator, processor)
    else:
        rows = [show(pool, example, generator, num_items) for example in examples[num_questions:]]
        second = _answer_batch(pool, rows, processor)
    return {"passes": [first, second]}


def make_release_row(pool: TrainingPool, example: QuestionExample, generator: np.random.Generator) -> CandidateExample:
    """A right item, then a wrong one of another modality: the release's pair."""
    right = pool.items[example.hops[-1][0]]
    known = pool.distractors[example.id]
    others = [item for item in known["other_modality"] if pool.items[item].modality != right.modality]
    while not others:
        drawn = pool.items[pool.item_ids[int(generator.integers(len(pool.item_ids)))]]
        if drawn.modality != right.modality and drawn.id not in example.positive_ids:
            others = [drawn.id]
    wrong = pool.items[others[int(generator.integers(len(others)))]]
    return CandidateExample(question=example, candidates=(right, wrong), relevance=(1.0, 0.0))


def first_is_right(rows: list[CandidateExample]) -> float:
    """How often the first reference of rows with a relevant one is relevant: what "always the first" scores."""
    judged = [row for row in rows if any(row.relevance)]
    return sum(row.relevance[0] for row in judged) / len(judged)


def chance_level(rows: list[CandidateExample]) -> float:
    """How often a reference drawn at random from the same rows is relevant."""
    judged = [row for row in rows if any(row.relevance)]
    return sum(sum(row.relevance) / len(row.relevance) for row in judged) / len(judged)


def _gold(
    pool: TrainingPool, example: QuestionExample, generator: np.random.Generator, num_items: int
) -> CandidateExample:
    needed = choose_distinct(generator, [item for hop in example.hops for item in hop], num_items)
    return CandidateExample(
        question=example,
        candidates=tuple(pool.items[item] for item in needed),
        relevance=(1.0,) * len(needed),
        answer=example.answers[0],
    )


def _retrieved(
    pool: TrainingPool, example: QuestionExample, generator: np.random.Generator, num_items: int
) -> CandidateExample:
    """The best of every search, at most five, in random order and without saying which is right."""
    searches = [pool.mined[example.id, hop] for hop in range(len(example.hops))]
    best = list(dict.fromkeys(ids[place] for place in range(num_items) for ids in searches if place < len(ids)))[:5]
    shown = choose_distinct(generator, best, len(best))
    return CandidateExample(
        question=example,
        candidates=tuple(pool.items[item] for item in shown),
        relevance=(0.0,) * len(shown),
        answer=example.answers[0],
    )


def _answer_batch(pool: TrainingPool, rows: list[CandidateExample], processor: Any) -> dict[str, Any]:
    return dict(
        processor.process_generation(
            [row.question.question for row in rows],
            [row.candidates for row in rows],
            [[pool.show_item(item) for item in row.candidates] for row in rows],
            question_images=[pool.show_question(row.question) for row in rows],
            answers=[row.answer for row in rows],
        )
    )


def _release_batch(
    pool: TrainingPool, examples: list[QuestionExample], generator: np.random.Generator, processor: Any
) -> dict[str, Any]:
    rows = [make_release_row(pool, example, generator) for example in examples]
    batch = processor.process_generation(
        [row.question.question for row in rows],
        [row.candidates for row in rows],
        [[pool.show_item(item) for item in row.candidates] for row in rows],
        question_images=[pool.show_question(row.question) for row in rows],
        relevance=[row.relevance for row in rows],
        askg=True,
    )
    # The reference list is the target of this pass, as in the release; it judges nothing else.
    shared = ("qformer_input_ids", "qformer_attention_mask", "image_embeds", "pixel_values", "image_mask")
    second = {name: batch[name] for name in shared if name in batch}
    return second | {name: batch[f"askg_{name}"] for name in ("input_ids", "attention_mask", "labels")}


def modality_of_answer(pool: TrainingPool, example: QuestionExample) -> Modality:
    """The modality of the item that holds the answer."""
    return pool.items[example.hops[-1][0]].modality
