"""Batches of the generator in which no row has an answer, or none a candidate, train and are evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rablip.processing import GeneratorCollator
from rablip.training import AnswerMetrics, GeneratorTrainer
from tests.processing.tiny_tokenizers import make_processor
from tests.training.stage_inputs import arguments, generator_model, sparse_rows, weights_after_a_step


@pytest.mark.parametrize("language_model", ["t5", "llama"])
@pytest.mark.parametrize("generates", [False, True])
def test_a_row_without_an_answer_may_be_alone_in_its_batch(
    language_model: str, generates: bool, tmp_path: Path
) -> None:
    processor = make_processor(language_model, max_images=3)
    rows: Any = sparse_rows()
    trainer = GeneratorTrainer(
        model=generator_model(processor, language_model),
        args=arguments(
            tmp_path,
            per_device_train_batch_size=1,
            per_device_eval_batch_size=1,
            max_steps=4,
            predict_with_generate=generates,
        ),
        train_dataset=rows,
        eval_dataset=rows,
        data_collator=GeneratorCollator(processor, generator=None),
        processing_class=processor,
        compute_metrics=AnswerMetrics(processor),
    )
    trainer.train()
    losses = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["qa_loss"] > 0 for entry in losses] == [False, True, False, False]
    assert np.isfinite([entry["grad_norm"] for entry in losses]).all()
    measured = trainer.evaluate()
    assert np.isfinite(measured["eval_loss"]) and "eval_exact_match" in measured


@pytest.mark.parametrize("language_model", ["t5", "llama"])
def test_accumulated_batches_may_lack_answers_and_candidates(language_model: str, tmp_path: Path) -> None:
    processor = make_processor(language_model, max_images=3)
    collate = GeneratorCollator(processor, generator=None)
    results = []
    for batch_size, accumulate in ((4, 1), (1, 4)):
        args = arguments(tmp_path, per_device_train_batch_size=batch_size, gradient_accumulation_steps=accumulate)
        model = generator_model(processor, language_model)
        results.append(weights_after_a_step(GeneratorTrainer, model, sparse_rows(), collate, args))
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=1e-4, atol=2e-6, msg=name)
