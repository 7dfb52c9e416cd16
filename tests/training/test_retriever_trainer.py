"""The retriever's trainer: means over questions, cached or not, copies that are no negatives, recall in the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import EvalPrediction

from rablip.modeling_rablip.modeling_rablip_retriever import mark_positives
from rablip.processing.item_keys import make_content_key, make_id_key
from rablip.training.trainers.retrieval_metrics import measure_recall, rank_positives
from rablip.training.trainers.retriever_trainer import RetrieverTrainer
from tests.training.contrastive_rows import (
    assert_same_gradients,
    make_collator,
    make_examples,
    make_items,
    make_model,
    make_trainer,
    read_gradients,
)


def expected_step(sizes: tuple[int, ...]) -> tuple[float, dict[str, torch.Tensor]]:
    """Mean over the questions of batches of these sizes, each with its own negatives, by the model's own loss."""
    model, examples, collator = make_model(), make_examples(), make_collator()
    total, start = 0.0, 0
    for size in sizes:
        loss = model(**collator(examples[start : start + size])).loss * size / sum(sizes)
        loss.backward()
        total, start = total + loss.item(), start + size
    return total, read_gradients(model)


def logged_loss(trainer: RetrieverTrainer) -> float:
    return float(next(line["loss"] for line in trainer.state.log_history if "loss" in line))


@pytest.mark.parametrize("chunk_size", [None, 1, 3, 100])
def test_one_step_is_that_of_the_models_own_loss(tmp_path: Path, chunk_size: int | None) -> None:
    loss, gradients = expected_step((8,))
    trainer = make_trainer(make_model(), tmp_path, chunk_size=chunk_size)
    trainer.train()
    assert logged_loss(trainer) == pytest.approx(loss, abs=1e-4)  # the log is rounded
    assert_same_gradients(trainer.watch.steps[0], gradients)  # type: ignore[attr-defined]


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_accumulated_batches_give_the_mean_over_their_questions(tmp_path: Path, chunk_size: int | None) -> None:
    # The last batch of the epoch has two questions instead of three: it may not count as much as the others.
    loss, gradients = expected_step((3, 3, 2))
    options = {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 3}
    trainer = make_trainer(make_model(), tmp_path, chunk_size=chunk_size, **options)
    trainer.train()
    assert logged_loss(trainer) == pytest.approx(loss, abs=1e-4)
    assert_same_gradients(trainer.watch.steps[0], gradients)  # type: ignore[attr-defined]


@pytest.mark.parametrize("chunk_size", [None, 4])
def test_bf16_training_stays_close_and_learns(tmp_path: Path, chunk_size: int | None) -> None:
    loss, _ = expected_step((8,))
    trainer = make_trainer(
        make_model(), tmp_path, chunk_size=chunk_size, bf16=True, max_steps=5, optim="adamw_torch", learning_rate=5e-3
    )
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert losses[0] == pytest.approx(loss, abs=0.1)
    assert all(np.isfinite(losses)) and losses[-1] < losses[0]


def test_evaluation_gives_loss_and_recall_by_modality_and_keeps_no_embeddings(tmp_path: Path) -> None:
    loss, _ = expected_step((8,))
    for chunk_size in (None, 3):
        trainer = make_trainer(make_model(), tmp_path, chunk_size=chunk_size)
        metrics = trainer.evaluate()
        assert metrics["eval_loss"] == pytest.approx(loss, abs=1e-5)
        prediction = trainer.predict(make_examples())  # type: ignore[arg-type]
        assert prediction.predictions.shape == (8, 4) and prediction.predictions.dtype.kind == "i"
        batch = make_collator()(make_examples())
        scores = make_model().eval()(**batch).scores
        best = scores.argmax(dim=1)
        right = [bool(batch["positive_mask"][row, column]) for row, column in enumerate(best.tolist())]
        assert metrics["eval_recall@1"] == pytest.approx(np.mean(right))
        assert {"eval_recall@5_text", "eval_recall@5_image", "eval_recall@1_image_text"} <= set(metrics)
        assert prediction.label_ids.tolist() == batch["positive_mask"].sum(dim=1).int().tolist()


def test_without_modalities_recall_is_over_all_and_own_metrics_stay(tmp_path: Path) -> None:
    trainer = make_trainer(make_model(), tmp_path)
    trainer.data_collator = make_collator()
    assert {name for name in trainer.evaluate() if "recall" in name} == {"eval_recall@1", "eval_recall@5"}
    own = RetrieverTrainer(model=make_model(), args=trainer.args, compute_metrics=lambda _: {"mine": 1.0})
    own.data_collator = make_collator()
    assert own.evaluate(make_examples())["eval_mine"] == 1.0  # type: ignore[arg-type]


