"""A checkpoint in half precision is trained in full precision: no step rounds away, and frozen parts stay narrow."""

from __future__ import annotations

import dataclasses
import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.utils import logging as transformers_logging

from rablip.processing import RerankerCollator, RetrieverCollator
from rablip.training import (
    GeneratorTrainer,
    QuestionRows,
    RerankerTrainer,
    RetrieverTrainer,
    TrainingPool,
    add_lora,
    load_adapter,
    make_search_row,
    widen_trained,
)
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import make_reranker, make_retriever
from tests.training.stage_inputs import NO_DROPOUT, arguments, collator, generator_model, generator_rows
from tests.training.tiny_pool import make_pool

# peft asks for what transformers calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
STEPS, LEARNING_RATE = 3, 2e-5


@pytest.fixture(scope="module")
def pool() -> TrainingPool:
    whole = make_pool()
    return dataclasses.replace(whole, examples=whole.examples[:12])


def make_trainer(
    stage: str,
    pool: TrainingPool,
    folder: Path,
    *,
    narrow: torch.dtype,
    wide: bool,
    lora: bool = False,
    **options: Any,
) -> Any:
    """A trainer of a stage's model as stored in half precision; `wide` makes an fp32 model of what is stored."""
    processor: Any = make_retriever_processor(max_images=3)
    rows: Any = QuestionRows(pool, partial(make_search_row, num_candidates=2, max_positives=1), seed=0, shuffle=False)
    lookups: dict[str, Any] = {**pool.picture_sources, "generator": None}
    parts: Any = ("qformer",)
    if stage == "retriever":
        model: Any = make_retriever(**NO_DROPOUT)
        trainer_class: Any = RetrieverTrainer
        collate: Any = RetrieverCollator(processor, **lookups)
        rows.examples = [example for example in rows.examples if example.positive_ids]
    elif stage == "reranker":
        model, trainer_class, collate = make_reranker(**NO_DROPOUT), RerankerTrainer, None
        collate = RerankerCollator(processor, **lookups)
    else:
        processor, parts = make_processor(stage, max_images=3), ("language_model",)
        model = generator_model(processor, stage)
        model.freeze_language_model()
        trainer_class, collate, rows = GeneratorTrainer, collator(pool, processor), generator_rows(pool, processor)
    model.freeze_vision_tower()
    model = model.to(narrow)
    if wide:
        model = model.float()
    return trainer_class(
        model=add_lora(model, parts=parts, rank=2) if lora else model,
        args=arguments(
            folder,
            max_steps=STEPS,
            learning_rate=LEARNING_RATE,
            optim="adamw_torch",
            weight_decay=0.0,
            use_cpu=True,
            **options,
        ),
        train_dataset=rows,
        data_collator=collate,
        processing_class=processor,
    )


def moves(trainer: Any) -> tuple[torch.Tensor, list[dict[str, float]]]:
    """How far every trained weight moves in `train`, in one row, and the log."""
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters() if value.requires_grad}
    trainer.train()
    after = dict(trainer.model.named_parameters())
    moved = torch.cat([(after[name].detach().double() - value.double()).flatten() for name, value in before.items()])
    return moved, [entry for entry in trainer.state.log_history if "grad_norm" in entry]


@pytest.mark.parametrize(
    ("narrow", "bf16"), [(torch.bfloat16, False), (torch.bfloat16, True), (torch.float16, False)], ids=str
)
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("stage", ["retriever", "reranker", "t5", "llama"])
def test_every_trained_weight_moves_as_in_full_precision(
    stage: str, lora: bool, narrow: torch.dtype, bf16: bool, pool: TrainingPool, tmp_path: Path
) -> None:
    given = {"narrow": narrow, "lora": lora, "bf16": bf16}
    expected, _ = moves(make_trainer(stage, pool, tmp_path, wide=True, **given))
    trainer = make_trainer(stage, pool, tmp_path, wide=False, **given)
    for name, value in trainer.model.named_parameters():
        assert value.dtype == (torch.float32 if value.requires_grad else narrow), name
    moved, log = moves(trainer)
    assert all(np.isfinite(entry["grad_norm"]) and entry["grad_norm"] > 0 for entry in log) and len(log) == STEPS
    shares = [float((one != 0).double().mean()) for one in (moved, expected)]
    assert shares[1] > 0.8, "all but words that do not occur"
    assert shares[0] == pytest.approx(shares[1], rel=0.01)
    assert float(moved.abs().mean()) == pytest.approx(float(expected.abs().mean()), rel=0.01)
    assert float(torch.nn.functional.cosine_similarity(moved, expected, dim=0)) > 0.98


