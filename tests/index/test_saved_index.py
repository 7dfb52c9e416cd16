"""A saved index is the old one or the new one, and any damage or another model is noticed before it is used."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rablip.index import (
    IndexBuilder,
    IndexCorruptError,
    IndexLockedError,
    IndexManifest,
    IndexMismatchError,
    KnowledgeIndex,
    SearchSettings,
)
from rablip.index import checksums as checksums
from rablip.index import segment_writing as segment_writing
from rablip.index.maintenance import compact_index
from rablip.index.manifest import MANIFEST_NAME
from tests.index.test_knowledge_index import make_index, make_manifest, make_vectors


def make_edited_index(folder: Path, *, search: SearchSettings | None = None, count: int = 60) -> KnowledgeIndex:
    """A saved index of two segments with columns, a mask of deleted items and, if asked for, a search structure."""
    manifest = make_manifest(columns={"year": "int64"}, search=search or SearchSettings(kind="exact"))
    index = KnowledgeIndex.create(manifest)
    index.add([f"item {number}" for number in range(count)], make_vectors(count), columns={"year": range(count)})
    index.save(folder)
    index.delete(["item 3"])
    index.add(["new"], make_vectors(1, seed=9))
    index.save(folder)
    return index


def list_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def use(folder: Path, verify: bool | None) -> list[Any]:
    """Everything that an index can be asked, in a form that can be compared."""
    index = KnowledgeIndex.load(folder, verify=verify)
    questions = make_vectors(3, seed=2)
    return [
        index.ids,
        index.search(questions, 4),
        index.search(questions, 4, where={"year": [1, 2, 3, 5]}),
        index.get(["item 1", "new"]).tolist(),
        "item 3" in index,
    ]


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    index = make_index(9)
    before = index.search(make_vectors(3, seed=2), 4)
    manifest = index.save(tmp_path)
    loaded = KnowledgeIndex.load(tmp_path)
    assert loaded.manifest == manifest == index.manifest
    assert (manifest.num_items, manifest.metric, manifest.normalized, manifest.dtype, manifest.generation) == (
        9,
        "inner_product",
        True,
        "float32",
        1,
    )
    assert manifest.rablip_version and manifest.created.endswith("+00:00")
    assert loaded.search(make_vectors(3, seed=2), 4) == before == index.search(make_vectors(3, seed=2), 4)


@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf", "ivf_rabitq"])
@pytest.mark.parametrize("verify", [True, False])
def test_every_flipped_byte_and_every_cut_is_noticed(tmp_path: Path, kind: Any, verify: bool, full: bool) -> None:
    """Whether all is verified at once or each block when it is read: an error, or the very answers as before."""
    make_edited_index(tmp_path, search=SearchSettings(kind=kind), count=60 if kind == "exact" else 1100)
    expected = use(tmp_path, verify)
    generator = np.random.default_rng(0)
    noticed = 0
    for path in list_files(tmp_path):
        content = path.read_bytes()
        number = (150 if len(content) < 3000 else 20) if full else 6
        for position in generator.choice(len(content), min(number, len(content)), replace=False):
            damaged = bytearray(content)
            damaged[position] ^= int(generator.integers(1, 256))
            path.write_bytes(damaged)
            if verify:
                with pytest.raises((IndexCorruptError, IndexMismatchError), match=path.name):
                    use(tmp_path, verify)
            else:
                try:
                    assert use(tmp_path, verify) == expected
                except (IndexCorruptError, IndexMismatchError) as error:
                    noticed += 1
                    assert path.name in str(error)
            path.write_bytes(content[:position])
            with pytest.raises(IndexCorruptError, match=path.name):
                use(tmp_path, verify)
            path.write_bytes(content + b"\0")
            with pytest.raises(IndexCorruptError, match=path.name):
                use(tmp_path, verify)
        path.write_bytes(content)
    assert verify or noticed > 10
    assert use(tmp_path, verify) == expected


def test_a_block_is_verified_when_it_is_first_read(tmp_path: Path) -> None:
    """Of a large index only what is touched is read: other damage shows when its turn comes, and in `verify`."""
    index = KnowledgeIndex.create(make_manifest(embedding_dim=256))
    names = [f"item {number}" for number in range(2000)]
    index.add(names, make_vectors(2000, dim=256))
    index.save(tmp_path)
    (vectors,) = tmp_path.glob("segment-*/vectors.f32")
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    vectors.write_bytes(content)
    assert len(content) > 4 * checksums.BLOCK_BYTES
    loaded = KnowledgeIndex.load(tmp_path, verify=False)
    np.testing.assert_array_equal(loaded.get(["item 0"]), make_vectors(2000, dim=256)[:1])
    with pytest.raises(IndexCorruptError, match=r"vectors.f32 is altered between byte \d+ and byte 2048000"):
        loaded.get(["item 1999"])
    with pytest.raises(IndexCorruptError, match=r"vectors.f32 is altered"):
        loaded.search(make_vectors(1, dim=256), 1)
    with pytest.raises(IndexCorruptError, match=r"vectors.f32 is altered"):
        KnowledgeIndex.load(tmp_path)


def test_missing_and_swapped_files_are_noticed(tmp_path: Path) -> None:
    make_edited_index(tmp_path / "one")
    make_edited_index(tmp_path / "two", count=61)
    for mine in list_files(tmp_path / "one"):
        content = mine.read_bytes()
        others = [path for path in list_files(tmp_path) if path != mine and path.name == mine.name]
        for other in others:
            if mine.name != MANIFEST_NAME and other.read_bytes() != content:
                mine.write_bytes(other.read_bytes())
                with pytest.raises(IndexCorruptError, match=mine.name):
                    KnowledgeIndex.load(tmp_path / "one")
        mine.unlink()
        if mine.name == MANIFEST_NAME:
            with pytest.raises(FileNotFoundError, match="is not an index, or its build did not end"):
                KnowledgeIndex.load(tmp_path / "one")
        else:
            with pytest.raises(IndexCorruptError, match=f"{mine.name} is missing"):
                KnowledgeIndex.load(tmp_path / "one")
        mine.write_bytes(content)
    assert len(KnowledgeIndex.load(tmp_path / "one")) == 60


def test_counts_that_do_not_belong_together_are_noticed_even_with_right_hashes(tmp_path: Path) -> None:
    make_edited_index(tmp_path)
    manifest = IndexManifest.load(tmp_path)
    first = manifest.segments[0]
    for changes in ({"num_items": 61}, {"num_vectors": 59}, {"num_deleted": 0}, {"num_deleted": 2}):
        wrong = {**vars(first), **changes}
        content = {**vars(manifest), "segments": (type(first)(**wrong), *manifest.segments[1:])}
        IndexManifest(**content).save(tmp_path)
        with pytest.raises(IndexCorruptError, match="manifest"):
            KnowledgeIndex.load(tmp_path)


def test_another_model_is_refused_with_both_values(tmp_path: Path) -> None:
    make_index().save(tmp_path)
    with pytest.raises(IndexMismatchError) as caught:
        KnowledgeIndex.load(tmp_path, expected={"model_fingerprint": "cd34", "embedding_dim": 8})
    for part in ("tower", "'ab12'", "'cd34'", "embedding_dim: the index has 4, the model here 8"):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="unknown fields"):
        KnowledgeIndex.load(tmp_path, expected={"dimension": 8})


def test_another_format_version_is_refused_with_both_values() -> None:
    with pytest.raises(IndexMismatchError, match="format version 7, this rablip reads 3"):
        IndexManifest.from_json(make_manifest(format_version=7, rablip_version="9.0").to_json())


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding_dim": 0},
        {"embedding_dim": True},
        {"num_items": -1},
        {"max_vectors": 0},
        {"metric": "cosine"},
        {"dtype": "int8"},
        {"columns": {"year": "date"}},
    ],
)
def test_impossible_manifests_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Columns can be" if "columns" in changes else next(iter(changes))):
        make_manifest(**changes)


@pytest.mark.parametrize("place", ["../ids.utf8", "/etc/passwd", "segment-x/../../ids.utf8"])
def test_a_file_outside_the_folder_is_never_opened(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "index"
    make_index().save(folder)
    manifest = IndexManifest.load(folder)
    name = next(name for name in manifest.files if name.endswith("ids.utf8"))
    files = {place if one == name else one: record for one, record in manifest.files.items()}
    IndexManifest(**{**vars(manifest), "files": files}).save(folder)
    with pytest.raises(IndexCorruptError, match="outside the index"):
        KnowledgeIndex.load(folder)


def save_change(folder: Path) -> None:
    newer = KnowledgeIndex.load(folder)
    newer.delete(["item 7"])
    newer.add(["item 4 b"], make_vectors(1, seed=7))
    newer.save(folder)


def stream_change(folder: Path) -> None:
    with IndexBuilder(folder) as builder:
        builder.add(["item 4 b", "item 8"], make_vectors(2, seed=7))
        builder.commit()


def compact_change(folder: Path) -> None:
    save_change(folder)
    compact_index(folder, progress=False)


@pytest.mark.parametrize("change", [save_change, stream_change, compact_change])
def test_an_interrupt_at_any_step_of_a_change_leaves_the_old_or_the_new_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    """Unlike a kill, an interrupt still runs what cleans up, which must not take away what the manifest names."""
    make_edited_index(tmp_path)
    step = 0
    seen = set()
    while True:
        step += 1
        newer = KnowledgeIndex.load(tmp_path)
        if "item 4 b" in newer:
            newer.delete(["item 4 b"])
            newer.save(tmp_path)
        left = [step]

        def count(name: str, original: Any, left: list[int] = left) -> Any:
            def counted(*args: Any, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt(name)  # like a kill, not caught by `except Exception`
                return original(*args, **kwargs)

            return counted

        with monkeypatch.context() as patch:
            for owner, name in (
                (os, "replace"),
                (os, "fsync"),
                (os, "mkdir"),
                (Path, "unlink"),
                (os, "rmdir"),
                (shutil, "rmtree"),
            ):
                patch.setattr(owner, name, count(name, getattr(owner, name)))
            try:
                change(tmp_path)
                interrupted = False
            except KeyboardInterrupt:
                interrupted = True
        state = "item 4 b" in KnowledgeIndex.load(tmp_path, verify=True)
        seen.add(state)
        if not interrupted:
            break
    assert step > 8
    assert seen == {False, True}
    manifest = IndexManifest.load(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in list_files(tmp_path)} == {MANIFEST_NAME, *manifest.files}


def test_a_full_disk_leaves_the_old_index_and_says_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_index(4).save(tmp_path)
    files = list_files(tmp_path)
    newer = make_index(5)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(segment_writing.HashingWriter, "write", full)
    with pytest.raises(OSError, match=r"needs about 400 bytes.*as it was.*No space left"):
        newer.save(tmp_path)
    monkeypatch.undo()
    assert len(KnowledgeIndex.load(tmp_path)) == 4 and list_files(tmp_path) == files


def test_saving_again_writes_only_what_is_new_and_leaves_no_old_files(tmp_path: Path) -> None:
    index = make_index(40)
    index.save(tmp_path)
    first = {path: path.stat().st_mtime_ns for path in list_files(tmp_path) if "segment" in str(path)}
    index.delete(["item 1"])
    index.add(["a", "b"], make_vectors(2, seed=3))
    manifest = index.save(tmp_path)
    assert len(manifest.segments) == 2 and len(KnowledgeIndex.load(tmp_path)) == 41
    assert {path: path.stat().st_mtime_ns for path in first} == first
    named = {MANIFEST_NAME, *manifest.files}
    assert {path.relative_to(tmp_path).as_posix() for path in list_files(tmp_path)} == named
    for number in range(60):
        index.add([f"more {number}"], make_vectors(1, seed=100 + number))
        index.save(tmp_path)
    assert len(index.manifest.segments) < 8, "small segments are joined"
    assert len(KnowledgeIndex.load(tmp_path, verify=True)) == 101


def test_an_index_goes_to_another_folder_whole(tmp_path: Path) -> None:
    index = make_edited_index(tmp_path / "one")
    expected = use(tmp_path / "one", True)
    index.save(tmp_path / "two")
    assert use(tmp_path / "two", True) == expected == use(tmp_path / "one", True)
    assert [record.num_deleted for record in index.manifest.segments] == [0]


def test_a_second_writer_fails_at_once_and_a_late_one_too(tmp_path: Path) -> None:
    index = make_edited_index(tmp_path)
    late = KnowledgeIndex.load(tmp_path)
    index.delete(["item 5"])
    index.save(tmp_path)
    late.delete(["item 6"])
    with pytest.raises(IndexLockedError, match=r"changed since it was loaded \(generation 3 there, 2 here\)"):
        late.save(tmp_path)
    assert "item 6" in KnowledgeIndex.load(tmp_path) and "item 5" not in KnowledgeIndex.load(tmp_path)


def test_a_reader_goes_on_with_what_it_opened(tmp_path: Path) -> None:
    index = make_edited_index(tmp_path)
    reader = KnowledgeIndex.load(tmp_path, verify=False)
    index.delete([f"item {number}" for number in range(60)])
    index.save(tmp_path)
    assert len(KnowledgeIndex.load(tmp_path)) == 1
    assert len(reader.search(make_vectors(1), 100)[0]) == 60


def test_a_planted_pickle_is_never_opened(tmp_path: Path) -> None:
    import pickle  # noqa: TID251 (to plant one)

    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harmed",))

    make_edited_index(tmp_path / "index", search=SearchSettings(kind="ivf"), count=1100)
    for path in list_files(tmp_path / "index"):
        content = path.read_bytes()
        path.write_bytes(pickle.dumps(Harm()))
        with pytest.raises((IndexCorruptError, IndexMismatchError)):
            KnowledgeIndex.load(tmp_path / "index")
        path.write_bytes(content)
    (tmp_path / "index" / "more.pkl").write_bytes(pickle.dumps(Harm()))
    assert len(KnowledgeIndex.load(tmp_path / "index")) == 1100
    assert not (tmp_path / "harmed").exists()


def test_content_of_a_manifest_is_held_to_its_checksum(tmp_path: Path) -> None:
    make_index().save(tmp_path)
    path = tmp_path / MANIFEST_NAME
    content = json.loads(path.read_text())
    content["num_items"] = 6
    path.write_text(json.dumps(content, indent=2) + "\n")
    with pytest.raises(IndexCorruptError, match="does not match its checksum"):
        KnowledgeIndex.load(tmp_path)
