"""Visual extraction and fusion: batching, masks, modalities that really mix, and clear errors."""

from __future__ import annotations

import pytest
import torch

from rablip import RablipRetriever, RablipRetrieverConfig
from tests.tiny import NUM_QUERY_TOKENS, make_reranker, make_retriever, trunk_arguments
from tests.tiny_inputs import join_trunk_rows, trunk_rows


def _fuse(model, states: torch.Tensor) -> torch.Tensor:
    mask = torch.ones(states.shape[:2], dtype=torch.long)
    return model.fusion(states, mask, num_queries=NUM_QUERY_TOKENS)


def test_fusion_carries_each_modality_into_the_other() -> None:
    model = make_retriever()
    states = torch.randn(1, NUM_QUERY_TOKENS + 4, 32)
    before = _fuse(model, states)
    for replaced, watched in ((0, slice(NUM_QUERY_TOKENS, None)), (NUM_QUERY_TOKENS, slice(0, NUM_QUERY_TOKENS))):
        changed = states.clone()
        changed[0, replaced] = torch.randn(32)
        difference = (_fuse(model, changed) - before)[0, watched].abs().amax(dim=-1)
        assert (difference > 1e-4).all()


def test_an_untrained_fusion_leaves_the_states_alone() -> None:
    torch.manual_seed(0)
    model = RablipRetriever(RablipRetrieverConfig(**trunk_arguments())).eval()
    states = torch.randn(2, NUM_QUERY_TOKENS + 3, 32)
    assert torch.equal(_fuse(model, states), states)


def test_changing_one_word_changes_the_query_outputs_and_one_picture_the_text_states() -> None:
    model = make_retriever()
    row = trunk_rows()[0]
    before = model.extract(**row)
    other_word = row["input_ids"].clone()
    other_word[0, 2] = 6
    after = model.extract(**{**row, "input_ids": other_word})
    assert (after.hidden_states - before.hidden_states)[:, : before.num_queries].abs().max() > 1e-4
    after = model.extract(**{**row, "pixel_values": row["pixel_values"] + 1})
    assert (after.hidden_states - before.hidden_states)[:, before.num_queries :].abs().max() > 1e-4


def test_extraction_is_the_q_former_and_then_fusion() -> None:
    model = make_retriever()
    row = trunk_rows()[0]
    read, fused = model.extract(**row, fuse=False), model.extract(**row)
    again = model.fusion(read.hidden_states, read.attention_mask, num_queries=read.num_queries)
    torch.testing.assert_close(fused.hidden_states, again)
    assert (fused.hidden_states - read.hidden_states).abs().max() > 1e-4
    other = model.extract(**{**row, "pixel_values": row["pixel_values"] + 1}, fuse=False)
    assert (other.hidden_states - read.hidden_states)[:, read.num_queries :].abs().max() > 1e-4


def test_each_slot_counts_and_their_order_too() -> None:
    model = make_retriever()
    row = trunk_rows()[0]
    before = model.encode_questions(**row)
    for slot in range(2):
        changed = row["pixel_values"].clone()
        changed[:, slot] = 0.5
        assert (model.encode_questions(**{**row, "pixel_values": changed}) - before).abs().max() > 1e-4
    swapped = model.encode_questions(**{**row, "pixel_values": row["pixel_values"].flip(1)})
    assert (swapped - before).abs().max() > 1e-4


@pytest.mark.parametrize("make", [make_retriever, make_reranker])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_batch_gives_what_its_rows_give_alone(make, attention: str) -> None:
    model = make()
    model.set_attn_implementation(attention)
    rows = trunk_rows()
    together = model(**join_trunk_rows(rows))
    for number, row in enumerate(rows):
        alone = model(**row)
        name = "question_embeds" if "question_embeds" in alone else "relevance_logits"
        torch.testing.assert_close(together[name][number], alone[name][0], atol=2e-5, rtol=1e-4)


def test_sdpa_equals_eager() -> None:
    model = make_retriever()
    batch = join_trunk_rows(trunk_rows())
    model.set_attn_implementation("sdpa")
    expected = model.encode_questions(**batch)
    model.set_attn_implementation("eager")
    torch.testing.assert_close(model.encode_questions(**batch), expected, atol=2e-5, rtol=1e-4)


def test_features_of_the_frozen_tower_stand_for_pictures() -> None:
    model = make_retriever()
    batch = join_trunk_rows(trunk_rows())
    features = model.encode_images(batch["pixel_values"], batch["image_mask"])
    assert features.shape == (4, 3, 5, 24)
    assert not features[2].any()
    with_pictures = model.encode_questions(**batch)
    pixel_values = batch.pop("pixel_values")
    torch.testing.assert_close(model.encode_questions(**batch, image_embeds=features), with_pictures)
    torch.testing.assert_close(model.encode_images(pixel_values[0, 0][None])[0, 0], features[0, 0])


def test_pictures_without_text_and_text_without_pictures() -> None:
    model = make_retriever()
    row = trunk_rows()[0]
    assert model.encode_knowledge(pixel_values=row["pixel_values"]).shape == (1, 16)
    assert model.encode_knowledge(row["input_ids"]).shape == (1, 16)
    assert model.extract(row["input_ids"]).num_queries == 0


def test_a_row_with_neither_text_nor_picture_stays_finite() -> None:
    model = make_retriever()
    pixel_values = torch.randn(2, 1, 3, 16, 16)
    embedded = model.encode_knowledge(pixel_values=pixel_values, image_mask=torch.tensor([[1], [0]]))
    assert torch.isfinite(embedded).all()
    torch.testing.assert_close(embedded[0], model.encode_knowledge(pixel_values=pixel_values[:1])[0])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "neither `input_ids` nor pictures"),
        ({"pixel_values": torch.zeros(1, 4, 3, 16, 16)}, "max_images=3"),
        ({"pixel_values": torch.zeros(1, 3, 16)}, "num_images, 3, height"),
        ({"image_embeds": torch.zeros(1, 1, 7, 24)}, "7 vision tokens"),
        (
            {"pixel_values": torch.zeros(1, 1, 3, 16, 16), "image_embeds": torch.zeros(1, 1, 5, 24)},
            "both `pixel_values` and `image_embeds`",
        ),
    ],
)
def test_impossible_inputs_are_refused_with_words(inputs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_retriever().extract(**inputs)


def test_one_picture_without_slot_training_equals_a_plain_q_former() -> None:
    torch.manual_seed(0)
    model = RablipRetriever(RablipRetrieverConfig(**trunk_arguments())).eval()
    row = trunk_rows()[1]
    tokens = model.vision_model(pixel_values=row["pixel_values"][:, 0]).last_hidden_state
    queries = model.query_tokens.weight
    mask = torch.cat([torch.ones(1, NUM_QUERY_TOKENS, dtype=torch.long), row["attention_mask"]], dim=1)
    plain = model.qformer(
        input_ids=row["input_ids"], attention_mask=mask, query_embeds=queries, encoder_hidden_states=tokens
    ).last_hidden_state
    torch.testing.assert_close(model.extract(**row).hidden_states, plain)
