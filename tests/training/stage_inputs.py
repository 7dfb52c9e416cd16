"""What the tests of the stage trainers train: tiny models without dropout, rows, collators and arguments."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import Seq2SeqTrainingArguments

from rablip.processing import CandidateExample, GeneratorCollator
from rablip.training import QuestionRows, TrainingPool, make_generator_row, make_search_row
from tests.tiny import make_generator, trunk_arguments

NO_DROPOUT = {
    name: {**trunk_arguments()[name], "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    for name in ("qformer_config", "adaptive_fusion_config")
}


def generator_model(processor: Any, language_model: str = "t5", **overrides: Any) -> Any:
    """A tiny generator without dropout, its vision tower frozen."""
    model = make_generator(language_model, image_token_index=processor.image_token_id, **{**NO_DROPOUT, **overrides})
    model.freeze_vision_tower()
    return model


def generator_rows(pool: TrainingPool, processor: Any, **options: Any) -> QuestionRows:
    """The pool's questions, each with up to three candidates."""
    make_row = partial(make_generator_row, max_candidates=3, max_pictures=processor.max_images)
    return QuestionRows(pool, make_row, seed=1, **options)


def collator(pool: TrainingPool, processor: Any) -> GeneratorCollator:
    """The generator's collator over the pool's features, candidates in the order of the rows."""
    lookup = pool.feature_lookup
    return GeneratorCollator(processor, generator=None, features=lookup, question_features=lookup)


def arguments(folder: Path, **options: Any) -> Seq2SeqTrainingArguments:
    """One step of plain gradient descent, so that weights show gradients."""
    fields: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "max_steps": 1,
        "learning_rate": 0.1,
        "optim": "sgd",
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "train_sampling_strategy": "sequential",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
    }
    return Seq2SeqTrainingArguments(**(fields | options))


def raw_rows() -> list[dict[str, Any]]:
    """Four rows of a user's own table, with pictures."""
    picture = Image.new("RGB", (20, 20), "red")
    documents = [
        {"text": "built in 1743", "title": "mill", "relevant": True},
        {"image": picture, "caption": "mill", "relevant": False},
    ]
    return [
        {"question": f"when {number}?", "answer": "1743", "image": picture if number % 2 else None, "docs": documents}
        for number in range(4)
    ]


def sparse_rows() -> list[dict[str, Any]]:
    """Rows without pictures: the first and the third have no candidate, and only the second an answer to learn."""
    rows = [{**row, "image": None, "docs": row["docs"][: number % 2]} for number, row in enumerate(raw_rows())]
    return [{**row, "answer": row["answer"] if number == 1 else None} for number, row in enumerate(rows)]


def ragged_rows(pool: TrainingPool) -> list[CandidateExample]:
    """Questions with one to four candidates, some with none that is right."""
    generator = np.random.default_rng(0)
    return [
        make_search_row(pool, example, generator, num_candidates=1 + number * 3 % 4, max_positives=number % 3)
        for number, example in enumerate(pool.examples)
    ]


def weights_after_a_step(
    trainer_class: Any, model: Any, rows: Any, collate: Any, args: Any
) -> dict[str, torch.Tensor]:
    """The trained weights after `train`."""
    trainer = trainer_class(model=model, args=args, train_dataset=rows, data_collator=collate)
    trainer.train()
    return {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
