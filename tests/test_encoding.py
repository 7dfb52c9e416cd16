"""Encoding gives each item the embedding it has alone, in bounded batches that shrink when memory runs out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rablip import RablipRetriever, RablipRetrieverProcessor
from rablip import encoding as encoding_module
from rablip.encoding import KnowledgeEncoder, encode_knowledge
from rablip.knowledge_base import KnowledgeBase
from rablip.processing import ImageError, ImageRef, KnowledgeItem
from tests.processing.tiny_tokenizers import make_retriever_processor
from tests.test_knowledge_base import png
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
    with pytest.raises(RuntimeError, match="Knowledge item 'id 1' alone does not fit"):
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


def test_few_large_pictures_wait_at_a_time(
    retriever: Any, processor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [KnowledgeItem(id=str(number), image=ImageRef(data=png((50, 50)))) for number in range(9)]
    base, _ = KnowledgeBase.write(items, tmp_path / "base")
    monkeypatch.setattr(encoding_module, "_MAX_WAITING_PIXELS", 5000)
    batches = [len(ids) for ids, _ in KnowledgeEncoder(retriever, processor).stream(base)]
    assert batches == [2, 2, 2, 2, 1]


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
    assert sum(len(ids) for ids, _ in encoder.stream(base)) == 3
    assert encoder.num_truncated == 1


def test_a_picture_that_is_gone_is_named(retriever: Any, processor: Any, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    item = KnowledgeItem(id="a", image=ImageRef(path="a.png"))
    base, _ = KnowledgeBase.write([item], tmp_path / "base", root=tmp_path, images="reference")
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match=r"'a': .*a\.png"):
        encode_knowledge(retriever, processor, base)


@pytest.mark.parametrize("batch_size", [0, -1, True, 2.0])
def test_batch_size_is_checked(retriever: Any, processor: Any, batch_size: Any) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        KnowledgeEncoder(retriever, processor, batch_size=batch_size)
