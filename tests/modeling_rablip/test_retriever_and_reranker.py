"""The retriever and the re-ranker: embeddings, losses, shapes as documented."""

from __future__ import annotations

import math

import pytest
import torch

from rablip import RablipReranker, RablipRerankerConfig
from rablip.modeling_rablip import contrastive_loss
from rablip.modeling_rablip.modeling_rablip_retriever import mark_positives
from tests.tiny import make_reranker, make_retriever, trunk_arguments
from tests.tiny_inputs import join_trunk_rows, pad, trunk_rows


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


def test_one_side_alone_gives_its_embeddings_and_none_is_an_error() -> None:
    model = make_retriever()
    questions, items = join_trunk_rows(trunk_rows()), _knowledge(join_trunk_rows(trunk_rows(seed=5)))
    both = model(**questions, **items)
    alone = model(**items)
    assert torch.equal(alone.knowledge_embeds, both.knowledge_embeds)
    assert list(alone) == ["knowledge_embeds"] and list(model(**questions)) == ["question_embeds"]
    pictures = {
        name: value for name, value in items.items() if name.startswith(("knowledge_pixel", "knowledge_image"))
    }
    assert model(**pictures).knowledge_embeds.shape == (4, 16)
    with pytest.raises(ValueError, match="Got no `input_ids`"):
        model()
    with pytest.raises(ValueError, match="needs its words beside its pictures"):
        model(pixel_values=questions["pixel_values"], **items)


def test_keys_say_what_is_right_where_no_mask_does() -> None:
    model = make_retriever()
    questions, items = join_trunk_rows(trunk_rows()), _knowledge(join_trunk_rows(trunk_rows(seed=5)))
    keys = torch.tensor([[1, 10], [2, 20], [3, 10], [4, 40]])  # the third item holds what the first holds
    positives = torch.tensor([[1, -1], [2, 4], [3, -1], [9, -1]])
    mask = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]])
    output = model(**questions, **items, knowledge_keys=keys, positive_keys=positives)
    torch.testing.assert_close(output.loss, contrastive_loss(output.scores, mask))
    given = model(**questions, **items, knowledge_keys=keys, positive_keys=positives, positive_mask=torch.eye(4))
    torch.testing.assert_close(given.loss, contrastive_loss(output.scores, torch.eye(4)))
    with pytest.raises(ValueError, match=r"expected \(num_questions, max_positives\) and \(num_items, 2\)"):
        mark_positives(positives, keys[:, 0])


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


def _pair_rows() -> list[dict[str, torch.Tensor]]:
    """Pairs as the re-ranker gets them: joint texts with all pictures, and each side's words alone."""
    rows = trunk_rows()
    for number, row in enumerate(rows):
        ids = row["input_ids"]
        row["question_input_ids"], row["knowledge_input_ids"] = ids[:, :2], ids[:, 1:]
        if "image_mask" in row:
            # The last picture is the candidate's, except in the second row, where the only one is the question's.
            row["question_image_mask"] = row["image_mask"].clone()
            row["question_image_mask"][:, -1] = int(number == 1)
    return rows


def _join_pair_rows(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    batch = join_trunk_rows(rows)
    for side in ("question", "knowledge"):
        ids = [row[f"{side}_input_ids"] for row in rows]
        batch[f"{side}_input_ids"] = pad(ids, 77)
        batch[f"{side}_attention_mask"] = pad([torch.ones_like(row) for row in ids], 0)
    empty = torch.zeros((1, 0), dtype=torch.long)
    batch["question_image_mask"] = pad([row.get("question_image_mask", empty) for row in rows], 0)
    return batch


def test_a_batch_of_pairs_gives_what_its_rows_give_alone() -> None:
    model = make_reranker()
    rows = _pair_rows()
    together = model(**_join_pair_rows(rows)).relevance_logits
    for number, row in enumerate(rows):
        torch.testing.assert_close(together[number], model(**row).relevance_logits[0], atol=2e-5, rtol=1e-4)


def test_question_and_candidate_are_compared_as_the_retriever_embeds_them() -> None:
    model, retriever = make_reranker(), make_retriever(seed=3)
    new = model.load_trunk(retriever)
    assert not any(name.startswith(("pooler", "retrieval_projection", "logit_scale")) for name in new)
    row = _pair_rows()[3]
    joint = model(row["input_ids"], pixel_values=row["pixel_values"]).relevance_logits
    question = retriever.encode_questions(row["question_input_ids"], pixel_values=row["pixel_values"][:, :2])
    item = retriever.encode_knowledge(row["knowledge_input_ids"], pixel_values=row["pixel_values"][:, 2:])
    above = (question @ item.T).diagonal() - model.similarity_threshold.weight
    expected = joint + above / 0.07 + model.matching_head(question, item)
    torch.testing.assert_close(model(**row).relevance_logits, expected, atol=2e-5, rtol=1e-4)


def test_whose_picture_it_is_matters() -> None:
    model = make_reranker()
    row = _pair_rows()[0]
    before = model(**row).relevance_logits
    swapped = {**row, "question_image_mask": 1 - row["question_image_mask"]}
    assert not torch.allclose(model(**swapped).relevance_logits, before)
    # Without the mask every picture is the candidate's.
    none = {**row, "question_image_mask": torch.zeros_like(row["question_image_mask"])}
    del row["question_image_mask"]
    assert torch.equal(model(**none).relevance_logits, model(**row).relevance_logits)


def test_features_of_the_tower_give_what_pictures_give() -> None:
    model = make_reranker()
    batch = _join_pair_rows(_pair_rows())
    expected = model(**batch).relevance_logits
    features = model.encode_images(batch.pop("pixel_values"), batch["image_mask"])
    torch.testing.assert_close(model(**batch, image_embeds=features).relevance_logits, expected)


def test_one_side_alone_cannot_be_compared() -> None:
    row = _pair_rows()[2]
    del row["question_input_ids"]
    with pytest.raises(ValueError, match="only one of `question_input_ids`"):
        make_reranker()(**row)


def test_after_a_warm_start_the_comparison_is_the_retrievers() -> None:
    torch.manual_seed(0)
    config = RablipRerankerConfig(retrieval_config={"embedding_dim": 16}, **trunk_arguments())
    model, retriever = RablipReranker(config).eval(), make_retriever(seed=3)
    model.load_trunk(retriever)
    row = _pair_rows()[0]
    joint = model(row["input_ids"], pixel_values=row["pixel_values"]).relevance_logits
    scored = retriever(
        row["question_input_ids"],
        pixel_values=row["pixel_values"][:, :1],
        knowledge_input_ids=row["knowledge_input_ids"],
        knowledge_pixel_values=row["pixel_values"][:, 1:],
    )
    # Half of the highest score is the middle: that is where "relevant" starts before anything is learned.
    expected = joint + scored.scores[:, 0] - 0.5 / 0.07
    torch.testing.assert_close(model(**row).relevance_logits, expected, atol=2e-5, rtol=1e-4)


def test_bf16_stays_close_and_finite() -> None:
    model = make_retriever()
    batch = join_trunk_rows(trunk_rows())
    expected = model.encode_questions(**batch)
    low = model.to(torch.bfloat16)
    batch["pixel_values"] = batch["pixel_values"].bfloat16()
    embeds = low.encode_questions(**batch)
    assert embeds.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(embeds, expected).min() > 0.98
