"""The stage trainers: raw columns, one loss however a batch is split, resuming, generating, halving, saving."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import Seq2SeqTrainingArguments, TrainingArguments

from rablip.processing import GeneratorCollator, RerankerCollator
from rablip.training import (
    AnswerMetrics,
    GeneratorTrainer,
    QuestionRows,
    RerankerTrainer,
    TrainingPool,
    add_lora,
    load_adapter,
    make_arguments,
    make_search_row,
    measure_relevance,
)
from rablip.training.trainers.generator_trainer import cut_answers
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import make_generator, make_reranker
from tests.training.stage_inputs import (
    NO_DROPOUT,
    arguments,
    collator,
    generator_model,
    generator_rows,
    raw_rows,
    weights_after_a_step,
)
from tests.training.tiny_pool import make_pool

# peft asks for what transformers calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def pool() -> TrainingPool:
    return make_pool()


@pytest.fixture(scope="module")
def processor() -> Any:
    return make_processor("t5", max_images=3)


class Rows(torch.utils.data.Dataset):
    """A plain list of raw rows, as a user's own dataset class would give them."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        return raw_rows()[index]


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("kind", ["torch", "datasets"])
def test_raw_rows_train_with_default_arguments(lora: bool, kind: str, processor: Any, tmp_path: Path) -> None:
    model = generator_model(processor)
    rows: Any = Rows()
    if kind == "datasets":
        plain = [
            {**row, "image": None, "docs": [{**document, "image": None, "title": "mill"} for document in row["docs"]]}
            for row in raw_rows()
        ]
        rows = Dataset.from_list(plain)
    trainer = GeneratorTrainer(
        model=add_lora(model, rank=2) if lora else model,
        args=Seq2SeqTrainingArguments(str(tmp_path), max_steps=2, report_to="none", use_cpu=True),
        train_dataset=rows,
        data_collator=GeneratorCollator(processor, generator=np.random.default_rng(0)),
        processing_class=processor,
    )
    assert np.isfinite(trainer.train().training_loss)


@pytest.mark.parametrize("language_model", ["t5", "llama"])
def test_accumulated_batches_are_one_batch(language_model: str, pool: TrainingPool, tmp_path: Path) -> None:
    processor = make_processor(language_model, max_images=3)
    rows, collate = generator_rows(pool, processor), collator(pool, processor)
    results = []
    for batch_size, accumulate in ((8, 1), (2, 4)):
        args = arguments(tmp_path, per_device_train_batch_size=batch_size, gradient_accumulation_steps=accumulate)
        model = generator_model(processor, language_model)
        results.append(weights_after_a_step(GeneratorTrainer, model, rows, collate, args))
    start = dict(generator_model(processor, language_model).named_parameters())
    assert max((results[0][name] - start[name]).abs().max() for name in results[0]) > 1e-3
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=1e-4, atol=2e-6, msg=name)


def test_accumulated_pairs_are_one_batch(pool: TrainingPool, tmp_path: Path) -> None:
    processor = make_retriever_processor(max_images=3)
    rows = QuestionRows(pool, partial(make_search_row, num_candidates=3, max_positives=1), seed=0)
    lookup = pool.feature_lookup
    collate = RerankerCollator(processor, generator=None, features=lookup, question_features=lookup)
    results = []
    for batch_size, accumulate in ((6, 1), (2, 3)):
        model = make_reranker(**NO_DROPOUT)
        model.freeze_vision_tower()
        args = arguments(tmp_path, per_device_train_batch_size=batch_size, gradient_accumulation_steps=accumulate)
        results.append(weights_after_a_step(RerankerTrainer, model, rows, collate, args))
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=1e-4, atol=2e-6, msg=name)


