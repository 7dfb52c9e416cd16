"""Tiny random models with their processors, a small knowledge base in memory and an answerer over both."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BertTokenizer, T5Tokenizer
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from rablip.answering.answerer import RablipAnswerer
from rablip.answering.types import AnswerSettings
from rablip.index.knowledge_index import KnowledgeIndex
from rablip.index.manifest import IndexManifest
from rablip.processing.images_rablip import ImageError, load_image
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem
from rablip.processing.processing_rablip import RablipProcessor, RablipRetrieverProcessor
from tests import tiny

WORDS = (
    "question",
    "references",
    "text",
    "picture",
    "answer",
    "what",
    "who",
    "built",
    "tower",
    "harbor",
    "red",
    "blue",
)


def qformer_tokenizer() -> BertTokenizer:
    """A WordPiece tokenizer of letters and a few words, as large as the tiny Q-Former's vocabulary allows."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *string.ascii_lowercase, *string.digits]
    pieces += [f"##{letter}" for letter in string.ascii_lowercase + string.digits] + list("|:.?()")
    assert len(pieces) <= tiny.QFORMER_VOCAB_SIZE
    return BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})


def language_tokenizer(padding_side: str = "right") -> T5Tokenizer:
    """A Unigram tokenizer whose next free id is the tiny models' image token."""
    pieces = ["<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in WORDS), *string.ascii_letters, *string.digits]
    pieces += list("|:.?()[]/,'-_")
    pieces += [f"▁{number}x" for number in range(tiny.IMAGE_TOKEN_ID - len(pieces))]
    vocabulary = [(piece, -2.0 if piece.startswith("▁") else -6.0) for piece in pieces]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, padding_side=padding_side)


def image_processor() -> BlipImageProcessorPil:
    """Pictures as the tiny vision tower takes them."""
    return BlipImageProcessorPil(size={"height": tiny.IMAGE_SIZE, "width": tiny.IMAGE_SIZE})


def retriever_processor(**options: Any) -> RablipRetrieverProcessor:
    """The processor of the tiny retriever and re-ranker."""
    limits = {"max_question_tokens": 40, "max_knowledge_tokens": 40, "max_images": 2, **options}
    return RablipRetrieverProcessor(image_processor(), qformer_tokenizer(), **limits)


def generator_processor(**options: Any) -> RablipProcessor:
    """The processor of the tiny generator."""
    limits = {"max_images": 2, "max_prompt_tokens": 240, "max_question_tokens": 60, "max_instruction_tokens": 90}
    return RablipProcessor(
        image_processor(),
        language_tokenizer("left" if options.get("causal_lm") else "right"),
        qformer_tokenizer(),
        num_query_tokens=tiny.NUM_QUERY_TOKENS,
        **{**limits, **options},
    )


def picture(color: str, size: int = 20) -> Image.Image:
    """A picture of one color."""
    return Image.new("RGB", (size, size), color)


def png(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    import io

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

    root = None

    def __init__(self, stored: list[KnowledgeItem]) -> None:
        self.items = {item.id: item for item in stored}

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self.items

    def __getitem__(self, item_id: str) -> KnowledgeItem:
        return self.items[item_id]


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


def make_answerer(
    stored: list[KnowledgeItem] | None = None, *, language_model: str = "t5", **settings: Any
) -> RablipAnswerer:
    """An answerer of tiny random models over the items; every threshold is 0 unless settings say otherwise."""
    stored = items() if stored is None else stored
    retriever, processor = tiny.make_retriever(max_images=2), retriever_processor()
    generator = tiny.make_generator(language_model, max_images=2)
    generator.generation_config.forced_eos_token_id = None
    thresholds = {"relevance_threshold": 0.0, "citation_threshold": 0.0, "abstain_threshold": 0.0}
    return RablipAnswerer(
        retriever,
        processor,
        build_index(retriever, processor, stored),
        MemoryBase(stored),
        reranker=tiny.make_reranker(seed=1, max_images=2),
        generator=generator,
        generator_processor=generator_processor(causal_lm=language_model != "t5"),
        settings=AnswerSettings(**{**thresholds, "max_new_tokens": 6, **settings}),
    )


def unit_vectors(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
