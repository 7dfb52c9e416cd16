"""Temperature and threshold by closed forms and invariances."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.training import fit_temperature, fit_threshold


@settings(max_examples=15, deadline=None)
@given(temperature=st.floats(0.3, 5.0), seed=st.integers(0, 1000))
def test_the_temperature_that_made_the_labels_is_found(temperature: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(20_000, generator=generator) * 3
    labels = (torch.rand(20_000, generator=generator) < torch.sigmoid(logits / temperature)).float()
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.15)


def test_the_threshold_reaches_the_best_f1_of_all_cuts() -> None:
    probabilities = torch.rand(200)
    labels = (torch.rand(200) < probabilities).long()

    def f1_at(threshold: float) -> float:
        chosen = probabilities >= threshold
        hits = (chosen & (labels == 1)).sum().item()
        return 2 * hits / (chosen.sum().item() + labels.sum().item())

    threshold, f1 = fit_threshold(probabilities, labels)
    assert f1_at(threshold) == pytest.approx(f1)
    assert f1 == pytest.approx(max(f1_at(cut) for cut in probabilities.tolist()))


def test_equal_probabilities_are_never_separated() -> None:
    threshold, f1 = fit_threshold(torch.full((4,), 0.5), torch.tensor([1, 0, 0, 0]))
    assert threshold <= 0.5
    assert f1 == pytest.approx(2 / 5)


def test_pairs_that_were_never_judged_count_as_missed() -> None:
    found, labels = torch.tensor([0.9, 0.4]), torch.tensor([1, 0])
    # One of three relevant pairs can be found: precision 1, recall 1/3.
    assert fit_threshold(found, labels, num_missed=2) == (0.65, pytest.approx(1 / 2))


def test_a_small_beta_prefers_precision() -> None:
    found, labels = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), torch.tensor([1, 0, 1, 1, 0])
    # All three relevant with one wrong, or the first alone: F1 6/7 against 1/2, F0.1 nearly the precision.
    assert fit_threshold(found, labels) == (0.55, pytest.approx(6 / 7))
    assert fit_threshold(found, labels, beta=0.1) == (0.85, pytest.approx(1.01 / 1.03))


def test_impossible_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="No label is positive"):
        fit_threshold(torch.rand(3), torch.zeros(3))
    with pytest.raises(ValueError, match="labels"):
        fit_threshold(torch.rand(3), torch.zeros(4))
    with pytest.raises(ValueError, match="labels"):
        fit_temperature(torch.zeros(0), torch.zeros(0))
