"""Intervals against closed values, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics import Figure, bootstrap_interval, proportion_figure, ratio_figure, wilson_interval


# Wilson (1927) values as printed in textbooks and by other implementations, 95 %.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (5, 10, 0.236593, 0.763407), (95, 100, 0.888249, 0.978457)],
)
def test_wilson_closed_values(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=1e-6)


def test_wilson_limits_have_a_closed_form_at_zero():
    z2 = 1.959963984540054**2
    assert wilson_interval(0, 7)[1] == pytest.approx(z2 / (7 + z2))
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "n", "confidence"), [(3, 2, 0.95), (-1, 2, 0.95), (1, -1, 0.95), (1, 2, 1.0)])
def test_wilson_refuses_what_is_no_proportion(successes, n, confidence):
    with pytest.raises(ValueError, match="must lie"):
        wilson_interval(successes, n, confidence=confidence)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_value_and_mirrors(pair):
    successes, n = pair
    low, high = wilson_interval(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert wilson_interval(n - successes, n) == pytest.approx((1 - high, 1 - low))


def test_wilson_covers_the_true_rate_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = rng.binomial(60, 0.8, size=2000)
    covered = np.mean([low <= 0.8 <= high for low, high in (wilson_interval(int(x), 60) for x in draws)])
    assert 0.92 < covered < 0.98


def test_bootstrap_is_seeded_and_agrees_with_the_normal_approximation():
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.normal(2.0, 1.0, 400), np.ones(400)])

    def mean(sums):
        return sums[:, 0] / sums[:, 1]

    first = bootstrap_interval(rows, mean, seed=3)
    assert first == bootstrap_interval(rows, mean, seed=3)
    assert first != bootstrap_interval(rows, mean, seed=4)
    half = 1.96 * rows[:, 0].std() / 20
    assert first == pytest.approx((rows[:, 0].mean() - half, rows[:, 0].mean() + half), abs=0.02)


def test_bootstrap_leaves_out_undefined_resamples():
    rows = [[0.0, 0.0], [1.0, 1.0]]  # a resample of the first row only has no denominator
    assert bootstrap_interval(rows, lambda sums: sums[:, 0] / sums[:, 1]) == (1.0, 1.0)
    assert bootstrap_interval([], lambda sums: sums[:, 0]) == (0.0, 1.0)
    assert bootstrap_interval([[0.0, 0.0]], lambda sums: sums[:, 0] / sums[:, 1]) == (0.0, 1.0)
    with pytest.raises(ValueError, match="shape"):
        bootstrap_interval([1.0, 2.0], lambda sums: sums)
    with pytest.raises(ValueError, match="num_resamples"):
        bootstrap_interval([[1.0]], lambda sums: sums[:, 0], num_resamples=0)


def test_proportion_figure():
    figure = proportion_figure([True, False, True, True])
    assert (figure.value, figure.n) == (0.75, 4)
    assert figure.interval == wilson_interval(3, 4)
    assert proportion_figure([]).to_json() == {"value": None, "n": 0, "interval": [0.0, 1.0]}


def test_ratio_figure_is_the_ratio_of_sums():
    figure = ratio_figure([1, 0, 2], [1, 2, 3], n=3)
    assert figure.value == pytest.approx(0.5)
    assert figure.interval[0] < 0.5 < figure.interval[1]
    assert ratio_figure([0, 0], [0, 0], n=2) == Figure(value=None, n=2, interval=(0.0, 1.0))
    with pytest.raises(ValueError, match="1 numerators"):
        ratio_figure([1], [1, 2], n=1)
