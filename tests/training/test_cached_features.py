"""A view of cached features reads single rows through a memory map and notices changed pictures and damaged files."""

from __future__ import annotations

import os
import shutil
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rablip.processing import ImageError, ImageRef
from rablip.training import TrainingPool
from rablip.training.features.cache import FeatureCache
from rablip.training.features.cached_features import CachedFeatures
from tests.processing.tiny_tokenizers import make_image_processor
from tests.tiny import NUM_IMAGE_TOKENS, make_retriever
from tests.training.feature_inputs import encode_png, write_pictures

SHAPE = (NUM_IMAGE_TOKENS, 24)


@pytest.fixture(scope="module")
def model() -> Any:
    return make_retriever()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


@pytest.fixture
def cache(tmp_path: Path, model: Any) -> FeatureCache:
    return FeatureCache.open(
        tmp_path / "cache", model=model, image_processor=make_image_processor(), dtype=torch.float32
    )


@pytest.fixture
def features(cache: FeatureCache, root: Path) -> CachedFeatures:
    pictures = write_pictures(root, 6)
    cache.build(pictures, root=root, shard_size=6)
    return cache.view(pictures, root=root)


def the_shard(cache: FeatureCache) -> Path:
    (path,) = cache.folder.glob("features-*.safetensors")
    return path


def reopen(cache: FeatureCache, model: Any) -> FeatureCache:
    return FeatureCache.open(cache.folder, model=model, image_processor=make_image_processor(), dtype=torch.float32)


def test_it_is_a_mapping_of_single_rows(features: CachedFeatures) -> None:
    assert len(features) == 6 and "id 3" in features and "id 9" not in features and features.get("id 9") is None
    with pytest.raises(KeyError):
        features["id 9"]
    pool = TrainingPool(items={}, examples=[], features=features)
    assert pool.stack_features(["id 4", "id 1"]).shape == (2, *SHAPE) and pool.feature_lookup is not None
    first = features["id 3"].clone()
    row = features["id 3"]
    assert row.untyped_storage().nbytes() == row.numel() * 4  # nothing of the other rows travels with it
    row.zero_()
    assert torch.equal(features["id 3"], first)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc to see the memory map in")
def test_the_file_is_mapped_not_read(cache: FeatureCache, features: CachedFeatures) -> None:
    def maps() -> int:
        return sum(str(the_shard(cache)) in line for line in Path("/proc/self/maps").read_text().splitlines())

    assert maps() == 0  # building and viewing keep nothing open
    features["id 0"]
    assert maps() == 1


def test_a_view_travels_to_another_process_without_its_open_files(features: CachedFeatures) -> None:
    expected = {key: value.clone() for key, value in features.items()}
    sent = ForkingPickler.dumps(features)
    assert len(sent) < 5_000
    received = ForkingPickler.loads(sent)
    assert list(received) == list(features)
    assert all(torch.equal(received[key], value) for key, value in expected.items())


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_worker_processes_read_the_same(features: CachedFeatures, method: str) -> None:
    keys = list(features)
    expected = [features[key].clone() for key in keys]
    loader = torch.utils.data.DataLoader(
        features,  # type: ignore[arg-type]
        sampler=keys,
        batch_size=None,
        num_workers=2,
        multiprocessing_context=method,
    )
    received = list(loader)
    assert len(received) == len(keys) and all(map(torch.equal, received, expected))


