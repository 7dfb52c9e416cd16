"""The index over LanceDB keeps KnowledgeIndex's contract: brute force over what is there, whoever changed it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rablip.index import EngineIndex, IndexCorruptError, IndexLockedError, IndexMismatchError, KnowledgeIndex
from tests.conftest import ROOT
from tests.index.engine_writer import NUM_STEPS, make_row
from tests.index.test_filters import COLUMNS, make_values
from tests.index.test_knowledge_index import DIM, make_manifest, make_vectors

lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed: pip install 'rablip[engine]'")

STRANGE_IDS = [
    "it's",
    "'",
    "''",
    "\\'",
    "' OR 1=1 --",
    "'); DROP",
    '"q"',
    "%_",
    "a\nb",
    "nul\0x",
    "日本 é",
    "😀",
    "x" * 3000,
]


def make_engine(folder: Path, count: int = 5, **changes: Any) -> EngineIndex:
    index = EngineIndex.create(str(folder), make_manifest(**changes))
    if count:
        index.add([f"item {number}" for number in range(count)], make_vectors(count))
    return index


class EditedEngine(RuleBasedStateMachine):
    """Random edits by two handles; a dict of what should be there says what either must find."""

    names = st.lists(st.sampled_from([f"it's {number}" for number in range(6)]), max_size=5)

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.mkdtemp()
        manifest = make_manifest(columns={"kind": "string"})
        self.handles = [EngineIndex.create(self.folder, manifest), EngineIndex.open(self.folder)]
        self.expected: dict[str, tuple[np.ndarray, str | None]] = {}
        self.seed = 0

    @rule(names=names, policy=st.sampled_from(["fail", "skip", "overwrite"]), who=st.integers(0, 1))
    def add(self, names: list[str], policy: Any, who: int) -> None:
        self.seed += 1
        vectors = make_vectors(len(names), seed=self.seed)
        kinds = [(None, "a'b", "c")[(number + self.seed) % 3] for number in range(len(names))]
        if policy == "fail" and (len(set(names)) < len(names) or set(names) & set(self.expected)):
            with pytest.raises(ValueError, match="already or given twice"):
                self.handles[who].add(names, vectors, columns={"kind": kinds})
            return
        added = self.handles[who].add(names, vectors, columns={"kind": kinds}, on_duplicate=policy)
        assert added == len(set(names) - (set() if policy == "overwrite" else set(self.expected)))
        for name, *item in zip(names, vectors, kinds, strict=True):
            if policy == "overwrite" or name not in self.expected:
                self.expected[name] = (item[0], item[1])

    @rule(names=names, who=st.integers(0, 1))
    def delete(self, names: list[str], who: int) -> None:
        assert self.handles[who].delete(names) == [n for n in dict.fromkeys(names) if n not in self.expected]
        for name in names:
            self.expected.pop(name, None)

    @rule(who=st.integers(0, 1))
    def compact(self, who: int) -> None:
        self.handles[who].compact()

    @rule()
    def open_again(self) -> None:
        self.handles[1] = EngineIndex.open(self.folder, expected={"num_items": len(self.expected)})

    @invariant()
    def equals_brute_force(self) -> None:
        question = make_vectors(1, seed=999)
        for index in self.handles:
            assert len(index) == len(self.expected)
            for where, wanted in ((None, None), ({"kind": "a'b"}, ["a'b"]), ({"kind": [None, "c"]}, [None, "c"])):
                scores = {
                    name: float(question[0] @ vector)
                    for name, (vector, kind) in self.expected.items()
                    if wanted is None or kind in wanted
                }
                for k in (2, 20):
                    hits = index.search(question, k, where=where)[0]
                    assert [hit.id for hit in hits] == sorted(scores, key=lambda name: -scores[name])[:k]
                    assert [hit.score for hit in hits] == pytest.approx([scores[hit.id] for hit in hits], abs=1e-6)

    def teardown(self) -> None:
        assert sorted(self.handles[0].ids) == sorted(self.expected) and self.handles[1].verify() == len(self.expected)
        names = list(self.expected)
        stored = [self.expected[name][0] for name in names]
        np.testing.assert_array_equal(self.handles[1].get(names), np.array(stored).reshape(-1, DIM))


TestEditedEngine = EditedEngine.TestCase
TestEditedEngine.settings = settings(max_examples=6, stateful_step_count=8, deadline=None)


@pytest.fixture(scope="module", params=[False, True], ids=["as added", "compacted"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[KnowledgeIndex, EngineIndex]:
    """The same items in both indexes."""
    columns = {**COLUMNS, "a `b'.C": "string"}
    count = 90
    values = {**make_values(count), "a `b'.C": [f"it's {number % 2}" for number in range(count)]}
    values["height"][:4] = [float("inf"), -0.0, None, 1e300]
    manifest = make_manifest(columns=columns)
    names = [f"item {number}" for number in range(count)]
    memory = KnowledgeIndex.create(manifest)
    memory.add(names, make_vectors(count), columns=values)
    engine = EngineIndex.create(str(tmp_path_factory.mktemp("engine")), manifest)
    engine.add(names, make_vectors(count), columns=values)
    if request.param:
        engine.compact()
    return memory, engine


VALUES = {
    "year": [3, 4.0, None, 10**6, np.int64(5)],
    "city": ["city 1", "city '2", None, ""],
    "open": [True, False, None],
    "height": [0.0, -0.0, 0.5, 3, None, float("inf"), 1e300],
    "a `b'.C": ["it's 1", "it''s 0", None],
}


@given(data=st.data(), k=st.integers(1, 120), seed=st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_both_indexes_find_the_same(both: Any, data: st.DataObject, k: int, seed: int) -> None:
    memory, engine = both
    columns = data.draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=2))
    where = {
        name: data.draw(st.sampled_from(VALUES[name]) | st.lists(st.sampled_from(VALUES[name]), max_size=3))
        for name in columns
    } or None
    questions = make_vectors(3, seed=1000 + seed)
    for hits, others in zip(
        engine.search(questions, k, where=where), memory.search(questions, k, where=where), strict=True
    ):
        assert [hit.id for hit in hits] == [hit.id for hit in others]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in others], abs=1e-6)


def test_whole_numbers_are_matched_to_the_last_digit(tmp_path: Path) -> None:
    index, years = make_engine(tmp_path, 0, columns={"year": "int64"}), [-(2**63), 2**63 - 1, 2**53, 2**53 + 1]
    index.add([str(year) for year in years], make_vectors(4), columns={"year": years})
    index.compact()
    for year in years:
        assert [hit.id for hit in index.search(make_vectors(1), 9, where={"year": year})[0]] == [str(year)]


def test_ids_may_be_any_text(tmp_path: Path) -> None:
    index = make_engine(tmp_path, 0)
    vectors = make_vectors(len(STRANGE_IDS))
    index.add(["other", *STRANGE_IDS], np.concatenate([make_vectors(1, seed=3), vectors]))
    index.compact()
    assert all(name in index for name in STRANGE_IDS) and "it" not in index
    np.testing.assert_array_equal(index.get(STRANGE_IDS[::-1]), vectors[::-1])
    for name, vector in zip(STRANGE_IDS, vectors, strict=True):
        assert index.delete([name]) == [] and name not in index and "other" in index
        index.add([name], vector[None])
    assert index.delete(STRANGE_IDS) == [] and index.ids == ["other"]


def test_an_empty_or_small_index_gives_short_lists(tmp_path: Path) -> None:
    index = make_engine(tmp_path, 0)
    assert index.search(make_vectors(2), 5) == [[], []] and index.ids == [] and len(index) == index.verify() == 0
    assert index.add([], np.empty((0, DIM))) == 0 and index.get([]).shape == (0, DIM) and index.delete([]) == []
    index.add(["a", "b"], make_vectors(2))
    assert [len(hits) for hits in index.search(make_vectors(3), 100)] == [2, 2, 2]
    assert index.search(np.empty((0, DIM)), 5) == []


def test_what_cannot_be_is_refused_before_anything_is_added(tmp_path: Path) -> None:
    index, vectors = make_engine(tmp_path, 2), make_vectors(2)
    for bad in (np.nan, np.inf, 0.0):
        broken = vectors.copy()
        broken[1] = bad
        with pytest.raises(ValueError, match="NaN, infinite or zero: item 'b'"):
            index.add(["a", "b"], broken)
        with pytest.raises(ValueError, match="question 1"):
            index.search(broken, 1)
    for ids, embeddings, error, message in (
        (["a", " "], vectors, ValueError, "blank"),
        (["a", 7], vectors, TypeError, "got int"),
        (["a"], vectors, ValueError, "1 ids but 2"),
        (["a", "a"], vectors, ValueError, "given twice"),
        (["a", "item 0"], vectors, ValueError, "in the index already"),
        (["a", "b"], 2 * vectors, ValueError, "length 2"),
        (["a", "b"], make_vectors(2, dim=5), ValueError, "shape"),
    ):
        with pytest.raises(error, match=message):
            index.add(ids, embeddings)
    for k in (0, True, 2.5):
        with pytest.raises(ValueError, match="k must be"):
            index.search(vectors, k)
    with pytest.raises(ValueError, match="on_duplicate"):
        index.add(["a"], vectors[:1], on_duplicate="replace")
    with pytest.raises(KeyError, match="nobody"):
        index.delete(["item 0", "nobody"], strict=True)
    with pytest.raises(KeyError, match="nobody"):
        index.get(["nobody"])
    assert sorted(index.ids) == ["item 0", "item 1"]


def test_filters_that_the_engine_cannot_ask_are_refused(both: Any) -> None:
    _, engine = both
    for where, error, message in (
        (pc.field("year") > 3, TypeError, "a mapping from column to value"),
        ({"yaer": 3}, ValueError, "no column 'yaer'"),
        ({"year": "3 OR true"}, ValueError, "'3 OR true' of column 'year' is no int64"),
        ({}, ValueError, "empty"),
    ):
        with pytest.raises(error, match=message):
            engine.search(make_vectors(1), 3, where=where)


def test_another_model_or_another_count_is_refused(tmp_path: Path) -> None:
    make_engine(tmp_path, 3)
    fits = {"model_fingerprint": "ab12", "embedding_dim": DIM, "num_items": 3}
    assert len(EngineIndex.open(str(tmp_path), expected=fits)) == 3
    for changes in ({"model_fingerprint": "cd34"}, {"num_items": 4}, {"prompt_fingerprint": "ef"}):
        ((name, value),) = changes.items()
        with pytest.raises(IndexMismatchError, match=rf"{name}: the index has .*, the model here '?{value}"):
            EngineIndex.open(str(tmp_path), expected={**fits, **changes})


def test_tables_of_others_and_altered_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no table 'knowledge'"):
        EngineIndex.open(str(tmp_path))
    index = make_engine(tmp_path, 1)
    with pytest.raises(FileExistsError, match="already"):
        make_engine(tmp_path, 0)
    connection = lancedb.connect(tmp_path)
    connection.create_table("strange", [{"id": "a", "vector": [1.0, 0.0]}])
    with pytest.raises(IndexCorruptError, match="no manifest"):
        EngineIndex.open(str(tmp_path), table="strange")
    rows = connection.open_table("knowledge").to_arrow()
    text = rows.schema.metadata[b"rablip.manifest"]
    altered = rows.replace_schema_metadata({b"rablip.manifest": text.replace(b"tower", b"towel")})
    connection.create_table("altered", altered)
    with pytest.raises(IndexCorruptError, match="altered"):
        EngineIndex.open(str(tmp_path), table="altered")
    connection.create_table("widened", rows.append_column("more", [[1]]).replace_schema_metadata(rows.schema.metadata))
    with pytest.raises(IndexCorruptError, match="more"):
        EngineIndex.open(str(tmp_path), table="widened")
    connection.open_table("knowledge").add(rows)
    with pytest.raises(IndexCorruptError, match="2 items of 1 different ids"):
        index.verify()


def test_a_table_that_was_replaced_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    """A handle that stays open would add the vectors of one model to those of another."""
    index = make_engine(tmp_path, 2)
    lancedb.connect(tmp_path).drop_table("knowledge")
    make_engine(tmp_path, 1, model_id="other", model_fingerprint="cd34")
    for use in (
        lambda: index.add(["a"], make_vectors(1)),
        lambda: index.search(make_vectors(1), 1),
        lambda: len(index),
    ):
        with pytest.raises(IndexMismatchError, match=r"was replaced .* of tower, .* of other"):
            use()


def test_several_vectors_and_impossible_codes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one vector of an item, this index takes up to 3"):
        make_engine(tmp_path, max_vectors=3)
    from rablip.index import SearchSettings

    with pytest.raises(ValueError, match="8 dimensions at a time, embeddings here have 4"):
        make_engine(tmp_path, search=SearchSettings(kind="ivf_rabitq"))


def test_first_items_come_all_or_not_at_all(tmp_path: Path) -> None:
    vectors = make_vectors(4)
    batches = [(["a", "b"], vectors[:2], None), (["c"], vectors[2:3], None)]
    for last, message in ((["a"], "given twice"), ([" "], "blank")):
        with pytest.raises(ValueError, match=message):
            EngineIndex.create(str(tmp_path), make_manifest(), items=iter([*batches, (last, vectors[3:], None)]))
        with pytest.raises(FileNotFoundError):
            EngineIndex.open(str(tmp_path))
    assert sorted(EngineIndex.create(str(tmp_path), make_manifest(), items=iter(batches)).ids) == ["a", "b", "c"]


def start_process(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start tests/index/engine_writer.py."""
    command = [sys.executable, "-m", "tests.index.engine_writer", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True)


def test_edits_are_seen_at_once_in_another_process_and_back(tmp_path: Path) -> None:
    index = make_engine(tmp_path, 5)
    index.delete(["item 2"])
    assert start_process(tmp_path, "look").wait(120) == 0
    assert sorted(index.ids) == ["item 1", "item 3", "item 4", "new"]
    np.testing.assert_array_equal(index.get(["item 1", "new"]), np.concatenate([make_row(8), make_row(9)]))


def test_writers_at_the_same_time_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    index = make_engine(tmp_path, 1)
    writers = [start_process(tmp_path, "write", str(number)) for number in range(3)]
    while any(writer.poll() is None for writer in writers):
        with contextlib.suppress(IndexLockedError):
            index.compact()
        time.sleep(0.3)
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    own = {f"own {number} {step}" for number in range(3) for step in range(0, NUM_STEPS, 2)}
    assert index.verify() == len(index)
    assert set(index.ids) == own | {f"shared {step}" for step in range(NUM_STEPS)} | {"item 0"}
    assert any(np.array_equal(index.get(["item 0"]), make_row(100 + number)) for number in range(3))
