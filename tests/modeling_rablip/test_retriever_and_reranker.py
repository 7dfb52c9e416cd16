"""The retriever and the re-ranker: embeddings, losses, shapes as documented."""

from __future__ import annotations

import math

import pytest
import torch

from rablip import RablipReranker, RablipRerankerConfig
from rablip.modeling_rablip import contrastive_loss
from tests.tiny import make_reranker, make_retriever, trunk_arguments
from tests.tiny_inputs import join_trunk_rows, trunk_rows


def _knowledge(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"knowledge_{name}": value for name, value in batch.items()}


def test_embeddings_are_unit_vectors_of_the_documented_shape() -> None:
    model = make_retriever()
    embeds = model.encode_questions(**join_trunk_rows(trunk_rows()))
    assert embeds.shape == (4, 16)
    assert embeds.dtype == torch.float32
    torch.testing.assert_close(embeds.norm(dim=-1), torch.ones(4))


def test_a_question_with_a_picture_is_encoded_as_an_item_with_both() -> None:
    model = make_retriever()
    batch = join_trunk_rows(trunk_rows())
    assert torch.equal(model.encode_questions(**batch), model.encode_knowledge(**batch))


def test_forward_scores_with_the_learned_temperature_and_gives_the_contrastive_loss() -> None:
    model = make_retriever()
    questions, items = join_trunk_rows(trunk_rows()), join_trunk_rows(trunk_rows(seed=5))
    output = model(**questions, **_knowledge(items))
    assert output.scores.shape == (4, 4)
    expected = output.question_embeds @ output.knowledge_embeds.T / 0.07
    torch.testing.assert_close(output.scores, expected)
    torch.testing.assert_close(output.loss, contrastive_loss(expected, torch.eye(4)))
    assert model(**questions, **_knowledge(items), return_loss=False).loss is None
    assert model(**questions).knowledge_embeds is None


def test_the_temperature_has_a_floor() -> None:
    model = make_retriever()
    with torch.no_grad():
        model.logit_scale.weight.fill_(100.0)
    assert model.logit_scale(torch.ones(1)).item() == pytest.approx(100.0)
    assert model.logit_scale.initial_value == pytest.approx(math.log(1 / 0.07))


def test_fewer_items_than_questions_need_a_mask() -> None:
    model = make_retriever()
    rows = trunk_rows()
    items = _knowledge(join_trunk_rows(rows[:2]))
    with pytest.raises(ValueError, match="4 questions but 2 knowledge items"):
        model(**join_trunk_rows(rows), **items)
    mask = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    assert model(**join_trunk_rows(rows), **items, positive_mask=mask).loss.isfinite()


def test_relevance_is_the_sigmoid_of_the_calibrated_logit() -> None:
    model = make_reranker()
    model.config.relevance_temperature = 2.5
    batch = join_trunk_rows(trunk_rows())
    output = model(**batch, relevance_labels=torch.tensor([1.0, 0.0, -100.0, 1.0]))
    assert output.relevance_logits.shape == (4,)
    torch.testing.assert_close(model.predict_relevance(**batch), torch.sigmoid(output.relevance_logits / 2.5))
    counted = output.relevance_logits[[0, 1, 3]]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(counted, torch.tensor([1.0, 0.0, 1.0]))
    torch.testing.assert_close(output.loss, expected)


def test_the_comparison_sees_which_words_are_the_questions_and_a_batch_changes_nothing() -> None:
    model = make_reranker()
    rows = trunk_rows()
    batch = join_trunk_rows(rows)
    question_mask = torch.zeros_like(batch["input_ids"])
    question_mask[:, 1:3] = 1
    together = model(**batch, question_mask=question_mask).relevance_logits
    assert not torch.allclose(together, model(**batch).relevance_logits)
    other = question_mask.roll(1, dims=1)
    assert not torch.allclose(together, model(**batch, question_mask=other).relevance_logits)
    for number, row in enumerate(rows):
        mask = question_mask[number : number + 1, : row["input_ids"].shape[1]]
        alone = model(**row, question_mask=mask).relevance_logits
        torch.testing.assert_close(together[number], alone[0], atol=2e-5, rtol=1e-4)


def test_an_untrained_comparison_adds_nothing() -> None:
    torch.manual_seed(0)
    model = RablipReranker(RablipRerankerConfig(matching_dim=16, **trunk_arguments())).eval()
    row = trunk_rows()[0]
    mask = torch.ones_like(row["input_ids"])
    mask[:, -2:] = 0
    assert torch.equal(model(**row, question_mask=mask).relevance_logits, model(**row).relevance_logits)


def test_bf16_stays_close_and_finite() -> None:
    model = make_retriever()
    batch = join_trunk_rows(trunk_rows())
    expected = model.encode_questions(**batch)
    low = model.to(torch.bfloat16)
    batch["pixel_values"] = batch["pixel_values"].bfloat16()
    embeds = low.encode_questions(**batch)
    assert embeds.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(embeds, expected).min() > 0.98