def test_a_copy_under_another_id_is_never_a_negative() -> None:
    batch = make_collator()(make_examples())
    ids = {make_id_key(item.id): item for item in make_items()}
    items = [ids[int(key)] for key in batch["knowledge_keys"][:, 0]]
    right = [{item.id for item, value in zip(items, row, strict=True) if value} for row in batch["positive_mask"]]
    # Item 11 says what item 0 says, for the questions of either; positives that another row brought count too.
    assert right[0] == {"i0", "i11"} and right[6] == {"i0", "i11", "i6"}
    assert right[2] == {"i2", "i7"} and right[5] == {"i5", "i2"}
    assert torch.equal(mark_positives(batch["positive_keys"], batch["knowledge_keys"]), batch["positive_mask"].bool())
    model = make_model()
    by_mask = model(**{name: value for name, value in batch.items() if "keys" not in name}).loss
    by_keys = model(**{name: value for name, value in batch.items() if name != "positive_mask"}).loss
    assert torch.equal(by_mask, by_keys)


def test_keys_tell_texts_and_pictures_apart() -> None:
    from rablip.processing import ImageRef, KnowledgeItem

    shown = [
        {"text": "a tower"},
        {"text": "a mill"},
        {"text": "a tower", "image": ImageRef(path="a.png")},
        {"text": "a tower", "image": ImageRef(path="b.png")},
        {"text": "a tower", "image": ImageRef(data=b"a.png")},
        {"image": ImageRef(path="a.png")},
    ]
    keys = [make_content_key(KnowledgeItem(id=str(n), **fields)) for n, fields in enumerate(shown)]  # type: ignore[arg-type]
    assert len(set(keys)) == len(keys) and all(0 <= key < 2**63 for key in keys)
    twin = KnowledgeItem(id="x", caption="a tower", source="elsewhere", metadata={"a": 1})
    assert make_content_key(twin) == keys[0], "what no model sees makes no difference"


@settings(max_examples=50, deadline=None)
@given(data=st.data(), num_questions=st.integers(1, 4), num_items=st.integers(1, 6))
def test_positives_by_keys_are_those_by_sets(data: Any, num_questions: int, num_items: int) -> None:
    items = data.draw(
        st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=num_items, max_size=num_items)
    )
    rows = [data.draw(st.lists(st.integers(-1, 5), min_size=2, max_size=2)) for _ in range(num_questions)]
    found = mark_positives(torch.tensor(rows), torch.tensor(items))
    for number, row in enumerate(rows):
        contents = {content for key, content in items if key in row and key >= 0}
        assert found[number].tolist() == [content in contents for _, content in items]


def test_ranks_count_wrong_items_that_are_not_below() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6], [0.5, 0.5, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4]])
    right = torch.tensor([[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]])
    ranks = rank_positives(scores, right, torch.tensor([0, 1, 2, 2]))
    assert ranks.tolist() == [[1, -1, 1, 2], [3, 3, -1, -1], [-1, -1, -1, -1]]
    recall = measure_recall(EvalPrediction(predictions=ranks.numpy(), label_ids=None))  # type: ignore[arg-type]
    assert recall == {
        "recall@1": 0.0,
        "recall@5": 1.0,
        "recall@1_text": 0.0,
        "recall@5_text": 1.0,
        "recall@1_image": 0.0,
        "recall@5_image": 1.0,
        "recall@1_image_text": 0.0,
        "recall@5_image_text": 1.0,
    }
    with pytest.raises(ValueError, match="one modality per item"):
        rank_positives(scores, right, torch.tensor([0]))


def test_what_it_cannot_train_with_is_named(tmp_path: Path) -> None:
    trainer = make_trainer(make_model(), tmp_path)
    with pytest.raises(ValueError, match="`chunk_size` is 0"):
        RetrieverTrainer(model=make_model(), args=trainer.args, chunk_size=0)
    batch = make_collator()(make_examples())
    bare = {name: value for name, value in batch.items() if name not in ("positive_mask", "positive_keys")}
    with pytest.raises(ValueError, match="not `knowledge_keys` and `positive_keys`.*RetrieverCollator"):
        trainer.compute_loss(trainer.model, bare)
    # A batch with the mask alone is enough for one process.
    masked = {name: value for name, value in batch.items() if "keys" not in name}
    torch.testing.assert_close(trainer.compute_loss(trainer.model, masked), trainer.compute_loss(trainer.model, batch))
    trainer.is_fsdp_enabled = True
    with pytest.raises(ValueError, match="cannot train with FSDP"):
        trainer._check_setting()
