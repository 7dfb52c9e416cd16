"""Tiny random models with their processors, a small knowledge base in memory and an answerer over both."""

from __future__ import annotations

import io
from typing import Any

import torch
from PIL import Image

from rablip.answering.answerer import RablipAnswerer
from rablip.answering.types import AnswerSettings
from rablip.index.knowledge_index import KnowledgeIndex
from rablip.index.manifest import IndexManifest
from rablip.processing.images_rablip import ImageError, load_image
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem
from tests import tiny
from tests.processing import tiny_tokenizers

MAX_IMAGES = 2
QUESTIONS = ["What color is the tower?", "Who built this?", "How many barrels does the boat of Velmor carry in all?"]
ALL_PASS = {"relevance_threshold": 0.0, "citation_threshold": 0.0, "abstain_threshold": 0.0}


def picture(color: str, size: int = 20) -> Image.Image:
    """A picture of one color."""
    return Image.new("RGB", (size, size), color)


def png(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def items() -> list[KnowledgeItem]:
    """Three texts, three pictures and two pictures with text."""
    colors = ("red", "green", "blue", "white", "black")
    pictures = [ImageRef(data=png(picture(color))) for color in colors]
    return [
        KnowledgeItem(id="t1", text="The harbor tower was built by Marlow.", title="Harbor Tower"),
        KnowledgeItem(id="t2", text="The red mill opened in 1743."),
        KnowledgeItem(id="t3", text="The blue boat carries 340 barrels."),
        KnowledgeItem(id="p1", image=pictures[0], caption="Harbor Tower in Kestrel", title="Harbor Tower"),
        KnowledgeItem(id="p2", image=pictures[1], caption="Velmor Tarn in Kestrel", title="Velmor Tarn"),
        KnowledgeItem(id="p3", image=pictures[2]),
        KnowledgeItem(id="b1", image=pictures[3], text="It carries 110 barrels.", title="Boat of Velmor"),
        KnowledgeItem(id="b2", image=pictures[4], text="It carries 250 barrels.", caption="Boat of the harbor"),
    ]


class MemoryBase:
    """A knowledge base in memory, as far as the answerer asks."""

    def __init__(self, stored: list[KnowledgeItem]) -> None:
        self.items = {item.id: item for item in stored}

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self.items

    def __getitem__(self, item_id: str) -> KnowledgeItem:
        return self.items[item_id]

    @property
    def ids(self) -> list[str]:
        return list(self.items)

    def root_of(self, item_id: str) -> None:
        """No picture is referenced below a root."""


def build_index(retriever: Any, processor: Any, stored: list[KnowledgeItem]) -> KnowledgeIndex:
    """An index of the items, encoded one by one so that no batch effect can hide."""
    dim = retriever.config.embedding_dim
    index = KnowledgeIndex.create(IndexManifest(model_id="tiny", model_fingerprint="0", embedding_dim=dim))
    for item in stored:
        try:
            image = None if item.image is None else load_image(item.image)
        except ImageError:
            image = None
        inputs = processor.process_knowledge([item], None if image is None else [image])
        with torch.no_grad():
            index.add([item.id], retriever.encode_knowledge(**inputs).numpy())
    return index


def make_parts(language_model: str = "t5") -> dict[str, Any]:
    """Tiny models and processors by the names of the answerer's arguments."""
    processor = tiny_tokenizers.make_retriever_processor(max_images=MAX_IMAGES)
    generator_processor = tiny_tokenizers.make_processor(language_model, max_images=MAX_IMAGES)
    generator = tiny.make_generator(
        language_model, max_images=MAX_IMAGES, image_token_index=generator_processor.image_token_id
    )
    with torch.no_grad():
        for name, parameter in generator.language_model.named_parameters():
            # So that what a random T5 or Llama writes depends on what it reads.
            if "EncDecAttention" in name:
                parameter.mul_(6)
            elif language_model == "llama" and "self_attn" in name:
                parameter.mul_(12)
    return {
        "retriever": tiny.make_retriever(max_images=MAX_IMAGES),
        "retriever_processor": processor,
        "reranker": tiny.make_reranker(seed=1, max_images=MAX_IMAGES),
        "reranker_processor": processor,
        "generator": generator,
        "generator_processor": generator_processor,
    }


def mute_tokens(tokenizer: Any) -> list[int]:
    """Every id that is no letter or digit: a random model would write little else, and an empty answer is none."""
    letters = {token for text in tokenizer.get_vocab() if text.isalnum() for token in [tokenizer.get_vocab()[text]]}
    return [token for token in range(tiny.LM_VOCAB_SIZE) if token not in letters]


def make_answerer(
    stored: list[KnowledgeItem] | None = None,
    *,
    language_model: str = "t5",
    without: tuple[str, ...] = (),
    **settings: Any,
) -> RablipAnswerer:
    """An answerer of tiny random models; every threshold is 0 unless settings say otherwise."""
    stored = items() if stored is None else stored
    parts = make_parts(language_model)
    index = build_index(parts["retriever"], parts["retriever_processor"], stored)
    kept = {name: part for name, part in parts.items() if name.removesuffix("_processor") not in without}
    if "index" not in without:
        kept |= {"index": index, "knowledge_base": MemoryBase(stored)}
    generation = {"min_new_tokens": 4, "suppress_tokens": mute_tokens(parts["generator_processor"].tokenizer)}
    options = {**ALL_PASS, "max_new_tokens": 6, "generation": generation, **settings}
    return RablipAnswerer(**kept, settings=AnswerSettings(**options))


def forbid(model: Any, *names: str) -> None:
    """Makes a call of these methods fail the test."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"{names} must not be called")

    for name in names:
        setattr(model, name, refuse)
