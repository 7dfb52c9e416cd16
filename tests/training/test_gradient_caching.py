"""Gradient caching: the gradients of the whole batch, chunk by chunk, in every setting that people train in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.modeling_rablip import contrastive_loss
from rablip.modeling_rablip.modeling_rablip_retriever import score_largest
from rablip.training.trainers.gradient_caching import contrastive_step, embed_in_chunks, select_inputs
from tests.tiny import IMAGE_SIZE
from tests.training.contrastive_rows import (
    assert_same_gradients,
    make_collator,
    make_examples,
    make_items,
    make_model,
    read_gradients,
)


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    return make_collator()(make_examples())


def loss_of(model: Any, batch: dict[str, torch.Tensor]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The model's own loss as a function of the embeddings."""
    return lambda questions, items: contrastive_loss(
        model.logit_scale(score_largest(questions, items)), batch["positive_mask"]
    )


def plain(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and gradients of the model's own forward and backward."""
    model.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    return loss.detach(), read_gradients(model)


def cached(
    model: Any, batch: dict[str, torch.Tensor], chunk_size: int, **options: Any
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and gradients in chunks."""
    model.zero_grad()
    loss = contrastive_step(model, batch, chunk_size=chunk_size, loss_function=loss_of(model, batch), **options)
    return loss, read_gradients(model)


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
@pytest.mark.parametrize("vectors", ["one", "per_query"])
def test_chunks_give_the_loss_and_gradients_of_the_whole_batch(
    batch: dict[str, torch.Tensor], chunk_size: int, vectors: str
) -> None:
    model = make_model(retrieval_config={"embedding_dim": 16, "vectors": vectors})
    loss, expected = plain(model, batch)
    assert "logit_scale.weight" in expected and "image_slots.slot_embeddings.weight" in expected
    found_loss, found = cached(model, batch, chunk_size)
    torch.testing.assert_close(found_loss, loss, atol=1e-6, rtol=0)
    assert not found_loss.requires_grad
    assert_same_gradients(found, expected)


def test_gradients_add_to_those_that_are_there(batch: dict[str, torch.Tensor]) -> None:
    model = make_model()
    _, once = plain(model, batch)
    contrastive_step(model, batch, chunk_size=3, loss_function=loss_of(model, batch))
    assert_same_gradients(read_gradients(model), {name: 2 * gradient for name, gradient in once.items()})


def test_pictures_and_a_trained_vision_tower_go_through_chunks(batch: dict[str, torch.Tensor]) -> None:
    model = make_model()
    model.vision_model.requires_grad_(True)
    pictured = {name: value for name, value in batch.items() if "image_embeds" not in name}
    for prefix in ("", "knowledge_"):
        shape = batch[f"{prefix}image_mask"].shape
        generator = torch.Generator().manual_seed(len(prefix))
        pictured[f"{prefix}pixel_values"] = torch.randn(*shape, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
    _, expected = plain(model, pictured)
    assert any(name.startswith("vision_model") for name in expected)
    assert_same_gradients(cached(model, pictured, 3)[1], expected)


def test_dropout_is_that_of_the_first_pass(batch: dict[str, torch.Tensor]) -> None:
    model = make_model(dropout=0.3)

    def chunk_by_chunk(seed: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The same chunks in the same order, kept in one graph."""
        torch.manual_seed(seed)
        model.zero_grad()
        sides = []
        for prefix, output in (("", "question_embeds"), ("knowledge_", "knowledge_embeds")):
            side = {k: v for k, v in select_inputs(batch).items() if k.startswith("knowledge_") == bool(prefix)}
            starts = range(0, len(batch[f"{prefix}input_ids"]), 3)
            chunks = [{name: value[i : i + 3] for name, value in side.items()} for i in starts]
            sides.append(torch.cat([model(**chunk, return_loss=False)[output] for chunk in chunks]))
        state = torch.get_rng_state()
        loss_of(model, batch)(*sides).backward()
        return read_gradients(model), state

    expected, state = chunk_by_chunk(5)
    torch.manual_seed(5)
    _, found = cached(model, batch, 3)
    assert torch.equal(torch.get_rng_state(), state), "a step takes as many random numbers as one forward pass"
    assert_same_gradients(found, expected)
    others, _ = chunk_by_chunk(6)
    assert any(not torch.allclose(others[name], gradient, atol=1e-3) for name, gradient in expected.items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_around_the_whole_step_reaches_every_weight(
    batch: dict[str, torch.Tensor], dtype: torch.dtype
) -> None:
    model = make_model()
    full_loss, _ = plain(model, batch)
    with torch.autocast("cpu", dtype=dtype):
        loss, expected = plain(model, batch)
        found_loss, found = cached(model, batch, 3)
    assert found_loss.isfinite() and abs(found_loss - full_loss) < 0.2
    torch.testing.assert_close(found_loss, loss, atol=0.1, rtol=0)
    # Weights that autocast casts are the ones that a copy cast without a graph would cut off.
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        assert found[name].isfinite().all()
        assert (found[name] - gradient).norm() <= 0.1 * gradient.norm() + 1e-3, name


def test_a_scaled_loss_scales_every_gradient(batch: dict[str, torch.Tensor]) -> None:
    model = make_model()
    _, expected = plain(model, batch)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.1)
    loss, found = cached(model, batch, 3, backward=lambda loss: scaler.scale(loss).backward())
    torch.testing.assert_close(loss, plain_loss(model, batch))
    # atol scales too: 1024 times the gradient, to 1024 times the precision.
    assert_same_gradients({name: gradient / 1024 for name, gradient in found.items()}, expected)
    scaler.unscale_(optimizer)
    assert_same_gradients(read_gradients(model), expected)
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 1024.0


def plain_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        loss: torch.Tensor = model(**batch).loss
    return loss


def test_fp16_overflow_reaches_the_scaler(batch: dict[str, torch.Tensor]) -> None:
    model = make_model()
    weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60)
    optimizer = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.1)
    with torch.autocast("cpu", dtype=torch.float16):
        cached(model, batch, 3, backward=lambda loss: scaler.scale(loss).backward())
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() < 2.0**60
    assert all(torch.equal(parameter, weights[name]) for name, parameter in model.named_parameters())


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks for it
def test_adapters_of_peft_and_modules_to_save_learn_alike(batch: dict[str, torch.Tensor]) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=2,
        target_modules=r"qformer\..*\.(query|value)",
        modules_to_save=["logit_scale", "query_tokens", "retrieval_projection", "fusion"],
        init_lora_weights=False,
    )
    model = get_peft_model(make_model(), config)
    _, expected = plain(model, batch)
    assert any("lora_A" in name for name in expected)
    assert any("logit_scale.modules_to_save" in name for name in expected)
    assert_same_gradients(cached(model, batch, 3)[1], expected)