def test_parts_in_two_precisions_are_saved_and_loaded_without_rounding(pool: TrainingPool, tmp_path: Path) -> None:
    trainer = make_trainer(
        "t5", pool, tmp_path, narrow=torch.bfloat16, wide=False, save_strategy="steps", save_steps=STEPS
    )
    trainer.train()
    trained = trainer.model.state_dict()
    again = type(trainer.model).from_pretrained(tmp_path / f"checkpoint-{STEPS}")
    for name, value in again.state_dict().items():
        assert torch.equal(value, trained[name].float()), name
    resumed = make_trainer("t5", pool, tmp_path, narrow=torch.bfloat16, wide=False)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{STEPS}"))
    for name, value in resumed.model.state_dict().items():
        assert value.dtype == trained[name].dtype and torch.equal(value, trained[name]), name


def test_a_resumed_adapter_is_not_rounded(pool: TrainingPool, tmp_path: Path) -> None:
    given: dict[str, Any] = {"narrow": torch.bfloat16, "wide": False, "lora": True}
    trainer = make_trainer("t5", pool, tmp_path, save_strategy="steps", save_steps=STEPS, **given)
    trainer.train()
    resumed = make_trainer("t5", pool, tmp_path, **given)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{STEPS}"))
    expected = dict(trainer.model.named_parameters())
    for name, value in resumed.model.named_parameters():
        assert value.dtype == expected[name].dtype and torch.equal(value, expected[name]), name


def test_a_loaded_adapter_is_not_rounded(pool: TrainingPool, tmp_path: Path) -> None:
    trainer = make_trainer("t5", pool, tmp_path, narrow=torch.bfloat16, wide=False, lora=True)
    trainer.train()
    trainer.model.save_pretrained(tmp_path / "adapter")
    base = generator_model(make_processor("t5", max_images=3)).to(torch.bfloat16)
    expected = dict(trainer.model.named_parameters())
    for name, value in load_adapter(base, tmp_path / "adapter").named_parameters():
        assert value.dtype == expected[name].dtype and torch.equal(value, expected[name]), name


def test_a_model_that_the_trainer_makes_is_trained_in_full_precision(tmp_path: Path) -> None:
    def make() -> Any:
        model = make_reranker()
        model.freeze_vision_tower()
        return model.to(torch.bfloat16)

    trainer = RerankerTrainer(model_init=make, args=arguments(tmp_path))
    for model in (trainer.model, trainer.call_model_init()):
        assert {value.dtype for value in model.parameters() if value.requires_grad} == {torch.float32}
        assert {value.dtype for value in model.vision_model.parameters()} == {torch.bfloat16}


def test_what_is_cast_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    transformers_logging.enable_propagation()
    transformers_logging.set_verbosity_info()
    try:
        with caplog.at_level(logging.INFO):
            for dtype in (torch.bfloat16, torch.float32):
                caplog.clear()
                RerankerTrainer(model=make_reranker().to(dtype), args=arguments(tmp_path))
                said = [record.getMessage() for record in caplog.records if "half precision" in record.getMessage()]
                assert len(said) == (dtype == torch.bfloat16)
    finally:
        transformers_logging.set_verbosity_warning()


def test_tied_weights_stay_tied_and_in_the_optimizer() -> None:
    model = generator_model(make_processor("t5", max_images=3)).to(torch.bfloat16)
    language_model = model.language_model
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad])
    tied = language_model.lm_head.weight is language_model.shared.weight
    num_trained = sum(value.requires_grad for value in model.parameters())
    assert widen_trained(model) == num_trained and widen_trained(model) == 0
    assert (language_model.lm_head.weight is language_model.shared.weight) == tied
    held = {id(value) for group in optimizer.param_groups for value in group["params"]}
    assert held == {id(value) for value in model.parameters() if value.requires_grad}