def test_a_resumed_run_has_the_same_loss_curve(pool: TrainingPool, processor: Any, tmp_path: Path) -> None:
    small = TrainingPool(items=pool.items, examples=pool.examples[:12], features=pool.features)

    def train(folder: Path, steps: int, resume: bool = False) -> list[float]:
        args = arguments(
            folder, max_steps=steps, save_strategy="steps", save_steps=4, optim="adamw_torch", learning_rate=1e-3
        )
        trainer = GeneratorTrainer(
            model=make_generator("t5", image_token_index=processor.image_token_id),
            args=args,
            train_dataset=generator_rows(small, processor),
            data_collator=collator(small, processor),
            processing_class=processor,
        )
        trainer.train(resume_from_checkpoint=resume or None)
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    straight = train(tmp_path / "straight", 8)  # 3 steps an epoch: rows are drawn anew in each
    train(tmp_path / "cut", 4)
    resumed = train(tmp_path / "cut", 8, resume=True)
    assert len(set(straight)) == 8
    assert resumed == pytest.approx(straight, abs=1e-5)


@pytest.mark.parametrize("language_model", ["t5", "llama"])
@pytest.mark.parametrize("lora", [False, True])
def test_predicts_with_generate(language_model: str, lora: bool, pool: TrainingPool, tmp_path: Path) -> None:
    processor = make_processor(language_model, max_images=3)
    model = generator_model(processor, language_model)
    trainer = GeneratorTrainer(
        model=add_lora(model, rank=2) if lora else model,
        args=arguments(tmp_path, predict_with_generate=True, per_device_eval_batch_size=5),
        eval_dataset=generator_rows(pool, processor, shuffle=False),
        data_collator=collator(pool, processor),
        processing_class=processor,
        compute_metrics=AnswerMetrics(processor),
    )
    rows = generator_rows(pool, processor, shuffle=False)
    rows.examples = rows.examples[:12]
    measured = trainer.evaluate(rows, max_new_tokens=4)
    assert {"eval_loss", "eval_exact_match", "eval_relevance_f1"} <= set(measured)
    predicted = trainer.predict(rows, max_new_tokens=4)
    ids, relevance = predicted.predictions
    assert np.issubdtype(ids.dtype, np.integer) and ids.shape[0] == relevance.shape[0] == 12
    assert ids.shape[1] <= 6, "what is kept of a row does not grow with the vocabulary"
    without = trainer.evaluate(rows)
    assert without["eval_loss"] == pytest.approx(measured["eval_loss"])


def test_generating_sees_no_answer(pool: TrainingPool) -> None:
    processor = make_processor("llama", max_images=3)
    batch = collator(pool, processor)([generator_rows(pool, processor, shuffle=False)[n] for n in range(4)])
    cut = cut_answers(
        batch["input_ids"], batch["attention_mask"], batch["labels"], pad_token_id=processor.pad_token_id
    )
    rows = [generator_rows(pool, processor, shuffle=False)[n] for n in range(4)]
    prompts = processor.process_generation(
        [row.question.question for row in rows],
        [row.candidates for row in rows],
        [[pool.show_item(item) for item in row.candidates] for row in rows],
        question_images=[pool.show_question(row.question) for row in rows],
    )
    assert torch.equal(cut["input_ids"], prompts["input_ids"])
    assert torch.equal(cut["attention_mask"], prompts["attention_mask"])


def test_a_batch_that_does_not_fit_is_halved(pool: TrainingPool, processor: Any, tmp_path: Path) -> None:
    model, seen = generator_model(processor), []
    forward = model.forward

    def limited(*args: Any, **inputs: Any) -> Any:
        seen.append(len(inputs["input_ids"]))
        if seen[-1] > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB.")
        return forward(*args, **inputs)

    model.forward = limited
    args = arguments(tmp_path, per_device_train_batch_size=8, auto_find_batch_size=True, max_steps=2)
    trainer = GeneratorTrainer(
        model=model, args=args, train_dataset=generator_rows(pool, processor), data_collator=collator(pool, processor)
    )
    trainer.train()
    assert seen[0] == 8 and set(seen[-2:]) <= {1, 2} and trainer.state.global_step == 2


