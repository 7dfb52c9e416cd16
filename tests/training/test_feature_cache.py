"""Cached features are the tower's own, each picture is encoded once, and nothing stale or damaged is served."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from rablip.processing import ImageError, ImageRef, load_image
from rablip.training.features.cache import FeatureCache
from rablip.training.features.manifest import MANIFEST_NAME
from rablip.training.runs.adapters import add_lora
from tests.processing.tiny_tokenizers import make_image_processor, make_retriever_processor
from tests.tiny import LM_VOCAB_SIZE, NUM_IMAGE_TOKENS, make_generator, make_retriever
from tests.tiny_inputs import generator_rows, join_generator_rows, join_trunk_rows, trunk_rows
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
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def open_cache(folder: Path, model: Any, dtype: torch.dtype = torch.float32, image_processor: Any = None) -> Any:
    return FeatureCache.open(
        folder, model=model, image_processor=image_processor or make_image_processor(), dtype=dtype
    )


def prepare(pictures: Mapping[str, ImageRef], root: Path) -> torch.Tensor:
    opened = [load_image(image, root=root) for image in pictures.values()]
    return make_image_processor()(opened, return_tensors="pt")["pixel_values"]


@torch.no_grad()
def encode(model: Any, pictures: Mapping[str, ImageRef], root: Path) -> torch.Tensor:
    return model.encode_images(prepare(pictures, root))[:, 0]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float16, 2**-10), (torch.bfloat16, 2**-7)]
)
def test_features_are_the_towers_own(
    folder: Path, root: Path, model: Any, dtype: torch.dtype, tolerance: float
) -> None:
    pictures = write_pictures(root, 7)
    cache = open_cache(folder, model, dtype)
    report = cache.build(pictures, root=root, batch_size=3, shard_size=4)
    assert (report.num_pictures, report.num_encoded, report.num_found, len(cache)) == (7, 7, 0, 7)
    assert report.num_bytes == sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert len(list(folder.glob("*.safetensors"))) == 2
    features = cache.view(pictures, root=root)
    assert list(features) == list(pictures) and features.dtype is dtype
    expected = encode(model, pictures, root)
    assert torch.pdist(expected.flatten(1)).min() > 0.1  # otherwise a wrong row would not be seen
    for key, row in zip(pictures, expected, strict=True):
        assert features[key].dtype is dtype
        torch.testing.assert_close(features[key].float(), row, rtol=tolerance, atol=min(tolerance, 1e-4))


def cached_slots(cache: FeatureCache, pictures: Mapping[str, ImageRef], root: Path, mask: torch.Tensor) -> Any:
    features = cache.view(pictures, root=root)
    stacked = torch.stack([features[key] for key in pictures]).unflatten(0, tuple(mask.shape))
    return torch.where(mask[:, :, None, None].bool(), stacked, 0.0)


@pytest.mark.parametrize("kind", ["retriever", "generator"])
def test_the_loss_is_the_same_with_the_cache(folder: Path, root: Path, kind: str) -> None:
    pictures = write_pictures(root, 12)
    generator = torch.Generator().manual_seed(3)
    if kind == "retriever":
        model, batch = make_retriever(), join_trunk_rows(trunk_rows())
        inputs = {f"knowledge_{name}": value for name, value in batch.items()}
        inputs |= {name: batch[name] for name in ("input_ids", "attention_mask")}
        prefix = "knowledge_"
    else:
        model, inputs, prefix = make_generator("t5"), join_generator_rows(generator_rows()), ""
        inputs["labels"] = torch.randint(5, LM_VOCAB_SIZE - 5, (4, 6), generator=generator)
    mask = inputs[f"{prefix}image_mask"]
    inputs[f"{prefix}pixel_values"] = prepare(pictures, root).unflatten(0, tuple(mask.shape))
    expected = model(**inputs).loss
    cache = open_cache(folder, model)
    cache.build(pictures, root=root, batch_size=5)
    del inputs[f"{prefix}pixel_values"]
    inputs[f"{prefix}image_embeds"] = cached_slots(cache, pictures, root, mask)
    cached = model(**inputs).loss
    assert abs(cached.item() - expected.item()) <= 1e-6
    inputs[f"{prefix}image_embeds"] = inputs[f"{prefix}image_embeds"].flip(1, 0)
    assert abs(model(**inputs).loss.item() - expected.item()) > 1e-4  # the pictures do matter


def test_equal_pictures_are_encoded_once_and_a_second_build_adds_only_what_is_new(
    folder: Path, root: Path, model: Any
) -> None:
    pictures = write_pictures(root, 4)
    twins = {"by bytes": ImageRef(data=encode_png(0)), "by path": ImageRef(path="twin.png")}
    (root / "twin.png").write_bytes(encode_png(1))
    cache = open_cache(folder, model)
    report = cache.build({**pictures, **twins}, root=root)
    assert (report.num_pictures, report.num_encoded, report.num_found) == (6, 4, 0)
    features = cache.view({**pictures, **twins}, root=root)
    assert torch.equal(features["by bytes"], features["id 0"]) and torch.equal(features["by path"], features["id 1"])
    with pytest.raises(ValueError, match=r"1 of 3 pictures are not in the cache .*'id 5' \(<\d+ bytes.*Run build"):
        cache.view({**twins, **write_pictures(root, 1, first=5)}, root=root)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    again = open_cache(folder, model)
    report = again.build({**pictures, **write_pictures(root, 3, first=3)}, root=root)
    assert (report.num_encoded, report.num_found, len(again)) == (2, 4, 6)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(cache.view(write_pictures(root, 6), root=root)) == 6  # the other object sees the new file


@pytest.mark.parametrize("num_processes", [2, 3])
def test_order_and_number_of_processes_change_nothing(
    tmp_path: Path, root: Path, model: Any, num_processes: int
) -> None:
    pictures = write_pictures(root, 9)
    alone = open_cache(tmp_path / "alone", model)
    alone.build(pictures, root=root, batch_size=4)
    shuffled = dict(reversed(pictures.items()))
    # All open before any builds, and the last one comes first: shares depend on neither.
    caches = [open_cache(tmp_path / "shared", model) for _ in range(num_processes)]
    reports = [
        cache.build(shuffled, root=root, batch_size=2, shard_size=2, rank=rank, num_processes=num_processes)
        for rank, cache in reversed(list(enumerate(caches)))
    ]
    assert sum(report.num_encoded for report in reports) == 9 and all(report.num_encoded for report in reports)
    one, several = alone.view(pictures, root=root), caches[0].view(pictures, root=root)
    for key in pictures:
        torch.testing.assert_close(several[key], one[key], rtol=1e-6, atol=1e-6)


def test_an_interrupted_build_loses_at_most_one_file(
    folder: Path, root: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = write_pictures(root, 11)
    original, calls = model.encode_images, []

    def stop(pixel_values: torch.Tensor) -> torch.Tensor:
        calls.append(len(pixel_values))
        if sum(calls) > 8:
            raise KeyboardInterrupt
        return original(pixel_values)

    model.vision_model.train()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(model, "encode_images", stop)
        open_cache(folder, model).build(pictures, root=root, batch_size=2, shard_size=3)
    assert all(module.training for module in model.vision_model.modules())
    model.eval()
    assert not list(folder.glob(".*"))
    cache = open_cache(folder, model)
    report = cache.build(pictures, root=root)
    assert (report.num_found, report.num_encoded) == (6, 5)
    features = cache.view(pictures, root=root)
    for key, row in zip(pictures, encode(model, pictures, root), strict=True):
        torch.testing.assert_close(features[key], row, rtol=1e-6, atol=1e-6)


def test_only_old_left_overs_of_killed_builds_are_deleted(folder: Path, root: Path, model: Any) -> None:
    cache = open_cache(folder, model)
    old, young = (folder / f".features-ab.safetensors.{number}.tmp" for number in (1, 2))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    cache.build(write_pictures(root, 1), root=root)
    assert young.exists() and not old.exists()


def test_another_tower_preprocessing_or_form_is_refused(folder: Path, root: Path, tmp_path: Path) -> None:
    model = make_retriever()
    pictures = write_pictures(root, 2)
    cache = open_cache(folder, model)
    cache.build(pictures, root=root)
    changed = make_retriever()
    with torch.no_grad():
        changed.vision_model.post_layernorm.bias[3] += 1e-6
    with pytest.raises(
        ValueError, match=r"made otherwise. tower.weights: the cache has '\w{64}', here it is '\w{64}'"
    ):
        open_cache(folder, changed)
    changed = make_retriever()
    changed.config.vision_config.layer_norm_eps = 1e-5
    with pytest.raises(ValueError, match="tower.layer_norm_eps: the cache has 1e-06, here it is 1e-05"):
        open_cache(folder, changed)
    processor = make_image_processor()
    processor.image_mean = [0.5, 0.5, 0.5]
    with pytest.raises(
        ValueError, match=r"preprocessing.image_mean: the cache has \[0.48.*here it is \[0.5, 0.5, 0.5"
    ):
        open_cache(folder, model, image_processor=processor)
    with pytest.raises(ValueError, match="dtype: the cache has 'float32', here it is 'bfloat16'"):
        open_cache(folder, model, torch.bfloat16)
    with pytest.raises(ValueError, match="dtype must be one of"):
        open_cache(folder, model, torch.float64)
    # Other heads around the same tower, and a saved and loaded one, are the same to the cache.
    make_retriever_processor().save_pretrained(tmp_path / "saved")
    model.save_pretrained(tmp_path / "saved")
    loaded = type(model).from_pretrained(tmp_path / "saved")
    loaded_processor = type(make_retriever_processor()).from_pretrained(tmp_path / "saved").image_processor
    with torch.no_grad():
        loaded.query_tokens.weight += 1
    assert len(open_cache(folder, loaded, image_processor=loaded_processor).view(pictures, root=root)) == 2
    with torch.no_grad():  # after opening: past .data, which no version counter sees
        model.vision_model.post_layernorm.bias.data[3] += 1
    with pytest.raises(ValueError, match="made otherwise"):
        cache.build(pictures, root=root)
    with pytest.raises(ValueError, match="made otherwise"):
        cache.view(pictures, root=root)


# peft asks for what transformers calls deprecated.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_adapters_around_the_tower_change_nothing(folder: Path, root: Path) -> None:
    model, pictures = make_generator("t5"), write_pictures(root, 3)
    open_cache(folder, model).build(pictures, root=root)
    cache = open_cache(folder, add_lora(make_generator("t5"), rank=2))
    assert (report := cache.build(pictures, root=root)).num_found == 3 and report.num_encoded == 0
    cache.build(more := write_pictures(root, 2, first=5), root=root)
    features = cache.view(more, root=root)
    for key, row in zip(more, encode(model, more, root), strict=True):
        torch.testing.assert_close(features[key], row, rtol=1e-6, atol=1e-6)


def test_a_damaged_or_lost_manifest_is_named(folder: Path, root: Path, model: Any) -> None:
    open_cache(folder, model).build(write_pictures(root, 1), root=root)
    path = folder / MANIFEST_NAME
    text = path.read_text()
    path.write_text(text[:40])
    with pytest.raises(ValueError, match=f"{MANIFEST_NAME} is not the manifest of a feature cache"):
        open_cache(folder, model)
    path.write_text(text.replace('"format_version": 1', '"format_version": 7'))
    with pytest.raises(ValueError, match="format version 7, this rablip reads 1"):
        open_cache(folder, model)
    path.unlink()
    with pytest.raises(ValueError, match="no manifest.json, so nobody knows of which tower"):
        open_cache(folder, model)


class _Counting(Mapping[str, ImageRef]):
    """Pictures that exist only when they are asked for."""

    def __init__(self, num_pictures: int) -> None:
        self.num_pictures = num_pictures

    def __getitem__(self, key: str) -> ImageRef:
        return ImageRef(data=encode_png(int(key)))

    def __iter__(self) -> Iterator[str]:
        return iter(map(str, range(self.num_pictures)))

    def __len__(self) -> int:
        return self.num_pictures


def test_few_pictures_are_in_memory_at_a_time(folder: Path, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = encoded = 0
    most = 0
    original, processor = model.encode_images, make_image_processor()

    class Processor(type(processor)):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal opened
            opened += 1
            return super().__call__(*args, **kwargs)

    def count(pixel_values: torch.Tensor) -> torch.Tensor:
        nonlocal encoded, most
        most = max(most, opened - encoded)
        encoded += len(pixel_values)
        return original(pixel_values)

    monkeypatch.setattr(model, "encode_images", count)
    cache = open_cache(folder, model, image_processor=Processor(**processor.to_dict()))
    cache.build(_Counting(60), batch_size=4, shard_size=8)
    assert encoded == opened == 60 and 4 <= most <= 8


def test_out_of_memory_halves_the_batch(
    folder: Path, root: Path, model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = write_pictures(root, 8)
    expected = encode(model, pictures, root)
    original, sizes, limit = model.encode_images, [], 2

    def small_memory(pixel_values: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixel_values))
        if sizes[-1] > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(pixel_values)

    monkeypatch.setattr(model, "encode_images", small_memory)
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("rablip"), "propagate", True)
    cache = open_cache(folder, model)
    with caplog.at_level(logging.WARNING):
        cache.build(pictures, root=root, batch_size=8)
    assert [size for size in sizes if size > 2] == [8, 4] and caplog.text.count("Out of memory") == 2
    features = cache.view(pictures, root=root)
    for key, row in zip(pictures, expected, strict=True):
        torch.testing.assert_close(features[key], row, rtol=1e-6, atol=1e-6)
    limit = 0
    with pytest.raises(RuntimeError, match="The picture of 'id 9' alone does not fit"):
        cache.build(write_pictures(root, 1, first=9), root=root)

    def broken(pixel_values: torch.Tensor) -> torch.Tensor:
        sizes.append(-1)
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(model, "encode_images", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cache.build(write_pictures(root, 2, first=20), root=root)
    assert sizes.count(-1) == 1


def test_pictures_that_cannot_be_used_are_named(folder: Path, root: Path, model: Any) -> None:
    cache = open_cache(folder, model)
    for image, message in (
        (ImageRef(path="gone.png"), "The picture of 'x' cannot be used. Picture gone.png is missing"),
        (ImageRef(path="../out.png"), "The picture of 'x' cannot be used. Picture ../out.png lies outside"),
        (ImageRef(data=b"no picture"), r"The picture of 'x' \(<10 bytes of picture data>\) cannot be used."),
    ):
        with pytest.raises(ImageError, match=message):
            cache.build({**write_pictures(root, 2), "x": image}, root=root)
    with pytest.raises(TypeError, match="picture of 'x' must be an ImageRef, got str"):
        cache.build({"x": "a.png"}, root=root)  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="shard_size must be a whole number of at least 1, got 0"):
        cache.build({}, shard_size=0)
    with pytest.raises(ValueError, match="rank must lie in 0..1, got 2"):
        cache.build({}, rank=2, num_processes=2)


def test_features_beyond_the_range_of_the_form_are_named(folder: Path, root: Path) -> None:
    model = make_retriever()
    with torch.no_grad():
        model.vision_model.post_layernorm.bias[3] = 1e6
    with pytest.raises(ValueError, match="features of 'id 0' are not finite in float16. Store bfloat16 or float32"):
        open_cache(folder, model, torch.float16).build(write_pictures(root, 1), root=root)
