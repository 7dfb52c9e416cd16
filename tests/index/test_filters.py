"""A filter leaves items out before the search: the answer is that of brute force over the items that match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.index import KnowledgeIndex, SearchSettings
from tests.index.test_knowledge_index import make_manifest, make_vectors

COLUMNS = {"year": "int64", "city": "string", "open": "bool", "height": "float64"}


def make_filtered(count: int, *, folder: Path | None = None, kind: Any = "exact") -> KnowledgeIndex:
    index = KnowledgeIndex.create(make_manifest(columns=COLUMNS, search=SearchSettings(kind=kind)))
    index.add([f"item {number}" for number in range(count)], make_vectors(count), columns=make_values(count))
    if folder is not None:
        index.save(folder)
        index.add(["late"], make_vectors(1, seed=7), columns={"year": [3]})
        index.save(folder)
        index = KnowledgeIndex.load(folder)
    return index


def make_values(count: int) -> dict[str, list[Any]]:
    return {
        "year": [None if number % 7 == 0 else number % 10 for number in range(count)],
        "city": [f"city {number % 3}" for number in range(count)],
        "open": [number % 2 == 0 for number in range(count)],
        "height": [number / 2 for number in range(count)],
    }


FILTERS: list[tuple[Any, Any]] = [
    ({"year": 3}, lambda row: row["year"] == 3),
    ({"year": [3, 4, None]}, lambda row: row["year"] in (3, 4, None)),
    ({"year": None}, lambda row: row["year"] is None),
    ({"city": {"city 1"}, "open": True}, lambda row: row["city"] == "city 1" and row["open"]),
    (pc.field("height") > 40, lambda row: row["height"] > 40),
    ({"year": []}, lambda row: False),
]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(("where", "matches"), FILTERS)
@given(k=st.integers(1, 120), seed=st.integers(0, 50))
@settings(max_examples=8, deadline=None)
def test_a_filtered_search_is_brute_force_over_what_matches(
    tmp_path_factory: pytest.TempPathFactory, stored: bool, where: Any, matches: Any, k: int, seed: int
) -> None:
    count = 90
    folder = tmp_path_factory.mktemp("index") if stored else None
    index = make_filtered(count, folder=folder)
    values = make_values(count)
    rows = [{name: column[number] for name, column in values.items()} for number in range(count)]
    vectors = {f"item {number}": make_vectors(count)[number] for number in range(count) if matches(rows[number])}
    late = {"year": 3, "city": None, "open": None, "height": -1}
    if stored and matches(late):
        vectors["late"] = make_vectors(1, seed=7)[0]
    question = make_vectors(1, seed=1000 + seed)
    (hits,) = index.search(question, k, where=where)
    best = sorted(vectors, key=lambda name: -float(vectors[name] @ question[0]))[:k]
    assert [hit.id for hit in hits] == best


@pytest.mark.parametrize("kind", ["hnsw", "ivf", "ivf_rabitq", "ivf_pq"])
@pytest.mark.parametrize("share", [2, 50])
def test_as_many_are_found_as_match_whatever_the_kind(tmp_path: Path, kind: Any, share: int) -> None:
    """Whether one item of two or one of fifty counts: no question gets fewer than there are."""
    count = 2000
    manifest = make_manifest(embedding_dim=16, columns={"group": "int64"}, search=SearchSettings(kind=kind))
    index = KnowledgeIndex.create(manifest)
    groups = [number % share for number in range(count)]
    index.add([str(number) for number in range(count)], make_vectors(count, dim=16), columns={"group": groups})
    index.save(tmp_path)
    index.delete([str(number) for number in range(0, count, 3)])
    index.save(tmp_path)
    assert index.manifest.segments[0].search.kind == kind
    left = [number for number in range(count) if number % share == 1 and number % 3]
    questions = make_vectors(5, seed=3, dim=16)
    for hits, scores in zip(
        index.search(questions, 10, where={"group": 1}), questions @ make_vectors(count, dim=16)[left].T, strict=True
    ):
        assert len(hits) == 10 and all(int(hit.id) in left for hit in hits)
        if share == 50:
            assert {int(hit.id) for hit in hits} == {left[place] for place in np.argsort(-scores)[:10]}
    assert len(index.search(questions[:1], 5000, where={"group": 1})[0]) == len(left)


def test_wrong_filters_and_columns_are_named() -> None:
    index = make_filtered(5)
    for where, message in (
        ({"yaer": 3}, "no column 'yaer' to filter by; it has .'year'"),
        ({"year": "3"}, "'3' of column 'year' is no int64"),
        ({"year": 3.5}, "3.5 of column 'year' is no int64"),
        ({"year": [3, True]}, "True of column 'year' is no int64"),
        ({"open": 1}, "1 of column 'open' is no bool"),
        ({"year": 2**70}, "of column 'year' is no int64"),
        (pc.field("nothing") == 1, "does not fit the columns"),
        (pc.field("year") + 1, "not true or false"),
        ({}, "empty"),
    ):
        with pytest.raises(ValueError, match=message):
            index.search(make_vectors(1), 3, where=where)
    with pytest.raises(TypeError, match="mapping from column to value"):
        index.search(make_vectors(1), 3, where="year = 3")
    for columns, error, message in (
        ({"yaer": [1]}, ValueError, "no columns"),
        ({"year": [1, 2]}, ValueError, "2 values for 1 items"),
        ({"year": ["x"]}, TypeError, "'year' takes int64"),
    ):
        with pytest.raises(error, match=message):
            index.add(["more"], make_vectors(1), columns=columns)
    assert len(index) == 5
    with pytest.raises(ValueError, match="it has none"):
        KnowledgeIndex.create(make_manifest()).search(make_vectors(1), 3, where={"year": 3})


def test_large_whole_numbers_keep_their_last_digits() -> None:
    index = KnowledgeIndex.create(make_manifest(columns={"year": "int64"}))
    index.add(["a", "b"], make_vectors(2), columns={"year": [2**53 + 1, 2**53]})
    question = make_vectors(1)
    for wanted, expected in ((2**53 + 1, ["a"]), (2**53, ["b"]), (4.0, []), ([4.0, 2**53], ["b"])):
        assert [hit.id for hit in index.search(question, 5, where={"year": wanted})[0]] == expected