def test_the_best_checkpoint_is_loaded_and_ends_early(pool: TrainingPool, processor: Any, tmp_path: Path) -> None:
    from transformers import EarlyStoppingCallback

    args = make_arguments(
        "generator",
        tmp_path,
        learning_rate=0.5,
        max_steps=12,
        batch_size=4,
        eval_steps=2,
        optim="sgd",
        lr_scheduler_type="constant",
    )
    small = TrainingPool(items=pool.items, examples=pool.examples[:12], features=pool.features)
    trainer = GeneratorTrainer(
        model=generator_model(processor),
        args=args,
        train_dataset=generator_rows(small, processor),
        eval_dataset=generator_rows(small, processor, shuffle=False),
        data_collator=collator(small, processor),
        processing_class=processor,
        compute_metrics=AnswerMetrics(processor),
        callbacks=[EarlyStoppingCallback(1)],
    )
    trainer.train()
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    worse = next((n for n in range(1, len(losses)) if losses[n] >= min(losses[:n])), None)
    assert trainer.state.global_step == (12 if worse is None else 2 * (worse + 1))
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(losses), abs=1e-4)
    terms = [entry for entry in trainer.state.log_history if "qa_loss" in entry]
    assert terms and all({"askg_loss", "relevance_loss"} <= set(entry) for entry in terms)


@pytest.mark.parametrize("parts", [("language_model",), ("qformer",), ("language_model", "qformer")])
def test_everything_that_is_trained_is_in_the_adapter(parts: Any, processor: Any, tmp_path: Path) -> None:
    model = generator_model(processor)
    model.save_pretrained(tmp_path / "base")
    base = type(model).from_pretrained(tmp_path / "base")
    adapted = add_lora(base, parts=parts, rank=2)
    with torch.no_grad():
        for value in adapted.parameters():
            if value.requires_grad:
                value.add_(torch.randn_like(value) * 0.05)
    adapted.save_pretrained(tmp_path / "adapter")
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    trained = {
        name.replace(".default.", ".").replace(".modules_to_save.", ".").replace(".default", "")
        for name, value in adapted.named_parameters()
        if value.requires_grad
    }
    assert {name.replace(".modules_to_save", "") for name in trained} == set(saved)
    assert not any("vision_model" in name for name in saved)
    again = load_adapter(type(model).from_pretrained(tmp_path / "base"), tmp_path / "adapter")
    expected = dict(adapted.named_parameters())
    for name, value in again.named_parameters():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("kind", ["reranker", "retriever"])
def test_lora_on_the_qformer_of_other_models(kind: str, tmp_path: Path) -> None:
    from tests.tiny import make_retriever

    model: Any = make_reranker() if kind == "reranker" else make_retriever()
    adapted = add_lora(model, parts=("qformer",), rank=2)
    trained = {name for name, value in adapted.named_parameters() if value.requires_grad}
    assert any("qformer" in name and "lora_A" in name for name in trained)
    assert not any("vision_model" in name or ("qformer" in name and "lora" not in name) for name in trained)
    with pytest.raises(ValueError, match=r"name some of \['qformer'\]"):
        add_lora(model, parts=("language_model",))


def test_checkpoints_hold_the_processor(pool: TrainingPool, tmp_path: Path) -> None:
    processor = make_retriever_processor(max_images=3)
    rows = QuestionRows(pool, partial(make_search_row, num_candidates=2, max_positives=1), seed=0)
    lookup = pool.feature_lookup
    trainer = RerankerTrainer(
        model=make_reranker(),
        args=TrainingArguments(
            str(tmp_path), max_steps=1, save_steps=1, report_to="none", per_device_train_batch_size=2
        ),
        train_dataset=rows,
        data_collator=RerankerCollator(processor, generator=None, features=lookup, question_features=lookup),
        processing_class=processor,
    )
    trainer.train()
    again = type(processor).from_pretrained(tmp_path / "checkpoint-1")
    assert again.to_dict() == processor.to_dict()


def test_relevance_metrics_in_closed_form() -> None:
    from transformers import EvalPrediction

    logits = np.array([[3.0, -1.0, 0.5], [0.5, -2.0, 9.0]])
    labels = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, -100.0]])
    measured = measure_relevance(EvalPrediction(predictions=logits, label_ids=labels))
    assert measured["relevance_f1"] == pytest.approx(2 * 1 / (3 + 2))
    # right: 3, -1; wrong: 0.5, 0.5, -2: pairs won 3 + 1 of 6
    assert measured["relevance_auc"] == pytest.approx(4 / 6)
    tied = measure_relevance(EvalPrediction(predictions=np.zeros(4), label_ids=np.array([1.0, 0.0, 1.0, 0.0])))
    assert tied["relevance_auc"] == 0.5