def test_activation_checkpoints_inside_chunks(batch: dict[str, torch.Tensor]) -> None:
    model = make_model(dropout=0.2)
    torch.manual_seed(1)
    _, expected = cached(model, batch, 3)
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable()
    torch.manual_seed(1)
    assert_same_gradients(cached(model, batch, 3)[1], expected)


def test_chunks_of_frozen_weights_are_passed_over() -> None:
    pictured = dataclasses.replace(make_examples()[6], candidates=(make_items()[0], make_items()[8]))
    batch = make_collator()([make_examples()[3], pictured])
    assert "image_embeds" in batch and "knowledge_image_embeds" not in batch
    model = make_model()
    model.requires_grad_(False)
    model.image_slots.requires_grad_(True)
    _, expected = plain(model, batch)
    _, found = cached(model, batch, 1)
    assert (
        set(found) == set(expected) == {"image_slots.slot_embeddings.weight", "image_slots.position_embeddings.weight"}
    )
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4)


def test_embeddings_without_gradient_are_the_models_own(batch: dict[str, torch.Tensor]) -> None:
    model = make_model()
    output = model(**batch)
    questions, items = embed_in_chunks(model, batch, chunk_size=5)
    assert not questions.requires_grad and not items.requires_grad
    torch.testing.assert_close(questions, output.question_embeds)
    torch.testing.assert_close(items, output.knowledge_embeds)


class Toy(torch.nn.Module):
    """A retriever of one matrix that counts its calls and the most rows it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(50, 4)
        torch.nn.init.normal_(self.embedding.weight, generator=torch.Generator().manual_seed(0))
        self.rows: list[int] = []

    def forward(self, return_loss: bool = True, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Sums of word vectors."""
        assert not return_loss and len(inputs) == 1
        (name, ids), *_ = inputs.items()
        self.rows.append(len(ids))
        return {"knowledge_embeds" if name.startswith("k") else "question_embeds": self.embedding(ids).sum(dim=1)}


@settings(max_examples=30, deadline=None)
@given(
    num_questions=st.integers(1, 9),
    num_items=st.integers(1, 9),
    chunk_size=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_any_cut_into_chunks_is_exact(num_questions: int, num_items: int, chunk_size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch = {
        "input_ids": torch.randint(50, (num_questions, 3), generator=generator),
        "knowledge_input_ids": torch.randint(50, (num_items, 2), generator=generator),
    }
    mask = torch.rand(num_questions, num_items, generator=generator) < 0.4
    model = Toy()
    embeds = [model.embedding(ids).sum(dim=1) for ids in batch.values()]
    loss = contrastive_loss(embeds[0] @ embeds[1].T, mask)
    loss.backward()
    expected, model.embedding.weight.grad = model.embedding.weight.grad, None
    found = contrastive_step(
        model, batch, chunk_size=chunk_size, loss_function=lambda q, k: contrastive_loss(q @ k.T, mask)
    )
    torch.testing.assert_close(found, loss.detach())
    torch.testing.assert_close(model.embedding.weight.grad, expected, atol=1e-5, rtol=1e-4)
    assert max(model.rows) <= chunk_size and sum(model.rows) == 2 * (num_questions + num_items)


def test_running_out_of_memory_is_told() -> None:
    class Full(Toy):
        def forward(self, return_loss: bool = True, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
            if torch.is_grad_enabled():
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(return_loss, **inputs)

    toy_batch = {"input_ids": torch.zeros(4, 2).long(), "knowledge_input_ids": torch.zeros(4, 2).long()}
    with pytest.raises(torch.OutOfMemoryError):
        contrastive_step(Full(), toy_batch, chunk_size=2, loss_function=lambda q, k: (q @ k.T).sum())


def test_wrong_inputs_are_named(batch: dict[str, torch.Tensor]) -> None:
    model = make_model()
    with pytest.raises(ValueError, match="`chunk_size` is 0"):
        cached(model, batch, 0)
    with pytest.raises(ValueError, match="no knowledge items in the batch.*knowledge_input_ids"):
        cached(model, {name: value for name, value in batch.items() if not name.startswith("knowledge_")}, 2)
    with pytest.raises(ValueError, match="'input_ids': 7, 'attention_mask': 8"):
        cached(model, {**batch, "input_ids": batch["input_ids"][1:]}, 2)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="No weight of the retriever is trained"):
        cached(model, batch, 2)
