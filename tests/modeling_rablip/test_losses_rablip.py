"""Losses by closed forms and invariances."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.modeling_rablip import contrastive_loss, language_modeling_loss, relevance_loss


def test_equal_scores_give_the_log_of_the_number_of_choices() -> None:
    mask = torch.eye(3, 7)
    assert contrastive_loss(torch.zeros(3, 7), mask).item() == pytest.approx(math.log(7))


def test_a_second_positive_is_no_negative() -> None:
    mask = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    # Each positive stands against the two negatives only.
    assert contrastive_loss(torch.zeros(1, 4), mask).item() == pytest.approx(math.log(3))
    high = torch.tensor([[0.0, 50.0, 0.0, 0.0]])
    assert contrastive_loss(high, mask).item() == pytest.approx(math.log(3) / 2, abs=1e-4)


def test_single_positives_give_cross_entropy() -> None:
    scores = torch.randn(5, 9)
    labels = torch.tensor([3, 0, 8, 2, 2])
    mask = torch.nn.functional.one_hot(labels, 9)
    expected = torch.nn.functional.cross_entropy(scores, labels)
    assert contrastive_loss(scores, mask).item() == pytest.approx(expected.item(), rel=1e-5)


def test_questions_without_positives_do_not_count() -> None:
    scores = torch.randn(3, 4)
    mask = torch.eye(3, 4)
    mask[1] = 0
    kept = contrastive_loss(scores[[0, 2]], mask[[0, 2]])
    assert contrastive_loss(scores, mask).item() == pytest.approx(kept.item(), rel=1e-5)
    assert contrastive_loss(scores, torch.zeros(3, 4)).item() == 0.0


def test_a_question_whose_items_are_all_positive_has_finite_gradients() -> None:
    scores = torch.randn(2, 3, requires_grad=True)
    contrastive_loss(scores, torch.ones(2, 3)).backward()
    assert torch.isfinite(scores.grad).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-20, 20))
def test_the_contrastive_loss_ignores_order_and_a_common_shift(seed: int, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(4, 6, generator=generator) * 3
    mask = (torch.rand(4, 6, generator=generator) < 0.4).float()
    order = torch.randperm(6, generator=generator)
    expected = contrastive_loss(scores, mask).item()
    assert contrastive_loss(scores[:, order], mask[:, order]).item() == pytest.approx(expected, abs=1e-4)
    assert contrastive_loss(scores + shift, mask).item() == pytest.approx(expected, abs=1e-3)


def test_relevance_loss_closed_forms() -> None:
    logits = torch.tensor([[0.0, 100.0, 5.0]])
    assert relevance_loss(logits, torch.tensor([[1.0, 1.0, -100.0]])).item() == pytest.approx(math.log(2) / 2)
    assert relevance_loss(logits, torch.full((1, 3), -100.0)).item() == 0.0


def test_language_modeling_loss_is_cross_entropy_over_counted_tokens() -> None:
    logits = torch.randn(2, 4, 11)
    labels = torch.tensor([[1, 2, -100, -100], [3, -100, 4, 5]])
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert language_modeling_loss(logits, labels).item() == pytest.approx(expected.item(), rel=1e-6)
    assert language_modeling_loss(logits, torch.full_like(labels, -100)).item() == 0.0


@pytest.mark.parametrize("loss", [contrastive_loss, relevance_loss])
def test_different_shapes_are_refused(loss) -> None:
    with pytest.raises(ValueError, match="shape"):
        loss(torch.zeros(2, 3), torch.zeros(2, 4))
