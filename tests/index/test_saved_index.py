"""A saved index is the old one or the new one, and any damage or another model is noticed before it is used."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rablip.index import IndexCorruptError, IndexManifest, IndexMismatchError, KnowledgeIndex
from rablip.index import storage as storage_module
from rablip.index.manifest import MANIFEST_NAME
from tests.index.test_knowledge_index import make_index, make_manifest, make_vectors


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    index = make_index(9)
    manifest = index.save(tmp_path)
    loaded = KnowledgeIndex.load(tmp_path)
    assert loaded.manifest == manifest == index.manifest
    assert (manifest.num_items, manifest.metric, manifest.normalized, manifest.dtype) == (
        9,
        "inner_product",
        True,
        "float32",
    )
    assert manifest.rablip_version and manifest.created.endswith("+00:00")
    questions = make_vectors(3, seed=2)
    assert loaded.search(questions, 4) == index.search(questions, 4)


@pytest.mark.parametrize("name", ["manifest", "vectors", "ids"])
def test_every_flipped_byte_and_every_cut_is_noticed(tmp_path: Path, name: str, full: bool) -> None:
    make_index(6).save(tmp_path)
    (path,) = tmp_path.glob(f"{name}*")
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    positions = range(len(content)) if full else generator.choice(len(content), 60, replace=False)
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        with pytest.raises((IndexCorruptError, IndexMismatchError), match=path.name):
            KnowledgeIndex.load(tmp_path)
        path.write_bytes(content[:position])
        with pytest.raises(IndexCorruptError, match=path.name):
            KnowledgeIndex.load(tmp_path)
    path.write_bytes(content)
    assert len(KnowledgeIndex.load(tmp_path)) == 6


def test_missing_and_swapped_files_are_noticed(tmp_path: Path) -> None:
    make_index(6).save(tmp_path / "one")
    make_index(5).save(tmp_path / "two")
    (mine,), (other,) = (list((tmp_path / name).glob("ids-*")) for name in ("one", "two"))
    mine.write_bytes(other.read_bytes())
    with pytest.raises(IndexCorruptError, match=mine.name):
        KnowledgeIndex.load(tmp_path / "one")
    mine.unlink()
    with pytest.raises(IndexCorruptError, match=f"{mine.name} is missing"):
        KnowledgeIndex.load(tmp_path / "one")
    (tmp_path / "one" / MANIFEST_NAME).unlink()
    with pytest.raises(FileNotFoundError, match="is not an index, or its build did not end"):
        KnowledgeIndex.load(tmp_path / "one")


def test_vectors_and_ids_that_do_not_belong_together_are_noticed_even_with_right_hashes(tmp_path: Path) -> None:
    index = make_index(6)
    index._internal_ids["item 5"] = range(40, 41)
    index._next_id = 41
    index.save(tmp_path)
    with pytest.raises(IndexCorruptError, match="6 items, there are 6 ids with 6 vectors and 6 vectors, or they are"):
        KnowledgeIndex.load(tmp_path)


def test_another_model_is_refused_with_both_values(tmp_path: Path) -> None:
    make_index().save(tmp_path)
    with pytest.raises(IndexMismatchError) as caught:
        KnowledgeIndex.load(tmp_path, expected={"model_fingerprint": "cd34", "embedding_dim": 8})
    for part in ("tower", "'ab12'", "'cd34'", "embedding_dim: the index has 4, the model here 8"):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="unknown fields"):
        KnowledgeIndex.load(tmp_path, expected={"dimension": 8})


def test_another_format_version_is_refused_with_both_values(tmp_path: Path) -> None:
    with pytest.raises(IndexMismatchError, match="format version 7, this rablip reads 2"):
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
    ],
)
def test_impossible_manifests_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        make_manifest(**changes)


def test_a_file_outside_the_folder_is_never_opened(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    make_index().save(folder)
    manifest = IndexManifest.load(folder)
    (ids,) = folder.glob("ids-*")
    (tmp_path / ids.name).write_bytes(ids.read_bytes())
    content = json.loads(manifest.to_json())
    content.pop("checksum")
    files = {f"../{name}" if name == ids.name else name: record for name, record in manifest.files.items()}
    IndexManifest(**{**content, "files": files}).save(folder)
    with pytest.raises(IndexCorruptError, match="outside the index"):
        KnowledgeIndex.load(folder)


def test_a_crash_at_any_step_of_a_save_leaves_the_old_or_the_new_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_index(4).save(tmp_path)
    newer = make_index(4)
    newer.add(["item 4"], make_vectors(1, seed=7))
    step = 0
    seen = set()
    while True:
        step += 1
        left = [step]

        def count(name: str, original: Any, left: list[int] = left) -> Any:
            def counted(*args: Any, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt(name)  # like a kill, not caught by `except Exception`
                return original(*args, **kwargs)

            return counted

        with monkeypatch.context() as patch:
            for owner, name in ((os, "replace"), (os, "fsync"), (Path, "replace"), (Path, "unlink")):
                patch.setattr(owner, name, count(name, getattr(owner, name)))
            try:
                newer.save(tmp_path)
                interrupted = False
            except KeyboardInterrupt:
                interrupted = True
        size = len(KnowledgeIndex.load(tmp_path))
        seen.add(size)
        assert size in (4, 5)
        if not interrupted:
            break
    assert step > 6
    assert seen == {4, 5}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_leaves_the_old_index_and_says_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_index(4).save(tmp_path)
    newer = make_index(5)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage_module, "write_atomically", full)
    with pytest.raises(OSError, match=r"needs about 120 bytes.*as it was.*No space left"):
        newer.save(tmp_path)
    monkeypatch.undo()
    assert len(KnowledgeIndex.load(tmp_path)) == 4
    assert len(list(tmp_path.iterdir())) == 3


def test_saving_again_replaces_and_leaves_no_old_files(tmp_path: Path) -> None:
    index = make_index(4)
    index.save(tmp_path)
    index.delete(["item 1"])
    index.save(tmp_path)
    assert KnowledgeIndex.load(tmp_path).ids == ["item 0", "item 2", "item 3"]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".faiss", ".json", ".json"]


def test_a_planted_pickle_is_never_opened(tmp_path: Path) -> None:
    import pickle  # noqa: TID251 (to plant one)

    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harmed",))

    make_index().save(tmp_path)
    for path in list(tmp_path.iterdir()):
        content = path.read_bytes()
        path.write_bytes(pickle.dumps(Harm()))
        with pytest.raises((IndexCorruptError, IndexMismatchError)):
            KnowledgeIndex.load(tmp_path)
        path.write_bytes(content)
    assert not (tmp_path / "harmed").exists()
