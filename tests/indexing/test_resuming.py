"""Encoding is gone on with where it was killed, by however many processes, and several make what one makes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from rablip import KnowledgeItem, build_index, open_index
from rablip.encoding import KnowledgeEncoder
from rablip.encoding.shards import SHARDS_NAME
from rablip.index import IndexManifest
from rablip.processing import ImageRef
from tests.conftest import ROOT
from tests.module_processes import run_module

NUM_ITEMS, SHARD_SIZE = 50, 8


class StopHereError(RuntimeError):
    pass


def make_items(folder: Path, *, changed: int | None = None) -> list[KnowledgeItem]:
    items = []
    for number in range(NUM_ITEMS):
        text = f"Tower {number} opened in {1800 + number}. " * (1 + number % 3)
        image = None
        if number % 4 == 0:
            Image.new("RGB", (12, 9 + number), (5 * number, 90, 255 - number)).save(folder / f"{number}.png")
            image = ImageRef(path=f"{number}.png")
        items.append(
            KnowledgeItem(id=f"i{number}", text=text + ("again" if number == changed else ""), image=image, title="T")
        )
    return items


def build(items: list[KnowledgeItem], out: Path, model: Path, folder: Path, **options: Any) -> list[str]:
    """Build, and return the ids of what went through the model."""
    encoded: list[str] = []
    original = KnowledgeEncoder.stream

    def count(self: Any, items: Any, *arguments: Any) -> Iterator[Any]:
        for part, embeddings in original(self, items, *arguments):
            encoded.extend(item.id for item in part)
            yield part, embeddings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KnowledgeEncoder, "stream", count)
        build_index(
            items, model=model, out=out, root=folder, shard_size=SHARD_SIZE, batch_size=4, progress=False, **options
        )
    return encoded


def stop_after(num_batches: int, patch: pytest.MonkeyPatch) -> None:
    original = KnowledgeEncoder._run_model
    done = []

    def run_model(self: Any, *arguments: Any) -> Any:
        done.append(1)
        if len(done) > num_batches:
            raise StopHereError
        return original(self, *arguments)

    patch.setattr(KnowledgeEncoder, "_run_model", run_model)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    build(make_items(folder), folder / "index", tiny_bundle, folder)
    return folder / "index"


@pytest.fixture
def half(tmp_path: Path, tiny_bundle: Path) -> Path:
    """A build that stopped after some shards."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(9, patch)
        with pytest.raises(StopHereError):
            build(make_items(tmp_path), tmp_path / "index", tiny_bundle, tmp_path)
    assert len(list((tmp_path / "index" / SHARDS_NAME).glob("shard-*"))) == 3
    return tmp_path / "index"


def assert_same(index: Path, other: Path) -> None:
    one, two = open_index(index)[0], open_index(other)[0]
    assert one.ids == two.ids == [f"i{number}" for number in range(NUM_ITEMS)]
    np.testing.assert_array_equal(one.get(one.ids), two.get(two.ids))
    assert not (index / SHARDS_NAME).exists()


def test_a_run_that_stopped_encodes_only_what_is_missing(half: Path, whole: Path, tiny_bundle: Path) -> None:
    encoded = build(make_items(half.parent), half, tiny_bundle, half.parent)
    assert encoded == [f"i{number}" for number in range(3 * SHARD_SIZE, NUM_ITEMS)]
    assert_same(half, whole)


def test_an_item_that_changed_meanwhile_is_encoded_again(half: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    encoded = build(make_items(tmp_path, changed=10), half, tiny_bundle, tmp_path)
    assert encoded == [f"i{number}" for number in [*range(8, 16), *range(24, NUM_ITEMS)]]
    (tmp_path / "other").mkdir()
    build(make_items(tmp_path / "other", changed=10), tmp_path / "other" / "index", tiny_bundle, tmp_path / "other")
    assert_same(half, tmp_path / "other" / "index")


@pytest.mark.parametrize("images", ["embed", "reference"])
def test_a_picture_that_changed_meanwhile_is_encoded_again(
    half: Path, tiny_bundle: Path, tmp_path: Path, images: str
) -> None:
    items = make_items(tmp_path)
    Image.new("RGB", (12, 9), "white").save(tmp_path / "0.png")
    encoded = build(items, half, tiny_bundle, tmp_path, images=images)
    assert encoded == [f"i{number}" for number in [*range(8), *range(24, NUM_ITEMS)]]


def test_shards_of_another_model_or_precision_are_never_taken(half: Path, tiny_bundle: Path) -> None:
    encoded = build(make_items(half.parent), half, tiny_bundle, half.parent, bf16=True)
    assert len(encoded) == NUM_ITEMS
    assert IndexManifest.load(half).encoding_dtype == "bfloat16"


def test_a_shard_that_a_disk_altered_is_named(half: Path, tiny_bundle: Path) -> None:
    path = next((half / SHARDS_NAME).glob("shard-*0.safetensors"))
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=f"{path.name} is damaged"):
        build(make_items(half.parent), half, tiny_bundle, half.parent)


