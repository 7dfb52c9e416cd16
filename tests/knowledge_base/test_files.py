"""The files of a knowledge base: Arrow that others read, verified when read; parts that replace each other's items."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.index import IndexCorruptError
from rablip.index.identifiers import hash_ids
from rablip.knowledge_base import KnowledgeBase, KnowledgeBaseError
from rablip.processing import ImageRef, KnowledgeItem
from tests.knowledge_base.test_knowledge_base import png


def make_items(first: int, last: int, note: str = "") -> list[KnowledgeItem]:
    return [
        KnowledgeItem(
            id=f"i{number}",
            text=f"text {number}{note}",
            image=ImageRef(data=png((8, 8), "red")) if number % 3 == 0 else None,
        )
        for number in range(first, last)
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "base"
    KnowledgeBase.write(make_items(0, 300), folder)
    return folder


def test_the_table_is_an_arrow_stream(written: Path) -> None:
    with pa.OSFile(str(written / "items.arrow")) as file:
        table = pa.ipc.open_stream(file).read_all()
    assert table.column("id").to_pylist() == KnowledgeBase.load(written).ids
    assert table.column("text").to_pylist()[7] == "text 7"


def read_everything(folder: Path) -> list[KnowledgeItem]:
    base = KnowledgeBase.load(folder)
    assert base.ids == [item.id for item in base]
    return [base[item_id] for item_id in base.ids]


def test_a_flipped_byte_anywhere_is_never_read(written: Path, tmp_path: Path) -> None:
    expected = read_everything(written)
    generator = np.random.default_rng(0)
    names = sorted(path.name for path in written.iterdir())
    assert {"items.arrow", "items.starts", "ids.lookup", "knowledge_base.json"} <= set(names)
    for name in names:
        content = (written / name).read_bytes()
        for place in {0, len(content) - 1, *generator.integers(len(content), size=6).tolist()}:
            folder = tmp_path / "spoiled"
            shutil.copytree(written, folder)
            spoiled = bytearray(content)
            spoiled[place] ^= 1 << int(generator.integers(8))
            (folder / name).write_bytes(spoiled)
            with pytest.raises((IndexCorruptError, KnowledgeBaseError), match="spoiled"):
                read_everything(folder)
                KnowledgeBase.load(folder).verify()
                raise AssertionError(f"byte {place} of {name} was read")
            shutil.rmtree(folder)
    assert read_everything(written) == expected


@pytest.mark.parametrize("change", ["cut", "longer", "missing", "swapped"])
def test_files_that_are_not_as_written_are_named(written: Path, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "base"
    shutil.copytree(written, folder)
    path = folder / "items.arrow"
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif change == "longer":
        path.write_bytes(path.read_bytes() + b"\0")
    elif change == "missing":
        path.unlink()
    else:
        other = tmp_path / "other"
        KnowledgeBase.write(make_items(300, 600), other)
        shutil.copy(other / "items.arrow", path)
    with pytest.raises((IndexCorruptError, KnowledgeBaseError), match=r"items\.arrow"):
        read_everything(folder)


def test_another_format_is_refused_with_both_versions(written: Path, tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path / "base")
    path = tmp_path / "base" / "knowledge_base.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 1}))
    with pytest.raises(KnowledgeBaseError, match="format version 1, this rablip reads 2"):
        KnowledgeBase.load(tmp_path / "base")


@settings(max_examples=12, deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6)), min_size=1, max_size=4),
    gone=st.sets(st.integers(0, 15)),
    cut=st.tuples(st.integers(0, 12), st.integers(0, 12)),
)
def test_of_an_id_in_several_parts_the_last_counts_and_none_that_is_gone(
    tmp_path_factory: pytest.TempPathFactory,
    spans: list[tuple[int, int]],
    gone: set[int],
    cut: tuple[int, int],
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    rows: list[KnowledgeItem] = []
    for number, (first, length) in enumerate(spans):
        part = make_items(first, first + length, f" of part {number}")
        KnowledgeBase.write(part, folder / str(number))
        replaced = {item.id for item in part}
        rows = [item for item in rows if item.id not in replaced] + part
    live = [item for item in rows if int(item.id[1:]) not in gone]
    hashes = np.sort(hash_ids([item.id for item in live]))
    base = KnowledgeBase.load(*(folder / str(number) for number in range(len(spans))), id_hashes=hashes)
    assert list(base) == live and base.ids == [item.id for item in live] and len(base) == len(live)
    assert list(base.iterate(*sorted(cut))) == live[slice(*sorted(cut))]
    np.testing.assert_array_equal(base.hash_ids(), hashes)
    for number in range(16):
        name = f"i{number}"
        assert (name in base) == any(item.id == name for item in live)
    assert all(base[item.id] == item for item in live)
    copy = base.copy(folder / "copy")
    assert list(copy) == live


def test_ids_take_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    def peak(count: int) -> int:
        items = (KnowledgeItem(id=f"item number {number}", text="x") for number in range(count))
        tracemalloc.start()
        base, _ = KnowledgeBase.write(items, tmp_path / str(count))
        assert base[f"item number {count - 1}"].text == "x" and len(base) == count
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(100)
    # Eight bytes an item while it is written, and what sorting them takes.
    assert peak(20_000) - peak(2_000) < 18_000 * 60
