"""What the tiny checkpoint learns from: train-split worlds, described pictures, reading rows, tokenizers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from ...processing.candidate_example import CandidateExample
from ...processing.images_rablip import load_image
from ...processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from ...processing.processing_rablip import RablipProcessor, RablipRetrieverProcessor
from ...processing.prompts_rablip import (
    build_askg_prompt,
    build_askg_target,
    build_qa_prompt,
    build_reranker_text,
    format_knowledge_item,
)
from ...world import DescribedPicture, ReadingRow, World
from ..data.batches import draw_rows
from ..data.pools import TrainingPool
from ..features.in_memory import encode_pictures
from .recipe import MAX_CANDIDATES, MAX_IMAGES, NUM_QUERY_TOKENS, VISION
from .tokenizers import build_language_model_tokenizer, build_qformer_tokenizer

LIST_VISIBLE = "List what is visible."


def build_processors(corpus: Sequence[str]) -> tuple[RablipRetrieverProcessor, RablipProcessor]:
    """The tiny checkpoint's two processors; their tokenizers are built from the corpus.

    Args:
        corpus: every kind of text that training shows.
    """
    size = VISION["image_size"]
    image_processor = BlipImageProcessorPil(size={"height": size, "width": size})
    qformer_tokenizer = build_qformer_tokenizer(corpus)
    retriever_processor = RablipRetrieverProcessor(
        image_processor=image_processor,
        qformer_tokenizer=qformer_tokenizer,
        max_question_tokens=64,
        max_knowledge_tokens=64,
        max_images=MAX_IMAGES,
    )
    processor = RablipProcessor(
        image_processor=image_processor,
        tokenizer=build_language_model_tokenizer(corpus),
        qformer_tokenizer=qformer_tokenizer,
        num_query_tokens=NUM_QUERY_TOKENS,
        max_images=MAX_IMAGES,
        max_prompt_tokens=256,
        max_question_tokens=64,
        max_instruction_tokens=128,
        max_answer_tokens=80,
    )
    return retriever_processor, processor


def collect_corpus(worlds: Sequence[World], descriptions: Sequence[str]) -> Iterator[str]:
    """Every text that the models will read or write: questions, items, answers, prompts, descriptions."""
    numbers = range(1, 2 * MAX_CANDIDATES + 1)
    yield from descriptions
    for world in worlds:
        for item in world.items:
            yield format_knowledge_item(item)
        for example in world.questions:
            yield example.question
            yield from example.answers
    item = KnowledgeItem(id="corpus", text=LIST_VISIBLE)
    evidence = [item] * len(numbers)
    for pictures in (list(numbers), None):
        for build in (build_qa_prompt, build_askg_prompt):
            yield build(LIST_VISIBLE, evidence, pictures, question_picture_numbers=[1]).text
    yield build_reranker_text(LIST_VISIBLE, item, picture_number=2, question_picture_numbers=[1])
    yield build_askg_target(list(numbers))
    yield build_askg_target([])


def build_pool(world: World, model: Any, image_processor: Any) -> TrainingPool:
    """A world as a training pool, with the frozen tower's features of its pictures."""
    pictures: dict[str, ImageRef] = {item.id: item.image for item in world.items if item.image is not None}
    pictures.update({example.id: example.images[0] for example in world.questions if example.images})
    return TrainingPool(
        items={item.id: item for item in world.items},
        examples=list(world.questions),
        features=encode_pictures(model, image_processor, pictures, description="features"),
    )


def render_pixels(image_processor: Any, pictures: Sequence[ImageRef | Image.Image]) -> torch.Tensor:
    """Prepared pictures `(num_pictures, 3, height, width)`, in half precision to hold many of them."""
    rows = []
    for start in range(0, len(pictures), 256):
        images = [load_image(picture) for picture in pictures[start : start + 256]]
        rows.append(image_processor(images, return_tensors="pt")["pixel_values"].half())
    return torch.cat(rows)


