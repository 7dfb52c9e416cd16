"""Encoding gives each item the embedding it has alone, in bounded batches that shrink when memory runs out."""

from __future__ import annotations

import gc
import logging
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rablip import RablipRetriever, RablipRetrieverProcessor
from rablip.encoding import KnowledgeEncoder, encode_knowledge
from rablip.encoding.batches import plan_batches, run_ahead
from rablip.knowledge_base import KnowledgeBase
from rablip.processing import ImageError, ImageRef, KnowledgeItem
from tests.knowledge_base.test_knowledge_base import png
from tests.processing.tiny_tokenizers import make_retriever_processor
from tests.tiny import make_retriever


@pytest.fixture(scope="module")
def retriever() -> RablipRetriever:
    return make_retriever()


@pytest.fixture(scope="module")
def processor() -> RablipRetrieverProcessor:
    return make_retriever_processor()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    colors = ["red", "green", "blue", "white", "black", "yellow"]
    items = []
    for number in range(23):
        text = f"item number {number} " + "and more " * (number % 4) if number % 3 != 1 else None
        image = ImageRef(data=png((9 + number, 20), colors[number % 6])) if number % 3 else None
        items.append(KnowledgeItem(id=f"id {number}", text=text, image=image, title=f"title {number}"))
    return KnowledgeBase.write(items, tmp_path_factory.mktemp("base"))[0]


def encode_alone(retriever: Any, processor: Any, base: KnowledgeBase) -> np.ndarray:
    rows = []
    for item in base:
        inputs = processor.process_knowledge([item], [base.open_item_image(item)])
        with torch.inference_mode():
            rows.append(retriever.encode_knowledge(**inputs)[0].numpy())
    return np.stack(rows)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_every_item_has_the_embedding_it_has_alone(
    retriever: Any, processor: Any, base: KnowledgeBase, batch_size: int
) -> None:
    embeddings = encode_knowledge(retriever, processor, base, batch_size=batch_size)
    assert embeddings.dtype == np.float32
    expected = encode_alone(retriever, processor, base)
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    distances = np.linalg.norm(expected[:, None] - expected[None], axis=-1) + np.eye(len(expected))
    assert distances.min() > 1e-3  # otherwise a wrong order would not be seen


