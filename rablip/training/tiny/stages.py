"""One training stage: a model, a function that makes the batch of a step, and transformers' own Trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from ..trainers.stage_trainer import StageTrainer

logger = logging.get_logger(__name__)

MakeBatch = Callable[[np.random.Generator], Mapping[str, Any]]


class StepDataset(torch.utils.data.Dataset):
    """Item *i* is the whole batch of step *i*, a function of the seed and *i* alone.

    Args:
        make_batch: makes one batch from a random generator.
        num_steps: how many batches there are.
        seed: seed of the run; it and the step seed the generator.
    """

    def __init__(self, make_batch: MakeBatch, *, num_steps: int, seed: int) -> None:
        self.make_batch = make_batch
        self.num_steps = num_steps
        self.seed = seed

    def __len__(self) -> int:
        return self.num_steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        return dict(self.make_batch(np.random.default_rng([self.seed, step])))


def unwrap_batch(batches: list[dict[str, Any]]) -> dict[str, Any]:
    """The collator of a `StepDataset`: its items are batches already."""
    return batches[0]


def run_stage(
    model: Any,
    make_batch: MakeBatch,
    *,
    output_dir: str | Path,
    num_steps: int,
    learning_rate: float,
    seed: int,
    warmup_steps: int = 100,
    weight_decay: float = 0.01,
    save_steps: int = 500,
    logging_steps: int = 100,
    num_workers: int = 0,
    resume: bool = True,
    trainer_class: type[StageTrainer] = StageTrainer,
) -> Any:
    """Train a model for a number of steps with AdamW and a cosine schedule, resuming where a run was interrupted.

    Args:
        model: any rablip model, maybe wrapped by PEFT; what must not learn is frozen by the caller.
        make_batch: makes the batch of one step.
        output_dir: checkpoints of the run; an existing last checkpoint is resumed.
        num_steps: optimizer steps.
        learning_rate: peak of the schedule.
        seed: seed of batches, dropout and the trainer.
        warmup_steps: linear warm-up at the start; at most a tenth of the run.
        weight_decay: of AdamW.
        save_steps: steps between checkpoints.
        logging_steps: steps between log lines.
        num_workers: processes that make batches ahead of the model.
        resume: continue from the last checkpoint in `output_dir`.
        trainer_class: computes the loss of a batch.

    Returns:
        The trained model, in evaluation mode.
    """
    arguments = TrainingArguments(
        output_dir=str(output_dir),
        max_steps=num_steps,
        per_device_train_batch_size=1,
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(warmup_steps, max(1, num_steps // 10)),
        weight_decay=weight_decay,
        max_grad_norm=1.0,
        save_steps=save_steps,
        save_total_limit=1,
        logging_steps=logging_steps,
        report_to="none",
        seed=seed,
        data_seed=seed,
        remove_unused_columns=False,
        train_sampling_strategy="sequential",
        dataloader_num_workers=num_workers,
        label_names=["labels"],
    )
    trainer = trainer_class(
        model=model,
        args=arguments,
        train_dataset=StepDataset(make_batch, num_steps=num_steps, seed=seed),
        data_collator=unwrap_batch,
    )
    last_checkpoint = get_last_checkpoint(str(output_dir)) if resume and Path(output_dir).is_dir() else None
    if last_checkpoint is not None:
        logger.info("Resuming the stage from %s.", last_checkpoint)
    trainer.train(resume_from_checkpoint=last_checkpoint)
    return model.eval()


__all__ = ["MakeBatch", "StepDataset", "run_stage", "unwrap_batch"]