def make_visible_batch(
    pixels: torch.Tensor,
    pictures: Sequence[DescribedPicture],
    generator: np.random.Generator,
    processor: Any,
    num_rows: int,
) -> dict[str, torch.Tensor]:
    """Pictures and a terse list of what is visible in each: `pixel_values (num_rows, 1, 3, height, width)`, `labels`.

    The list holds the values alone in one order. Full sentences in many orders teach the same far more slowly: most of
    their tokens say nothing about the picture (roof shapes were still at chance after 2,600 steps of 48 sentences, and
    known after 1,000 steps of 96 lists).
    """
    picked = generator.permutation(len(pictures))[:num_rows]
    listed = [pictures[index] for index in picked]
    # The processor lays out the prompt from features; the vision tower is trained here, so pixels replace them.
    batch = _process_rows(processor, [], listed, {picture.id: torch.zeros(1, 1) for picture in listed})
    del batch["image_embeds"]
    batch["pixel_values"] = pixels[torch.from_numpy(picked)].float().unsqueeze(1)
    return batch


def make_listing_batch(
    pictures: Sequence[DescribedPicture],
    features: Mapping[str, torch.Tensor],
    generator: np.random.Generator,
    processor: Any,
    num_rows: int,
) -> dict[str, torch.Tensor]:
    """The same lists from features of the frozen tower."""
    return _process_rows(processor, [], draw_rows(pictures, generator, num_rows), features)


def make_base_batch(
    pictures: Sequence[DescribedPicture],
    features: Mapping[str, torch.Tensor],
    viewing: Sequence[ReadingRow],
    looks: Sequence[ReadingRow],
    reading: Sequence[ReadingRow],
    generator: np.random.Generator,
    processor: Any,
    num_rows: int,
) -> dict[str, torch.Tensor]:
    """Questions about pictures (three eighths), look-alikes and texts (a quarter each), and lists (an eighth)."""
    listed = draw_rows(pictures, generator, num_rows // 8)
    eighths = ((viewing, 3), (looks, 2), (reading, 2))
    rows = [row for source, share in eighths for row in draw_rows(source, generator, share * num_rows // 8)]
    return _process_rows(processor, rows, listed, features)


def make_reading_batch(
    rows: Sequence[ReadingRow], generator: np.random.Generator, processor: Any, num_rows: int
) -> dict[str, torch.Tensor]:
    """Facts, a question about one of them, its answer and which fact tells it, without pictures."""
    return _process_rows(processor, draw_rows(rows, generator, num_rows), [], {})


def pair_texts(
    pictures: Sequence[DescribedPicture], looks: Sequence[ReadingRow], reading: Sequence[ReadingRow]
) -> list[tuple[str, str]]:
    """Texts that tell of the same: descriptions of one picture, its description in a question, facts and questions."""
    descriptions = {picture.id: picture.descriptions for picture in pictures}
    pairs = [(told, again) for told, *others in descriptions.values() for again in others]
    for row in looks:
        pairs += [(row.question, told) for place in row.relevant for told in descriptions[row.items[place].id]]
    pairs += [(row.question, " ".join(format_knowledge_item(item) for item in row.items)) for row in reading]
    return pairs


def judge_row(row: ReadingRow) -> CandidateExample:
    """A row's items as candidates of its question, with its answer."""
    relevant = tuple(row.items[place].id for place in row.relevant)
    return CandidateExample(
        question=QuestionExample(id=row.items[0].id, question=row.question, positive_ids=relevant),
        candidates=row.items,
        relevance=tuple(float(item.id in relevant) for item in row.items),
        answer=row.answer or None,
    )


def _process_rows(
    processor: Any,
    rows: Sequence[ReadingRow],
    listed: Sequence[DescribedPicture],
    features: Mapping[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Pictures to list, then questions about items, as one batch."""
    none = [()] * len(listed)
    return dict(
        processor.process_generation(
            [LIST_VISIBLE] * len(listed) + [row.question for row in rows],
            none + [row.items for row in rows],
            none + [[features[item.id] if item.image is not None else None for item in row.items] for row in rows],
            question_images=[features[picture.id] for picture in listed] + [None] * len(rows),
            answers=[_list_values(picture) for picture in listed] + [row.answer or None for row in rows],
            relevance=none + [[float(place in row.relevant) for place in range(len(row.items))] for row in rows],
        )
    )


def _list_values(picture: DescribedPicture) -> str:
    return " ".join(picture.attributes.values())


__all__ = [
    "build_pool",
    "build_processors",
    "collect_corpus",
    "judge_row",
    "make_base_batch",
    "make_listing_batch",
    "make_reading_batch",
    "make_visible_batch",
    "pair_texts",
    "render_pixels",
]
