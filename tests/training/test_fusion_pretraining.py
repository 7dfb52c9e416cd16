"""Fusion pre-training: each loss in closed form, what it teaches and what not, and what is kept of it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from rablip import RablipReranker
from rablip.training.fusion.pair_negatives import draw_negatives, mark_known_pairs
from rablip.training.fusion.pretraining import FusionPretraining
from tests.tiny import (
    IMAGE_SIZE,
    NUM_IMAGE_TOKENS,
    NUM_QUERY_TOKENS,
    QFORMER_VOCAB_SIZE,
    make_generator,
    make_reranker,
    make_retriever,
    stir,
)


def _make_model(**options: object) -> FusionPretraining:
    torch.manual_seed(0)
    return stir(FusionPretraining(make_reranker().config, **options)).eval()


def _make_batch(num_pairs: int = 4, *, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, QFORMER_VOCAB_SIZE, (num_pairs, 6), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    return {
        "caption_input_ids": ids,
        "caption_attention_mask": mask,
        "input_ids": torch.tensor([[2, 3]]).expand(num_pairs, -1),
        "attention_mask": torch.ones(num_pairs, 2, dtype=torch.long),
        "image_embeds": torch.randn(num_pairs, 1, NUM_IMAGE_TOKENS, 24, generator=generator),
        "image_mask": torch.ones(num_pairs, 1, dtype=torch.long),
        "picture_keys": torch.arange(num_pairs) + 100,
        "caption_keys": torch.arange(num_pairs) * 7 - 50,
        "negative_seed": torch.tensor([seed]),
    }


@torch.no_grad()
def _say_the_same_of_all(model: FusionPretraining) -> FusionPretraining:
    for module in (model.retrieval_projection, model.relevance_head):
        nn.init.zeros_(module.weight)
        nn.init.ones_(module.bias)
    if model.captioning:
        for parameter in (*model.caption_transform[-1].parameters(), model.caption_bias):
            nn.init.zeros_(parameter)
    return model


def test_equal_states_give_the_losses_in_closed_form() -> None:
    model, batch = _say_the_same_of_all(_make_model(captioning=True)), _make_batch(4)
    output = model(**batch)
    # One right among four, either way.
    assert output.contrastive_loss.item() == pytest.approx(math.log(4), abs=1e-5)
    # Logit 1 for four right and eight wrong pairs.
    right, wrong = math.log1p(math.exp(-1)), math.log1p(math.exp(1))
    assert output.matching_loss.item() == pytest.approx((4 * right + 8 * wrong) / 12, abs=1e-5)
    assert output.captioning_loss.item() == pytest.approx(math.log(QFORMER_VOCAB_SIZE), abs=1e-5)
    total = output.contrastive_loss + output.matching_loss + output.captioning_loss
    torch.testing.assert_close(output.loss, total)


def test_weights_weigh_and_a_bad_one_is_refused() -> None:
    batch = _make_batch()
    model = _make_model(captioning=True, matching_weight=0.5, captioning_weight=2.0)
    output = model(**batch)
    expected = output.contrastive_loss + 0.5 * output.matching_loss + 2.0 * output.captioning_loss
    torch.testing.assert_close(output.loss, expected)
    for name in ("matching_weight", "captioning_weight"):
        with pytest.raises(ValueError, match=name):
            _make_model(**{name: -1.0})
        with pytest.raises(ValueError, match=name):
            _make_model(**{name: math.nan})


def test_contrast_is_the_retrievers_own_loss_both_ways() -> None:
    model, batch = _make_model(), _make_batch()
    retriever = make_retriever(seed=3)
    retriever.load_trunk(model.to_reranker())
    pictures = retriever.encode_knowledge(
        batch["input_ids"], batch["attention_mask"], image_embeds=batch["image_embeds"]
    )
    captions = retriever.encode_knowledge(batch["caption_input_ids"], batch["caption_attention_mask"])
    scores = retriever.logit_scale(pictures @ captions.T)
    right = torch.arange(4)
    expected = (nn.functional.cross_entropy(scores, right) + nn.functional.cross_entropy(scores.T, right)) / 2
    torch.testing.assert_close(model(**batch).contrastive_loss, expected)


def test_matching_is_the_rerankers_own_judgement_of_right_and_drawn_pairs() -> None:
    model, batch = _make_model(), _make_batch()
    reranker = model.to_reranker()
    places = torch.arange(4)
    scores = model.logit_scale(
        model.embed(batch["input_ids"], batch["attention_mask"], image_embeds=batch["image_embeds"])
        @ model.embed(batch["caption_input_ids"], batch["caption_attention_mask"]).T
    )
    keys = (batch["picture_keys"], batch["caption_keys"])
    known, seed = torch.eye(4).bool(), batch["negative_seed"]
    captions, _ = draw_negatives(scores, known, seed, row_keys=keys[0], column_keys=keys[1])
    pictures, _ = draw_negatives(scores.T, known, ~seed, row_keys=keys[1], column_keys=keys[0])
    pairs = [(i, i) for i in range(4)] + list(zip(places, captions, strict=True)) + list(zip(pictures, places))  # noqa: B905
    losses = []
    for number, (picture, caption) in enumerate(pairs):
        logit = reranker(
            batch["caption_input_ids"][caption][None],
            batch["caption_attention_mask"][caption][None],
            image_embeds=batch["image_embeds"][picture][None],
        ).relevance_logits[0]
        losses.append(nn.functional.softplus(-logit if number < 4 else logit))
    torch.testing.assert_close(model(**batch).matching_loss, torch.stack(losses).mean())


def test_the_order_of_the_batch_changes_nothing() -> None:
    model, batch = _make_model(captioning=True), _make_batch(6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    moved = {name: values if name == "negative_seed" else values[order] for name, values in batch.items()}
    for name, value in model(**batch).items():
        torch.testing.assert_close(model(**moved)[name], value, msg=name)


def test_another_seed_draws_other_wrong_pairs_and_the_same_seed_the_same() -> None:
    model, batch = _make_model(), _make_batch(6)
    losses = [model(**batch | {"negative_seed": torch.tensor([seed])}) for seed in (0, 0, 1, 2, 3)]
    assert losses[0].matching_loss == losses[1].matching_loss
    assert len({round(loss.matching_loss.item(), 6) for loss in losses}) > 1
    assert len({loss.contrastive_loss.item() for loss in losses}) == 1


def test_known_pairs_are_what_pairs_say() -> None:
    # Pictures a, a, b, c with captions x, y, y, z: a has x and y, b has y, c has z; that b has x is not known.
    known = mark_known_pairs(torch.tensor([1, 1, 2, 3]), torch.tensor([1, 2, 2, 3]))
    expected = [[1, 1, 1, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    assert known.int().tolist() == expected


def test_equal_pictures_and_captions_are_no_negatives() -> None:
    keys = torch.tensor([1, 1, 2, 3, 4]), torch.tensor([1, 2, 2, 3, 3])
    known = mark_known_pairs(*keys)
    for seed in range(300):
        drawn, found = draw_negatives(
            torch.zeros(5, 5), known, torch.tensor([seed]), row_keys=keys[0], column_keys=keys[1]
        )
        assert found.all() and not known[torch.arange(5), drawn].any()
    # In the losses: pairs that say the same have nothing to be told from.
    model, batch = _make_model(), _make_batch(3)
    for name in ("picture_keys", "caption_keys"):
        output = model(**batch | {name: torch.full((3,), 9)})
        assert output.contrastive_loss.item() == pytest.approx(0.0, abs=1e-5)
        logits = model.match(
            batch["caption_input_ids"], batch["caption_attention_mask"], image_embeds=batch["image_embeds"]
        )
        torch.testing.assert_close(output.matching_loss, nn.functional.softplus(-logits).mean())


def test_a_batch_of_one_has_its_right_pair_only() -> None:
    model = _say_the_same_of_all(_make_model())
    batch = {name: values[:1] for name, values in _make_batch().items()}
    output = model(**batch)
    assert output.contrastive_loss.item() == pytest.approx(0.0, abs=1e-5)
    assert output.matching_loss.item() == pytest.approx(math.log1p(math.exp(-1)), abs=1e-5)
    output.loss.backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())


def test_wrong_pairs_are_drawn_as_the_softmax_of_their_scores_says() -> None:
    scores, known = torch.tensor([9.0, 0.0, 1.0, 2.0]), torch.tensor([True, False, False, False])
    rows, columns = torch.arange(20_000), torch.arange(4)
    draws = []
    for seed in range(3):
        drawn, found = draw_negatives(
            scores.expand(20_000, 4), known.expand(20_000, 4), torch.tensor([seed]), row_keys=rows, column_keys=columns
        )
        assert found.all()
        shares = drawn.bincount(minlength=4) / 20_000
        assert shares[0] == 0
        torch.testing.assert_close(shares[1:], scores[1:].softmax(0), atol=0.01, rtol=0)
        draws.append(drawn)
    # Neighbouring keys and seeds draw by themselves.
    by_chance = float(scores[1:].softmax(0).square().sum())
    for first, second in ((draws[0][1:], draws[0][:-1]), (draws[0], draws[1]), (draws[1], draws[2])):
        assert (first == second).float().mean().item() == pytest.approx(by_chance, abs=0.015)
    one_by_one = [
        draw_negatives(scores[None], known[None], torch.tensor([7]), row_keys=rows[[place]], column_keys=columns)[0]
        for place in range(50)
    ]
    together, _ = draw_negatives(
        scores.expand(50, 4), known.expand(50, 4), torch.tensor([7]), row_keys=rows[:50], column_keys=columns
    )
    assert torch.equal(torch.cat(one_by_one), together)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_captions_are_told_from_what_stands_before(attention: str) -> None:
    model, batch = _make_model(captioning=True), _make_batch()
    model.set_attn_implementation(attention)
    inputs = {"image_embeds": batch["image_embeds"], "image_mask": batch["image_mask"]}
    ids, mask = batch["caption_input_ids"], torch.ones_like(batch["caption_attention_mask"])
    states = model.predict_captions(ids, mask, **inputs)
    assert states.shape == (4, NUM_QUERY_TOKENS + 6, 32)
    changed = ids.clone()
    changed[:, 3] = (ids[:, 3] + 1 - 5) % (QFORMER_VOCAB_SIZE - 5) + 5
    after = model.predict_captions(changed, mask, **inputs)
    place = NUM_QUERY_TOKENS + 3
    # The queries never see text, a token no later one; a token sees itself and those before.
    assert torch.equal(after[:, :place], states[:, :place])
    for later in range(place, NUM_QUERY_TOKENS + 6):
        assert not torch.isclose(after[:, later], states[:, later]).all()
    # The queries' own states are those of pictures alone.
    alone = model.extract(**inputs, fuse=False).hidden_states
    torch.testing.assert_close(states[:, :NUM_QUERY_TOKENS], alone)
    # Every token sees the picture, through the queries.
    other = model.predict_captions(ids, mask, image_embeds=batch["image_embeds"].flip(0))
    assert not torch.isclose(other, states).all(dim=-1).any()
    # Padding is never seen.
    mask[:, 4:] = 0
    short = model.predict_captions(ids[:, :4], mask[:, :4], **inputs)
    torch.testing.assert_close(model.predict_captions(ids, mask, **inputs)[:, : NUM_QUERY_TOKENS + 4], short)


def test_captioning_loss_is_the_mean_over_following_tokens() -> None:
    model, batch = _make_model(captioning=True), _make_batch()
    ids, mask = batch["caption_input_ids"], batch["caption_attention_mask"]
    states = model.predict_captions(ids, mask, image_embeds=batch["image_embeds"])[:, NUM_QUERY_TOKENS:]
    logits = model.caption_transform(states) @ model.qformer.get_input_embeddings().weight.T + model.caption_bias
    told = [(row, place) for row in range(4) for place in range(3 if row == 1 else 5)]
    expected = [nn.functional.cross_entropy(logits[row, place], ids[row, place + 1]) for row, place in told]
    torch.testing.assert_close(model(**batch).captioning_loss, torch.stack(expected).mean())


def test_captioning_needs_an_attention_that_takes_masks() -> None:
    model, batch = _make_model(captioning=True), _make_batch()
    model.qformer.config._attn_implementation_internal = "flash_attention_2"
    with pytest.raises(ValueError, match="flash_attention_2"):
        model.predict_captions(batch["caption_input_ids"], image_embeds=batch["image_embeds"])


@pytest.mark.parametrize("captioning", [False, True])
@pytest.mark.parametrize("num_pairs", [1, 4])
def test_all_that_requires_gradients_gets_them(captioning: bool, num_pairs: int) -> None:
    model = _make_model(captioning=captioning)
    assert model.freeze_unused() is model
    model(**{name: values[:num_pairs] for name, values in _make_batch().items()}).loss.backward()
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {name for name, value in model.named_parameters() if value.grad is not None} == learning
    frozen = {name.partition(".")[0] for name, value in model.named_parameters() if not value.requires_grad}
    assert frozen == {"vision_model", "matching_head", "similarity_threshold"}
    if num_pairs == 4:
        untouched = {name for name, value in model.named_parameters() if value.requires_grad and not value.grad.any()}
        # A bias of keys adds the same to every logit of a softmax.
        assert all(name.endswith("key.bias") or name == "pooler.token_weight.bias" for name in untouched)


def test_each_loss_teaches_its_own_parts() -> None:
    model, batch = _make_model(captioning=True).freeze_unused(), _make_batch()
    heads = {"relevance_head", "retrieval_projection", "logit_scale", "caption_transform", "caption_bias", "fusion"}
    for loss, own in (
        ("contrastive_loss", {"retrieval_projection", "logit_scale", "fusion"}),
        ("matching_loss", {"relevance_head", "fusion"}),
        ("captioning_loss", {"caption_transform", "caption_bias"}),
    ):
        model.zero_grad()
        model(**batch)[loss].backward()
        touched = {name.partition(".")[0] for name, value in model.named_parameters() if value.grad is not None}
        assert touched & heads == own


def test_what_is_kept_is_a_plain_reranker(tmp_path: Path) -> None:
    model, batch = _make_model(captioning=True).freeze_unused(), _make_batch()
    reranker = model.to_reranker()
    assert type(reranker) is RablipReranker and not reranker.training
    assert all(parameter.requires_grad for parameter in reranker.parameters())
    extra = model.state_dict().keys() - reranker.state_dict().keys()
    assert {name.partition(".")[0] for name in extra} == {"caption_transform", "caption_bias"}
    reranker.save_pretrained(tmp_path)
    loaded = RablipReranker.from_pretrained(tmp_path)
    inputs = {"image_embeds": batch["image_embeds"], "image_mask": batch["image_mask"]}
    ids, mask = batch["caption_input_ids"], batch["caption_attention_mask"]
    logits = loaded(ids, mask, **inputs).relevance_logits
    assert torch.equal(logits, model.match(ids, mask, **inputs))
    with torch.no_grad():
        reranker.relevance_head.bias += 1.0
    assert torch.equal(model.match(ids, mask, **inputs), logits), "the weights are copies"


def test_every_weight_keeps_its_precision() -> None:
    model = _make_model()
    model.qformer.to(torch.bfloat16)
    kept = {name: value.dtype for name, value in model.to_reranker().named_parameters()}
    assert kept == {name: value.dtype for name, value in model.named_parameters()}
    assert set(kept.values()) == {torch.float32, torch.bfloat16}


def test_retriever_and_generator_start_from_it() -> None:
    reranker = _make_model().to_reranker()
    retriever, generator = make_retriever(seed=5), make_generator(seed=5)
    assert retriever.load_trunk(reranker) == []
    for name, value in retriever.state_dict().items():
        assert torch.equal(value, reranker.state_dict()[name]), name
    fresh = {name.partition(".")[0] for name in generator.load_trunk(retriever)}
    assert not fresh & {"qformer", "fusion", "query_tokens", "image_slots", "vision_model"}


def test_a_checkpoint_of_its_own_goes_on(tmp_path: Path) -> None:
    model, batch = _make_model(captioning=True), _make_batch()
    model.save_pretrained(tmp_path / "own")
    again = FusionPretraining.from_pretrained(tmp_path / "own", captioning=True)
    assert torch.equal(again(**batch).loss, model(**batch).loss)
    model.to_reranker().save_pretrained(tmp_path / "reranker")
    plain = FusionPretraining.from_pretrained(tmp_path / "reranker")
    assert torch.equal(plain(**batch).matching_loss, model(**batch).matching_loss)
    with pytest.raises(ValueError, match="caption_bias"):
        FusionPretraining.from_pretrained(tmp_path / "reranker", captioning=True)


def test_pixels_and_features_give_the_same() -> None:
    model, batch = _make_model(captioning=True), _make_batch()
    pixels = torch.rand(4, 1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(1))
    batch["image_embeds"] = model.encode_images(pixels)
    features = model(**batch)
    del batch["image_embeds"]
    torch.testing.assert_close(model(**batch, pixel_values=pixels).loss, features.loss)


def test_bf16_autocast_is_finite() -> None:
    model = _make_model(captioning=True).freeze_unused().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**_make_batch())
    output.loss.backward()
    assert all(value.isfinite() for value in output.values())
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.requires_grad)


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    grads = []
    for checkpointing in (False, True):
        model = _make_model(captioning=True).freeze_unused()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        if checkpointing:
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable()
        for layer in model.qformer.encoder.layer:
            layer.attention.attention.attention_dropout = 0.0
            if layer.has_cross_attention:
                layer.crossattention.attention.attention_dropout = 0.0
        for layer in model.fusion.layers:
            layer.attention.attention_dropout = 0.0
        model.train()(**_make_batch()).loss.backward()
        grads.append({name: value.grad for name, value in model.named_parameters() if value.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, value in grads[0].items():
        torch.testing.assert_close(grads[1][name], value, msg=name)


def test_wrong_batches_are_named() -> None:
    model, batch = _make_model(), _make_batch()
    without = {name: values for name, values in batch.items() if name != "image_embeds"}
    with pytest.raises(ValueError, match="neither of"):
        model(**without)
    with pytest.raises(ValueError, match="both of"):
        model(**batch, pixel_values=torch.zeros(4, 1, 3, IMAGE_SIZE, IMAGE_SIZE))
    with pytest.raises(ValueError, match="4 captions but 3 pictures"):
        model(**batch | {"image_embeds": batch["image_embeds"][:3], "image_mask": batch["image_mask"][:3]})
    with pytest.raises(ValueError, match="2 `caption_keys`"):
        model(**batch | {"caption_keys": torch.arange(2)})
    with pytest.raises(ValueError, match="Pair 2 has no picture"):
        model(**batch | {"image_mask": torch.tensor([[1], [1], [0], [1]])})


def test_blip2s_heads_are_refused() -> None:
    config = make_reranker().config
    retrieval = dataclasses.replace(config.retrieval_config, vectors="per_query")
    with pytest.raises(ValueError, match="per_query"):
        FusionPretraining(type(config)(**{**config.to_dict(), "retrieval_config": retrieval.to_dict()}))