def test_a_view_does_not_depend_on_the_working_folder(
    cache: FeatureCache, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = write_pictures(root, 1)
    monkeypatch.chdir(root)
    cache.build(pictures)
    features = cache.view(pictures)
    monkeypatch.chdir(tmp_path)
    assert features["id 0"].shape == SHAPE


def test_a_changed_picture_is_not_in_the_cache(cache: FeatureCache, root: Path) -> None:
    pictures = write_pictures(root, 6)
    cache.build(pictures, root=root)
    (root / "0.png").write_bytes(encode_png(50))
    with pytest.raises(ValueError, match=r"1 of 6 pictures are not in the cache .*: 'id 0' \(0.png\). Run build"):
        cache.view(pictures, root=root)
    assert cache.build(pictures, root=root).num_encoded == 1
    assert not torch.equal(*(cache.view({"x": image}, root=root)["x"] for image in seeds(0, 50)))


def seeds(*numbers: int) -> list[ImageRef]:
    return [ImageRef(data=encode_png(number)) for number in numbers]


def test_a_picture_that_changes_after_the_view_is_noticed(
    cache: FeatureCache, features: CachedFeatures, root: Path
) -> None:
    received = ForkingPickler.loads(ForkingPickler.dumps(features))
    path, expected = root / "2.png", features["id 2"].clone()
    os.utime(path, (1, 1))  # touched, the same bytes
    assert torch.equal(features["id 2"], expected) and torch.equal(received["id 2"], expected)
    path.write_bytes(encode_png(52))
    for view in (features, received):
        with pytest.raises(ValueError, match=r"Picture 2.png of 'id 2' has changed .* Build the cache again"):
            view["id 2"]
        assert view["id 4"].shape == SHAPE
    path.write_bytes(encode_png(2))
    assert torch.equal(features["id 2"], expected)
    path.unlink()
    with pytest.raises(ImageError, match="picture of 'id 2' cannot be used. Picture 2.png is missing"):
        features["id 2"]


def test_a_picture_replaced_with_its_old_time_and_size_is_noticed(features: CachedFeatures, root: Path) -> None:
    path = root / "2.png"
    before = path.stat()
    other = root / "other.png"
    other.write_bytes(encode_png(52))
    assert other.stat().st_size == before.st_size
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, path)
    with pytest.raises(ValueError, match="has changed"):
        features["id 2"]


def test_a_picture_that_becomes_a_link_out_of_its_folder_is_refused(
    features: CachedFeatures, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside.png").write_bytes(encode_png(2))
    (root / "2.png").unlink()
    (root / "2.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(ImageError, match="lies outside its folder"):
        features["id 2"]


def test_truncated_files_are_named_at_opening_and_at_access(
    cache: FeatureCache, features: CachedFeatures, model: Any
) -> None:
    path = the_shard(cache)
    whole = path.read_bytes()
    assert features["id 0"].shape == SHAPE  # now the file is mapped
    for length in (0, 5, 300, len(whole) - 1):
        os.truncate(path, length)
        with pytest.raises(ValueError, match=f"{path.name} is truncated or damaged"):
            features["id 0"]
        with pytest.raises(ValueError, match=f"{path.name} is truncated or damaged.*build again"):
            reopen(cache, model)
        path.write_bytes(whole)
    assert features["id 0"].shape == SHAPE
    path.unlink()
    with pytest.raises(ValueError, match=f"{path.name} is missing"):
        features["id 0"]
    assert len(reopen(cache, model)) == 0


def test_swapped_files_are_named(cache: FeatureCache, features: CachedFeatures, root: Path, tmp_path: Path) -> None:
    path = the_shard(cache)
    other_model = make_retriever(seed=5)
    other = FeatureCache.open(
        tmp_path / "other", model=other_model, image_processor=make_image_processor(), dtype=torch.float32
    )
    other.build(write_pictures(root, 6), root=root)
    assert the_shard(other).name == path.name  # the same pictures
    shutil.copy(the_shard(other), path)
    with pytest.raises(ValueError, match=f"{path.name} is of another cache: it has the fingerprint"):
        features["id 0"]
    mine = cache.folder / f"features-{'0' * 32}.safetensors"
    shutil.copy(the_shard(other), the_shard(other).with_name(mine.name))
    with pytest.raises(ValueError, match=f"{mine.name} has the name of another shard, it is {path.name}"):
        reopen(other, other_model)


def test_a_flipped_byte_is_never_served(cache: FeatureCache, features: CachedFeatures, model: Any, full: bool) -> None:
    path = the_shard(cache)
    whole = path.read_bytes()
    expected = {key: value.clone() for key, value in features.items()}
    generator = np.random.default_rng(0)
    noticed = 0
    positions = range(len(whole)) if full else generator.choice(len(whole), 60, replace=False)
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        fresh = ForkingPickler.loads(ForkingPickler.dumps(features))
        for key, value in expected.items():
            try:
                assert torch.equal(fresh[key], value)  # another row's byte
            except ValueError as error:
                assert path.name in str(error)
                noticed += 1
    assert noticed >= len(positions)
