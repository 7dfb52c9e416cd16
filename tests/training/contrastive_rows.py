"""Rows, models and trainers for the contrastive tests: shared items, copies, pictures on either side, no dropout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainingArguments

from rablip import RablipRetriever
from rablip.processing import CandidateExample, ImageRef, KnowledgeItem, QuestionExample, RetrieverCollator
from rablip.training.trainers.retriever_trainer import RetrieverTrainer
from tests.processing.tiny_tokenizers import make_retriever_processor
from tests.tiny import NUM_IMAGE_TOKENS, make_retriever, trunk_arguments

PROCESSOR = make_retriever_processor(max_images=3)


def make_items() -> list[KnowledgeItem]:
    """12 items: every third has a picture; item 11 is item 0 under another id."""
    items = []
    for n in range(12):
        image = ImageRef(path=f"{n}.png") if n % 3 == 1 else None
        text = "fact 0" if n == 11 else None if n == 4 else f"fact {n}"
        items.append(KnowledgeItem(id=f"i{n}", text=text, image=image, caption="view" if n == 4 else None))
    return items


def make_examples() -> list[CandidateExample]:
    """8 questions with 2 to 4 candidates; the halves share items, and some positives come from the other half."""
    items = make_items()
    drawn = [(0, 5), (1, 0, 6), (2, 8), (3, 11), (4, 0, 2), (5, 1, 9, 10), (0, 7), (6, 4)]
    also_right = {2: ("i7",), 5: ("i2",), 6: ("i6", "elsewhere")}
    return [
        CandidateExample(
            question=QuestionExample(
                id=f"q{number}",
                question=f"what {number} is it?",
                images=(ImageRef(path=f"q{number}.png"),) if number in (1, 6) else (),
                positive_ids=also_right.get(number, ()),
            ),
            candidates=tuple(items[n] for n in candidates),
            relevance=(1.0,) + (0.0,) * (len(candidates) - 1),
        )
        for number, candidates in enumerate(drawn)
    ]


def features(ids: Sequence[str]) -> torch.Tensor:
    """Features of pictures, a function of the id alone."""
    rows = [torch.Generator().manual_seed(sum(map(ord, key)) * 31 + len(key)) for key in ids]
    return torch.stack([torch.randn(NUM_IMAGE_TOKENS, 24, generator=row) for row in rows])


def make_collator(**options: Any) -> RetrieverCollator:
    """A collator that takes features in place of pictures."""
    options = {"features": features, "question_features": features, **options}
    return RetrieverCollator(PROCESSOR, generator=np.random.default_rng(0), **options)


def make_model(*, dropout: float = 0.0, **overrides: Any) -> RablipRetriever:
    """A tiny retriever in training mode with the given dropout everywhere but in the frozen vision tower."""
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    arguments = trunk_arguments()
    for name in ("qformer_config", "adaptive_fusion_config"):
        overrides[name] = {**arguments[name], **rates}
    model = make_retriever(**overrides)
    model.freeze_vision_tower()
    return model.train()


def read_gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of the gradients by plain names; weights without one are left out."""
    return {
        name.removeprefix("module."): parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }


def assert_same_gradients(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Equal to 1e-5, and not empty."""
    assert set(found) == set(expected) and len(found) > 20
    for name, gradient in expected.items():
        torch.testing.assert_close(
            found[name], gradient, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: name + text
        )


class GradientWatch(TrainerCallback):
    """Keeps the gradients that each optimizer step takes."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Copy the gradients."""
        self.steps.append(read_gradients(kwargs["model"]))


def make_trainer(model: Any, folder: Path, *, chunk_size: int | None = None, **options: Any) -> RetrieverTrainer:
    """A trainer on the CPU that takes plain steps over the examples in order."""
    watch = GradientWatch()
    defaults: dict[str, Any] = {
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 8,
        "max_steps": 1,
        "learning_rate": 0.1,
        "optim": "sgd",
        "max_grad_norm": 0.0,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "train_sampling_strategy": "sequential",
    }
    arguments = TrainingArguments(
        output_dir=str(folder),
        report_to="none",
        use_cpu=True,
        remove_unused_columns=False,
        save_strategy="no",
        label_names=["labels"],
        disable_tqdm=True,
        **{**defaults, **options},
    )
    trainer = RetrieverTrainer(
        model=model,
        args=arguments,
        train_dataset=make_examples(),  # type: ignore[arg-type]
        eval_dataset=make_examples(),  # type: ignore[arg-type]
        data_collator=make_collator(modalities=True),
        callbacks=[watch],
        chunk_size=chunk_size,
    )
    trainer.watch = watch  # type: ignore[attr-defined]
    return trainer
