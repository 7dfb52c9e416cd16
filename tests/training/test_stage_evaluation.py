"""Evaluation while training: figures are those of the whole set, whatever its batches."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import EvalPrediction

from rablip.processing import CandidateExample, GeneratorCollator, RerankerCollator
from rablip.training import (
    AnswerMetrics,
    GeneratorTrainer,
    RerankerTrainer,
    TrainingPool,
    make_search_row,
    measure_relevance,
)
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import make_reranker
from tests.training.stage_inputs import arguments, generator_model, generator_rows, ragged_rows
from tests.training.tiny_pool import make_pool


@pytest.fixture(scope="module")
def pool() -> TrainingPool:
    whole = make_pool()
    return dataclasses.replace(whole, examples=whole.examples[:10])


def lookups(pool: TrainingPool) -> dict[str, Any]:
    return {"generator": None, "features": pool.feature_lookup, "question_features": pool.feature_lookup}


def even_rows(pool: TrainingPool) -> list[CandidateExample]:
    generator = np.random.default_rng(0)
    return [make_search_row(pool, one, generator, num_candidates=4, max_positives=2) for one in pool.examples]


@pytest.mark.parametrize("kind", ["even", "ragged"])
def test_every_pair_counts_once_in_the_rerankers_evaluation(kind: str, pool: TrainingPool, tmp_path: Path) -> None:
    rows: Any = even_rows(pool) if kind == "even" else ragged_rows(pool)
    processor, model = make_retriever_processor(max_images=3), make_reranker()
    collate = RerankerCollator(processor, **lookups(pool))
    batch = collate(rows)
    with torch.no_grad():
        whole = model(**batch)
    expected = measure_relevance(EvalPrediction(whole.relevance_logits.numpy(), batch["relevance_labels"].numpy()))
    counts = [len(row.candidates) for row in rows]
    assert batch["num_candidates"].tolist() == counts and sum(counts) == len(batch["input_ids"])
    for batch_size in (1, 3, 4, 10, 16):
        trainer = RerankerTrainer(
            model=model,
            args=arguments(tmp_path, per_device_eval_batch_size=batch_size),
            eval_dataset=rows,
            data_collator=collate,
            processing_class=processor,
            compute_metrics=measure_relevance,
        )
        measured = trainer.evaluate()
        assert measured["eval_loss"] == pytest.approx(whole.loss.item(), rel=1e-5)
        for name, value in expected.items():
            assert measured[f"eval_{name}"] == pytest.approx(value), (batch_size, name)
        predicted: Any = trainer.predict(rows)
        assert predicted.predictions.shape == predicted.label_ids.shape == (10, max(counts))
        for row, count in enumerate(counts):
            start = sum(counts[:row])
            logits = whole.relevance_logits[start : start + count].numpy()
            np.testing.assert_allclose(predicted.predictions[row, :count], logits, rtol=1e-4, atol=1e-5)
            assert (predicted.label_ids[row, count:] == -100).all()
        trainer.compute_metrics = None  # Trainer then asks for the loss alone
        assert trainer.evaluate()["eval_loss"] == pytest.approx(whole.loss.item(), rel=1e-5)


def test_pairs_of_another_collator_are_questions_of_their_own(pool: TrainingPool, tmp_path: Path) -> None:
    processor, model, rows = make_retriever_processor(max_images=3), make_reranker(), even_rows(pool)
    collate = RerankerCollator(processor, **lookups(pool))
    pairs: Any = [
        dataclasses.replace(row, candidates=(item,), relevance=(value,))
        for row in rows
        for item, value in zip(row.candidates, row.relevance, strict=True)
    ]

    def without(examples: Any) -> dict[str, torch.Tensor]:
        return {name: value for name, value in collate(examples).items() if name != "num_candidates"}

    trainer = RerankerTrainer(
        model=model,
        args=arguments(tmp_path, per_device_eval_batch_size=7),
        eval_dataset=pairs,
        data_collator=without,
        compute_metrics=measure_relevance,
    )
    with torch.no_grad():
        expected = model(**collate(rows)).loss.item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-5)
    assert trainer.predict(pairs).predictions.shape == (40, 1)  # type: ignore[union-attr]


@pytest.mark.parametrize("language_model", ["t5", "llama"])
def test_the_generators_loss_is_that_of_all_its_terms(language_model: str, pool: TrainingPool, tmp_path: Path) -> None:
    processor = make_processor(language_model, max_images=3)
    model = generator_model(processor, language_model).eval()
    rows = generator_rows(pool, processor, shuffle=False)
    collate = GeneratorCollator(processor, **lookups(pool))
    with torch.no_grad():
        whole = model(**collate([rows[number] for number in range(10)]))
    for batch_size in (1, 3, 10):
        trainer = GeneratorTrainer(
            model=model,
            args=arguments(tmp_path, per_device_eval_batch_size=batch_size),
            eval_dataset=rows,
            data_collator=collate,
            processing_class=processor,
            compute_metrics=AnswerMetrics(processor),
        )
        assert trainer.evaluate()["eval_loss"] == pytest.approx(whole.loss.item(), rel=1e-5)


@pytest.mark.parametrize("language_model", ["t5", "llama"])
def test_without_generating_the_predictions_are_those_of_the_answers_tokens(
    language_model: str, pool: TrainingPool, tmp_path: Path
) -> None:
    processor = make_processor(language_model, max_images=3)
    model = generator_model(processor, language_model).eval()
    rows = generator_rows(pool, processor, shuffle=False)
    collate = GeneratorCollator(processor, **lookups(pool))
    batch = collate([rows[number] for number in range(10)])
    answered = (batch["labels"] != -100).any(dim=1)
    assert answered.any() and not answered.all()
    lengths = (batch["labels"][answered] != -100).sum(dim=1)
    assert lengths.min() < lengths.max(), "some answers end before the longest one"
    trainer = GeneratorTrainer(
        model=model,
        args=arguments(tmp_path, per_device_eval_batch_size=4),
        eval_dataset=rows,
        data_collator=collate,
        processing_class=processor,
        compute_metrics=AnswerMetrics(processor),
    )
    forward = model.forward

    def know(**inputs: Any) -> Any:
        """The outputs of a model that is sure of every right token, and says something else everywhere else."""
        outputs, labels = forward(**inputs), inputs["labels"]
        if language_model == "llama":
            labels = torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], -100)], dim=1)
        wanted = torch.where(labels == -100, 9, labels)
        outputs["logits"] = torch.nn.functional.one_hot(wanted, outputs["logits"].shape[-1]).float()
        return outputs

    model.forward = know
    assert trainer.evaluate()["eval_exact_match"] == 1.0
    (ids, _), (labels, _) = trainer.predict(rows)[:2]
    np.testing.assert_array_equal(ids, labels)


@pytest.mark.parametrize("language_model", ["t5", "llama"])
def test_predicting_without_labels_needs_generating(language_model: str, tmp_path: Path) -> None:
    processor = make_processor(language_model, max_images=3)
    trainer = GeneratorTrainer(
        model=generator_model(processor, language_model),
        args=arguments(tmp_path),
        data_collator=lambda rows: dict(processor.process_generation([row["question"] for row in rows])),
        processing_class=processor,
    )
    with pytest.raises(ValueError, match="no `labels`.*predict_with_generate"):
        trainer.predict([{"question": "Who?"}])  # type: ignore[arg-type]


def test_label_smoothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`label_smoothing_factor` is 0.1.*Leave it at 0"):
        RerankerTrainer(model=make_reranker(), args=arguments(tmp_path, label_smoothing_factor=0.1))