def test_a_shard_that_is_no_shard_is_encoded_again(half: Path, whole: Path, tiny_bundle: Path) -> None:
    for number, content in enumerate((b"", b"cut")):
        (half / SHARDS_NAME / f"shard-{number:08d}.safetensors").write_bytes(content)
    path = half / SHARDS_NAME / "shard-00000002.safetensors"
    save_file(load_file(path), path)  # without what it tells of itself
    assert len(build(make_items(half.parent), half, tiny_bundle, half.parent)) == NUM_ITEMS
    assert_same(half, whole)


def test_a_disk_that_is_too_small_is_said_before_anything_is_encoded(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = make_items(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2000))
    with pytest.raises(OSError, match=r"50 items need about \d{4,} bytes .* 2000 are free"):
        build(items, tmp_path / "index", tiny_bundle, tmp_path)
    assert not (tmp_path / "index" / "manifest.json").exists()
    assert not list((tmp_path / "index").rglob("shard-*"))


@pytest.mark.parametrize("size", [0, -1, True])
def test_the_size_of_shards_is_checked(tmp_path: Path, tiny_bundle: Path, size: Any) -> None:
    items = [KnowledgeItem(id="a", text="It opened.")]
    with pytest.raises(ValueError, match="shard_size"):
        build_index(items, model=tiny_bundle, out=tmp_path / "index", shard_size=size, progress=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    rows = []
    for item in make_items(folder):
        row = {"id": item.id, "text": item.text, "title": item.title}
        rows.append(row | ({"file_name": item.image.path} if item.image is not None else {}))
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def run_build(source: Path, model: Path, out: Path, *killed: int, num_processes: int) -> list[int]:
    """Batches that each process ran."""
    arguments = (source, model, out, str(SHARD_SIZE), *map(str, killed or (-1, -1)))
    run_module("tests.indexing.build_process", *arguments, num_processes=num_processes)
    reports = [json.loads(Path(f"{out}-{rank}.json").read_text()) for rank in range(num_processes)]
    assert {report["num_items"] for report in reports} == {NUM_ITEMS}
    return [report["batches"] for report in reports]


@pytest.mark.slow
def test_two_processes_make_what_one_makes_and_a_killed_one_loses_a_shard(
    source: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    alone, together, killed = tmp_path / "alone", tmp_path / "together", tmp_path / "killed"
    (all_batches,) = run_build(source, tiny_bundle, alone, num_processes=1)
    shared = run_build(source, tiny_bundle, together, num_processes=2)
    assert sum(shared) == all_batches and min(shared) > 0
    assert_same(together, alone)
    # The second process is killed in its third shard; torchrun ends the first one too, wherever that is.
    with pytest.raises(AssertionError, match="(?i)signal|fail"):
        run_build(source, tiny_bundle, killed, 1, 8, num_processes=2)
    assert not (killed / "manifest.json").exists()
    left = {path.name for path in (killed / SHARDS_NAME).glob("shard-*")}
    assert {"shard-00000001.safetensors", "shard-00000003.safetensors"} <= left
    shutil.copytree(killed, tmp_path / "again")
    # Another number of processes goes on, and encodes nothing that is there.
    (rest,) = run_build(source, tiny_bundle, tmp_path / "again", num_processes=1)
    assert rest <= all_batches - 4 * len(left) / 2
    assert_same(tmp_path / "again", alone)


@pytest.mark.slow
def test_an_error_of_one_process_ends_all(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stranger").write_text("mine")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["-m", "rablip", "index", "build", str(source), "--model", str(tiny_bundle), "--out"]
    done = subprocess.run(
        [*command, *arguments, str(tmp_path / "out")], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode != 0 and "holds something else than an index" in done.stderr
