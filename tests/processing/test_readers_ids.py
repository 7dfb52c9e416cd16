"""Ids are seen once and again as by a set, at a few bytes each."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.processing import readers_ids
from rablip.processing.readers_ids import SeenIds


@given(names=st.lists(st.text(max_size=4), max_size=300))
def test_it_says_what_a_set_says(names: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers_ids, "_SLOTS", 4)  # so that it grows
        seen, expected = SeenIds(), set[str]()
    for name in names:
        assert (name in seen) == (name in expected)
        assert seen.add(name) == (name not in expected)
        expected.add(name)
        assert len(seen) == len(expected)
    assert all(name in seen for name in expected) and "not there" not in seen


def test_thirty_thousand_ids_cost_a_few_bytes_each() -> None:
    tracemalloc.start()
    seen = SeenIds()
    assert all(seen.add(f"infoseek_train_{number:08d}") for number in range(30_000))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 24 * 30_000
    assert not any(seen.add(f"infoseek_train_{number:08d}") for number in range(0, 30_000, 997))


def test_a_hash_of_zero_is_an_id_like_any_other() -> None:
    seen = SeenIds()
    assert hash("") == 0  # Python's own rule, whatever the seed
    assert seen.add("") and not seen.add("") and "" in seen
