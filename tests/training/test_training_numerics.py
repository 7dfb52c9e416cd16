"""Training in half precision stays finite, and adapters learn: the loss of a small set falls."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Seq2SeqTrainingArguments

from rablip.processing import GeneratorCollator, RerankerCollator, RetrieverCollator
from rablip.training import (
    GeneratorTrainer,
    QuestionRows,
    RerankerTrainer,
    RetrieverTrainer,
    TrainingPool,
    add_lora,
    make_generator_row,
    make_search_row,
)
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import make_generator, make_reranker, make_retriever
from tests.training.tiny_pool import make_pool

# peft asks for what transformers calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def pool() -> TrainingPool:
    whole = make_pool()
    return TrainingPool(items=whole.items, examples=whole.examples[:10], features=whole.features)


def make_trainer(stage: str, pool: TrainingPool, folder: Path, *, lora: bool = False, **options: Any) -> Any:
    lookups: dict[str, Any] = {
        "generator": None,
        "features": pool.feature_lookup,
        "question_features": pool.feature_lookup,
    }
    arguments = Seq2SeqTrainingArguments(
        str(folder),
        use_cpu=True,
        per_device_train_batch_size=5,
        train_sampling_strategy="sequential",
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        **options,
    )
    search_row = partial(make_search_row, num_candidates=3, max_positives=1, strategy="random")
    if stage == "generator":
        processor: Any = make_processor("t5", max_images=3)
        model: Any = make_generator("t5", image_token_index=processor.image_token_id)
        collator: Any = GeneratorCollator(processor, **lookups)
        trainer_class: Any = GeneratorTrainer
        rows = QuestionRows(pool, partial(make_generator_row, max_candidates=3, max_pictures=3), seed=0, shuffle=False)
    else:
        processor = make_retriever_processor(max_images=3)
        of_stage: Any = {
            "retriever": (make_retriever, RetrieverCollator, RetrieverTrainer),
            "reranker": (make_reranker, RerankerCollator, RerankerTrainer),
        }[stage]
        make_model, collator_class, trainer_class = of_stage
        model, collator = make_model(), collator_class(processor, **lookups)
        rows = QuestionRows(pool, search_row, seed=0, answerable_only=True, shuffle=False)
    model.freeze_vision_tower()
    if stage == "generator":
        model.freeze_language_model()
    parts: Any = ("language_model",) if stage == "generator" else ("qformer",)
    return trainer_class(
        model=add_lora(model, parts=parts, rank=4) if lora else model,
        args=arguments,
        train_dataset=rows,
        data_collator=collator,
        processing_class=processor,
    )


@pytest.mark.parametrize("stage", ["retriever", "reranker", "generator"])
def test_bf16_autocast_is_finite_and_close(stage: str, pool: TrainingPool, tmp_path: Path) -> None:
    losses = {}
    for bf16 in (False, True):
        trainer = make_trainer(stage, pool, tmp_path, max_steps=2, learning_rate=1e-3, bf16=bf16)
        trainer.train()
        logged = [entry for entry in trainer.state.log_history if "loss" in entry]
        losses[bf16] = [entry["loss"] for entry in logged]
        assert all(np.isfinite(entry["grad_norm"]) and entry["grad_norm"] > 0 for entry in logged)
        assert all(value.dtype == torch.float32 for value in trainer.model.parameters() if value.requires_grad)
    assert losses[True] == pytest.approx(losses[False], rel=0.05)


@pytest.mark.parametrize("stage", ["retriever", "reranker", "generator"])
def test_adapters_learn_a_small_set(stage: str, pool: TrainingPool, tmp_path: Path) -> None:
    trainer = make_trainer(stage, pool, tmp_path, lora=True, num_train_epochs=25, learning_rate=3e-3)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert np.isfinite(losses).all()
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