def test_out_of_memory_halves_the_batch_once_and_loses_nothing(
    retriever: Any,
    processor: Any,
    base: KnowledgeBase,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = encode_knowledge(retriever, processor, base)
    original, sizes = retriever.encode_knowledge, []

    def small_memory(**inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(**inputs)

    monkeypatch.setattr(retriever, "encode_knowledge", small_memory)
    with caplog.at_level(logging.WARNING):
        embeddings = encode_knowledge(retriever, processor, base, batch_size=8)
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    assert [size for size in sizes if size > 2] == [8, 4]
    assert caplog.text.count("Out of memory") == 2


def test_an_item_that_never_fits_is_named(
    retriever: Any, processor: Any, base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(**_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(retriever, "encode_knowledge", no_memory)
    with pytest.raises(RuntimeError, match="Knowledge item 'id [0-9]+' alone does not fit"):
        encode_knowledge(retriever, processor, base, batch_size=3)


def test_other_errors_are_not_taken_for_lack_of_memory(
    retriever: Any, processor: Any, base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def broken(**_: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(retriever, "encode_knowledge", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        encode_knowledge(retriever, processor, base)
    assert len(calls) == 1


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_a_thread_holds_one_large_picture_in_full_size(
    retriever: Any, processor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_workers: int
) -> None:
    monkeypatch.setattr("rablip.encoding.encoder._PIXELS_AT_ONCE", 2000)
    items = [KnowledgeItem(id=str(number), image=ImageRef(data=png((50, 50 + number)))) for number in range(12)]
    base, _ = KnowledgeBase.write(items, tmp_path / "base")
    opened: list[weakref.ref[Image.Image]] = []
    most = []

    def open_image(item: KnowledgeItem) -> Image.Image | None:
        gc.collect()
        most.append(sum(picture() is not None for picture in list(opened)))
        picture = base.open_item_image(item)
        assert picture is not None
        opened.append(weakref.ref(picture))
        return picture

    encoder = KnowledgeEncoder(retriever, processor, batch_size=4, num_workers=num_workers)
    assert sum(len(part) for part, _ in encoder.stream(base, open_image)) == len(opened) == 12
    assert max(most) < max(1, num_workers) + 1


def test_a_picture_of_several_items_is_opened_and_looked_at_once(
    retriever: Any, processor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [ImageRef(data=png((8, 8), color)) for color in ("red", "blue")]
    items = [
        KnowledgeItem(id=str(number), text=f"text {number} " * number, image=pictures[number % 2])
        for number in range(1, 9)
    ]
    base, _ = KnowledgeBase.write(items, tmp_path / "base")
    expected = encode_alone(retriever, processor, base)
    opened, seen = [], []
    look = retriever.encode_images

    def encode_images(pixel_values: torch.Tensor, image_mask: torch.Tensor | None = None) -> torch.Tensor:
        seen.append(len(pixel_values))
        return look(pixel_values, image_mask)

    def open_image(item: KnowledgeItem) -> Image.Image | None:
        opened.append(item.id)
        return base.open_item_image(item)

    monkeypatch.setattr(retriever, "encode_images", encode_images)
    ((listed, embeddings),) = KnowledgeEncoder(retriever, processor).stream(base, open_image)
    assert [item.id for item in listed] == base.ids
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    assert len(opened) == 2 and seen == [2]


def test_items_come_in_their_order_whatever_the_batches(retriever: Any, processor: Any, base: KnowledgeBase) -> None:
    for batch_size, num_workers in ((2, 0), (5, 2)):
        encoder = KnowledgeEncoder(retriever, processor, batch_size=batch_size, num_workers=num_workers)
        listed = [item.id for items, _ in encoder.stream(base, base.open_item_image) for item in items]
        assert listed == base.ids


def test_batches_hold_every_item_once_and_pad_less_than_in_order() -> None:
    generator = np.random.default_rng(0)
    picture = ImageRef(data=b"same")
    items = [
        KnowledgeItem(
            id=str(number), text="x" * int(generator.integers(1, 500)), image=picture if number % 5 == 0 else None
        )
        for number in range(203)
    ]
    batches = plan_batches(items, 16)
    assert sorted(place for batch in batches for place in batch) == list(range(203))
    assert max(map(len, batches)) == 16
    assert all(len({items[place].image for place in batch}) == 1 for batch in batches)

    def padded(planned: list[list[int]]) -> int:
        return sum(len(batch) * max(len(items[place].text or "") for place in batch) for batch in planned)

    in_order = [list(range(start, min(start + 16, 203))) for start in range(0, 203, 16)]
    assert padded(batches) < 0.75 * padded(in_order)


def test_an_error_in_a_thread_is_raised_in_its_place_and_the_rest_is_not_made() -> None:
    made = []

    def make(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        made.append(number)
        return number

    taken = []
    with pytest.raises(ValueError, match="three"):
        for number in run_ahead(make, range(1000), 2):
            taken.append(number)
    assert taken == [0, 1, 2] and len(made) < 10


def test_bf16_is_near_fp32_and_said_in_the_name(retriever: Any, processor: Any, base: KnowledgeBase) -> None:
    exact = encode_knowledge(retriever, processor, base, bf16=False)
    rough = encode_knowledge(retriever, processor, base, bf16=True)
    assert not np.array_equal(exact, rough)
    assert (exact * rough).sum(axis=1).min() > 0.995
    assert KnowledgeEncoder(retriever, processor, bf16=True).dtype_name == "bfloat16"
    assert KnowledgeEncoder(retriever, processor, bf16=False).dtype_name == "float32"
    # The layers here are too narrow for bf16 to pay on any CPU.
    assert KnowledgeEncoder(retriever, processor).bf16 is False


def test_the_model_is_put_back_as_it_was(processor: Any, base: KnowledgeBase) -> None:
    retriever = make_retriever(
        qformer_config={**make_retriever().config.qformer_config.to_dict(), "hidden_dropout_prob": 0.5}
    )
    retriever.train()
    first, second = (encode_knowledge(retriever, processor, base) for _ in range(2))
    assert retriever.training
    np.testing.assert_array_equal(first, second)  # no dropout while encoding


def test_cut_items_are_counted(retriever: Any, processor: Any, tmp_path: Path) -> None:
    items = [KnowledgeItem(id=str(number), text="word " * (5000 if number == 1 else 2)) for number in range(3)]
    base, _ = KnowledgeBase.write(items, tmp_path / "base")
    encoder = KnowledgeEncoder(retriever, make_retriever_processor(max_knowledge_tokens=40))
    assert sum(len(part) for part, _ in encoder.stream(base, base.open_item_image)) == 3
    assert encoder.num_truncated == 1


def test_a_picture_that_is_gone_is_named(retriever: Any, processor: Any, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    item = KnowledgeItem(id="a", image=ImageRef(path="a.png"))
    base, _ = KnowledgeBase.write([item], tmp_path / "base", root=tmp_path, images="reference")
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match=r"'a': .*a\.png"):
        encode_knowledge(retriever, processor, base)


@pytest.mark.parametrize("value", [0, -1, True, 2.0])
def test_batch_size_and_workers_are_checked(retriever: Any, processor: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        KnowledgeEncoder(retriever, processor, batch_size=value)
    with pytest.raises(ValueError, match="num_workers"):
        KnowledgeEncoder(retriever, processor, num_workers=value or -1)
