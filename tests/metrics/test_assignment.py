"""The best assignment against trying out every one."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.assignment import find_best_assignment

# Ties and zeros matter as much as numbers that are all different.
SCORES = st.sampled_from([0.0, 0.4, 0.5, 2 / 3, 1.0]) | st.floats(-10, 10)
TABLES = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: st.lists(
        st.lists(SCORES, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    )
)


def best_by_trying(scores):
    """The greatest sum over all assignments of the shorter side."""
    rows, columns = len(scores), len(scores[0])
    if rows > columns:
        return best_by_trying(list(zip(*scores, strict=True)))
    return max(
        sum(scores[row][column] for row, column in enumerate(order)) for order in permutations(range(columns), rows)
    )


def total(scores):
    return sum(scores[row][column] for row, column in find_best_assignment(scores))


@given(TABLES)
def test_nothing_is_better(scores):
    pairs = find_best_assignment(scores)
    size = min(len(scores), len(scores[0]))
    assert len(pairs) == len({row for row, _ in pairs}) == len({column for _, column in pairs}) == size
    assert pairs == sorted(pairs)
    assert total(scores) == pytest.approx(best_by_trying(scores), abs=1e-9)


@given(TABLES)
def test_order_does_not_matter(scores):
    turned = [list(column) for column in zip(*scores, strict=True)]
    shuffled = scores[1::2] + scores[::2]
    assert total(scores) == pytest.approx(total(turned), abs=1e-9)
    assert total(scores) == pytest.approx(total(shuffled), abs=1e-9)


def test_by_hand():
    # The greedy choice (0.9 first) reaches 0.9 + 0.1; the best is 0.8 + 0.8.
    assert find_best_assignment([[0.9, 0.8], [0.8, 0.1]]) == [(0, 1), (1, 0)]
    # Three rows, two columns: the row that fits nothing is left over.
    assert find_best_assignment([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]) == [(1, 0), (2, 1)]
    # Every row has to move once: the last can only have column 0.
    assert find_best_assignment([[5.0, 4.0, 0.0], [0.0, 5.0, 4.0], [9.0, 0.0, 0.0]]) == [(0, 1), (1, 2), (2, 0)]


def test_nothing_to_assign():
    assert find_best_assignment([]) == [] == find_best_assignment([[], []])
    with pytest.raises(ValueError, match="one length"):
        find_best_assignment([[1.0, 2.0], [1.0]])


def test_hundred_by_hundred_of_a_product_pairs_equal_ranks():
    # Of scores i * j the best assignment pairs the largest with the largest (rearrangement inequality).
    assert find_best_assignment([[i * j for j in range(100)] for i in range(100)]) == [(i, i) for i in range(100)]
