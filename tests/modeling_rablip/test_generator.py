"""The generator: both kinds of language model, both padding sides, loss terms, relevance, generation."""

from __future__ import annotations

import pytest
import torch

from rablip import RablipForConditionalGeneration
from tests.tiny import IMAGE_TOKEN_ID, NUM_QUERY_TOKENS, make_generator
from tests.tiny_inputs import generator_rows, join_generator_rows

LANGUAGE_MODELS = ["t5", "llama"]
PADDING = [("t5", False), ("t5", True), ("llama", False), ("llama", True)]


def _labels(language_model: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    if language_model == "t5":
        return torch.tensor([[7, 8, 1]] * len(batch["input_ids"]))
    return torch.where(batch["attention_mask"] == 1, batch["input_ids"], torch.full_like(batch["input_ids"], -100))


@pytest.mark.parametrize(("language_model", "left"), PADDING)
def test_a_batch_gives_what_its_rows_give_alone(language_model: str, left: bool) -> None:
    model = make_generator(language_model)
    rows = generator_rows()
    batch = join_generator_rows(rows, left=left)
    together = model(**batch, labels=_labels(language_model, batch))
    for number, row in enumerate(rows):
        alone = model(**row, labels=_labels(language_model, row))
        num_candidates = row["candidate_mask"].shape[1]
        torch.testing.assert_close(
            together.relevance_logits[number, :num_candidates], alone.relevance_logits[0], atol=5e-5, rtol=1e-4
        )
        logits = together.logits[number]
        if language_model == "llama":
            logits = logits[batch["attention_mask"][number].bool()]
        torch.testing.assert_close(logits, alone.logits[0], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("language_model", "left"), [("t5", False), ("t5", True), ("llama", True)])
def test_greedy_answers_are_the_same_in_a_batch_and_alone(language_model: str, left: bool) -> None:
    model = make_generator(language_model)
    rows = generator_rows()
    together = model.generate(**join_generator_rows(rows, left=left), max_new_tokens=6, do_sample=False)
    for number, row in enumerate(rows):
        alone = model.generate(**row, max_new_tokens=6, do_sample=False)[0]
        end = len(alone)
        assert together[number, :end].tolist() == alone.tolist()
        assert not (together[number, end:] > 1).any()


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_the_loss_is_the_weighted_sum_of_its_reported_terms(language_model: str) -> None:
    model = make_generator(language_model, askg_loss_weight=0.1)
    batch = join_generator_rows(generator_rows())
    labels = _labels(language_model, batch)
    relevance_labels = torch.where(batch["candidate_mask"] == 1, 1.0, -100.0)
    askg = {
        "askg_input_ids": batch["input_ids"],
        "askg_attention_mask": batch["attention_mask"],
        "askg_reference_positions": batch["reference_positions"],
        "askg_segment_ids": batch["segment_ids"],
        "askg_labels": labels,
    }
    output = model(**batch, labels=labels, relevance_labels=relevance_labels, **askg)
    torch.testing.assert_close(output.loss, output.qa_loss + 0.1 * output.askg_loss)
    # Here both passes see the same prompt, so the list's loss is the answer's and the relevance losses agree.
    torch.testing.assert_close(output.askg_loss, output.qa_loss + output.relevance_loss)
    only_answers = model(**batch, labels=labels)
    torch.testing.assert_close(only_answers.loss, output.qa_loss)
    assert only_answers.askg_loss is None
    only_relevance = model(**batch, relevance_labels=relevance_labels)
    torch.testing.assert_close(only_relevance.loss, 0.1 * output.relevance_loss)
    assert only_relevance.qa_loss is None


def test_relevance_is_read_at_the_marker_and_hidden_where_there_is_no_candidate() -> None:
    model = make_generator("t5")
    batch = join_generator_rows(generator_rows())
    probabilities = model.predict_relevance(**batch)
    assert probabilities.shape == batch["candidate_mask"].shape
    assert not probabilities[batch["candidate_mask"] == 0].any()
    assert (probabilities[batch["candidate_mask"] == 1] > 0).all()
    moved = batch["reference_positions"].clone()
    moved[0, 0] -= 1
    assert not torch.equal(model.predict_relevance(**{**batch, "reference_positions": moved}), probabilities)
    with pytest.raises(ValueError, match="reference_positions"):
        model.predict_relevance(**{**batch, "reference_positions": None})


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_relevance_compares_each_candidate_with_the_question(language_model: str) -> None:
    model = make_generator(language_model)
    batch = join_generator_rows(generator_rows())
    logits = model(**batch).relevance_logits
    states = model.get_decoder().norm if language_model == "llama" else model.get_encoder().final_layer_norm
    seen = []
    handle = states.register_forward_hook(lambda module, args, output: seen.append(output))
    markers = model(**{**batch, "segment_ids": None}).relevance_logits
    handle.remove()
    for row, candidate in batch["candidate_mask"].nonzero().tolist():
        parts = [
            model.segment_pooler(seen[0][row : row + 1], (batch["segment_ids"][row] == number)[None])
            for number in (1, 2 + candidate)
        ]
        match = model.matching_head(*(model.matching_projection(part) for part in parts))
        torch.testing.assert_close(logits[row, candidate], markers[row, candidate] + match[0], atol=5e-5, rtol=1e-4)
    torch.manual_seed(0)
    untrained = RablipForConditionalGeneration(model.config).eval()
    given, left_out = untrained(**batch), untrained(**{**batch, "segment_ids": None})
    assert torch.equal(given.relevance_logits, left_out.relevance_logits)


def test_text_alone_and_pictures_change_the_answer() -> None:
    model = make_generator("t5")
    rows = generator_rows()
    assert model(**rows[2]).query_states is None
    labels = torch.tensor([[7, 1]])
    before = model(**rows[0], labels=labels).logits
    after = model(**{**rows[0], "pixel_values": rows[0]["pixel_values"].flip(1)}, labels=labels).logits
    assert (after - before).abs().max() > 1e-4


@pytest.mark.parametrize("found", [NUM_QUERY_TOKENS - 1, NUM_QUERY_TOKENS + 1, 0])
def test_a_wrong_number_of_image_tokens_names_both_numbers(found: int) -> None:
    row = generator_rows()[0]
    row["input_ids"] = torch.cat([torch.full((1, found), IMAGE_TOKEN_ID), torch.full((1, 9), 7)], dim=1)
    row["attention_mask"] = torch.ones_like(row["input_ids"])
    with pytest.raises(ValueError, match=rf"{found} image tokens .* give {NUM_QUERY_TOKENS} query outputs"):
        make_generator("t5")(**row)


def test_image_tokens_without_a_picture_are_refused() -> None:
    ids = torch.full((1, NUM_QUERY_TOKENS), IMAGE_TOKEN_ID)
    with pytest.raises(ValueError, match="give 0 query outputs"):
        make_generator("t5")(input_ids=ids)


def test_generate_leaves_training_inputs_aside_and_keeps_the_callers_configuration() -> None:
    model = make_generator("t5")
    batch = join_generator_rows(generator_rows())
    labels = _labels("t5", batch)
    before = model.generation_config.to_dict()
    plain = model.generate(**batch, max_new_tokens=4)
    assert torch.equal(model.generate(**batch, labels=labels, askg_labels=labels, max_new_tokens=4), plain)
    assert model.generation_config.to_dict() == before
    beams = model.generate(**batch, max_new_tokens=4, num_beams=3, num_return_sequences=2)
    assert beams.shape[0] == 8


def test_fp16_keeps_the_layers_that_overflow_in_fp32() -> None:
    model = make_generator("t5").half()
    kept = {name for name, parameter in model.named_parameters() if parameter.dtype == torch.float32}
    assert kept and all(name.endswith(".wo.weight") for name in kept)
    assert model.language_projection.weight.dtype == torch.float16


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_checkpointed_gradients_are_the_plain_ones(language_model: str) -> None:
    gradients = []
    for checkpointed in (False, True):
        model = make_generator(
            language_model,
            qformer_config={
                "vocab_size": 120,
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 48,
                "max_position_embeddings": 96,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
                "initializer_range": 0.2,
            },
            adaptive_fusion_config={
                "num_hidden_layers": 1,
                "num_attention_heads": 4,
                "intermediate_size": 48,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
            },
        ).train()
        if checkpointed:
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable()
        batch = join_generator_rows(generator_rows())
        relevance_labels = torch.where(batch["candidate_mask"] == 1, 1.0, -100.0)
        model(**batch, labels=_labels(language_model, batch), relevance_labels=relevance_labels).loss.backward()
        without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        assert not without
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-3, msg=name)
