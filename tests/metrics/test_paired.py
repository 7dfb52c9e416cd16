"""Paired comparison of two systems against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.metrics import compare_paired


def values(numbers: list[float]) -> dict[str, float]:
    return {f"q{place}": number for place, number in enumerate(numbers)}


def binomial_two_sided(better: int, worse: int) -> float:
    """The exact sign test, which the sign-flip test is where every difference is 1 or -1."""
    total, least = better + worse, min(better, worse)
    tail = sum(math.comb(total, count) for count in range(least + 1)) / 2**total
    return min(1.0, 2 * tail) if better != worse else 1.0


@pytest.mark.parametrize(("better", "worse", "same"), [(3, 0, 5), (1, 1, 0), (7, 2, 4), (0, 6, 1), (12, 0, 0)])
def test_exact_for_few_changes(better: int, worse: int, same: int) -> None:
    first = values([0.0] * better + [1.0] * worse + [0.5] * same)
    second = values([1.0] * better + [0.0] * worse + [0.5] * same)
    found = compare_paired(first, second, seed=0)
    assert found.p_value == pytest.approx(binomial_two_sided(better, worse))
    assert (found.num_better, found.num_worse, found.num_questions) == (better, worse, better + worse + same)
    assert found.difference == pytest.approx((better - worse) / (better + worse + same))


def test_drawn_for_many_changes() -> None:
    first, second = values([0.0] * 40 + [1.0] * 24), values([1.0] * 40 + [0.0] * 24)
    assert compare_paired(first, second, seed=0).p_value == pytest.approx(binomial_two_sided(40, 24), abs=0.01)
    nothing = compare_paired(values([0.3] * 50), values([0.3] * 50), seed=0)
    assert nothing.p_value == 1.0 and nothing.interval == (0.0, 0.0)
    clear = compare_paired(values([0.0] * 300), values([1.0] * 300), seed=0)
    assert 0 < clear.p_value < 0.001 and clear.interval == (1.0, 1.0)


def test_chance_is_rarely_called_significant() -> None:
    rng = np.random.default_rng(0)
    small = 0
    for seed in range(200):
        first, second = (values(rng.normal(size=30).tolist()) for _ in range(2))
        small += compare_paired(first, second, seed=seed).p_value <= 0.05
    assert small <= 20, "5 % of 200 are 10; more than 20 come less than once in a thousand times"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=10), st.integers(0, 9))
def test_the_other_way_round_is_the_same_with_the_other_sign(pairs: list[tuple[float, float]], seed: int) -> None:
    first, second = values([one for one, _ in pairs]), values([two for _, two in pairs])
    there, back = compare_paired(first, second, seed=seed), compare_paired(second, first, seed=seed)
    assert there.difference == pytest.approx(-back.difference) and there.p_value == pytest.approx(back.p_value)
    assert (there.num_better, there.num_worse) == (back.num_worse, back.num_better)
    assert there.interval[0] - 1e-12 <= there.difference <= there.interval[1] + 1e-12 or len(pairs) < 3


def test_only_common_questions_count() -> None:
    found = compare_paired({"a": 0.0, "b": 1.0, "c": 1.0}, {"b": 0.0, "a": 0.0, "d": 1.0}, seed=0)
    assert found.num_questions == 2 and found.num_unpaired == 2 and found.difference == -0.5
    with pytest.raises(ValueError, match="no question in common"):
        compare_paired({"a": 0.0}, {"b": 0.0}, seed=0)
    with pytest.raises(ValueError, match="'b' is not finite"):
        compare_paired({"a": 0.0, "b": float("nan")}, {"a": 0.0, "b": 0.0}, seed=0)
