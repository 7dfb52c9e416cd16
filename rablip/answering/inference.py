"""Runs one model over plain rows: texts, items and opened pictures in; vectors, probabilities or texts out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import LogitsProcessorList

from ..processing.knowledge_rablip import KnowledgeItem
from ..processing.prompts_rablip import find_reference_numbers, parse_askg_answer
from .features import Part
from .numerics import FiniteLogits, check_finite

__all__ = [
    "GeneratorRow",
    "encode_questions",
    "generate_answers",
    "generate_references",
    "judge_evidence",
    "prepare_rows",
    "score_pairs",
]


@dataclass(frozen=True, kw_only=True)
class GeneratorRow:
    """What the generator gets for one question.

    Args:
        question: the question.
        items: the evidence, in the order shown.
        pictures: one entry per item: its picture, or None.
        question_images: pictures of the question.

    Example:
        >>> GeneratorRow(question="Who?", items=(), pictures=()).question_images
        ()
    """

    question: str
    items: tuple[KnowledgeItem, ...]
    pictures: tuple[Image.Image | None, ...]
    question_images: tuple[Image.Image, ...] = ()

    def narrow(self, kept: Sequence[int]) -> GeneratorRow:
        """The row with the evidence at the positions `kept` only."""
        return replace(
            self,
            items=tuple(self.items[position] for position in kept),
            pictures=tuple(self.pictures[position] for position in kept),
        )


def encode_questions(
    retriever: Part,
    questions: Sequence[str],
    images: Sequence[Sequence[Image.Image]],
    *,
    batch_size: int,
) -> tuple[np.ndarray, list[bool]]:
    """Encodes questions, each with its pictures.

    Returns:
        Vectors (batch_size, embedding_dim) float32, L2-normalised, and whether each question was cut.
    """
    vectors, truncated = [], []
    for start, stop in _batches(len(questions), batch_size):
        pictures = [row or None for row in retriever.features.replace(images[start:stop])]
        inputs, cut = _prepare(
            retriever.processor.process_questions(
                questions[start:stop], pictures if any(pictures) else None, return_truncated=True
            ),
            retriever.model,
        )
        with torch.inference_mode():
            encoded = retriever.model.encode_questions(**inputs)
        vectors.append(encoded.float().cpu().numpy())
        truncated += cut
    return np.concatenate(vectors), truncated


def score_pairs(
    reranker: Part,
    questions: Sequence[str],
    items: Sequence[KnowledgeItem],
    question_images: Sequence[Sequence[Image.Image]],
    pictures: Sequence[Image.Image | None],
    *,
    batch_size: int,
) -> list[float]:
    """The re-ranker's probability that each item helps with the question beside it."""
    scores: list[float] = []
    for start, stop in _batches(len(questions), batch_size):
        asked = [row or None for row in reranker.features.replace(question_images[start:stop])]
        inputs, _ = _prepare(
            reranker.processor.process_pairs(
                questions[start:stop],
                items[start:stop],
                question_images=asked if any(asked) else None,
                images=reranker.features.replace([pictures[start:stop]])[0],
            ),
            reranker.model,
        )
        with torch.inference_mode():
            relevance = reranker.model.predict_relevance(**inputs)
        scores += check_finite(relevance.float().cpu(), "re-ranker relevance").tolist()
    return scores


def prepare_rows(generator: Part, rows: Sequence[GeneratorRow]) -> tuple[dict[str, torch.Tensor], list[bool]]:
    """The model inputs that answer the rows, which `generate_answers` takes, and whether each row was cut."""
    return _prepare(_process(generator, rows), generator.model)


def judge_evidence(
    generator: Part, rows: Sequence[GeneratorRow]
) -> tuple[list[list[float]], list[bool], dict[str, torch.Tensor]]:
    """The generator's probability that each shown item helps.

    Returns:
        One list of probabilities per row, as long as its evidence; whether each row was cut; the model inputs, which
        `generate_answers` takes.
    """
    inputs, truncated = prepare_rows(generator, rows)
    relevance: list[list[float]] = [[] for _ in rows]
    if any(row.items for row in rows):
        with torch.inference_mode():
            predicted = generator.model.predict_relevance(**inputs)
        predicted = check_finite(predicted.float().cpu(), "generator relevance")
        relevance = [predicted[index, : len(row.items)].tolist() for index, row in enumerate(rows)]
    return relevance, truncated, inputs


def generate_answers(
    generator: Part,
    inputs: Mapping[str, torch.Tensor],
    rows: Sequence[int],
    **generation: Any,
) -> list[str]:
    """The answers to the chosen `rows` of prepared inputs.

    Raises:
        NonFiniteLogitsError: when a step computes scores that are not numbers.
    """
    if not rows:
        return []
    chosen = {name: values[list(rows)] for name, values in inputs.items()}
    if "image_mask" in chosen and not chosen["image_mask"].any():
        chosen = {name: chosen[name] for name in chosen.keys() - {"pixel_values", "image_embeds", "image_mask"}}
    checks = LogitsProcessorList([FiniteLogits()])
    with torch.inference_mode():
        ids = generator.model.generate(**chosen, logits_processor=checks, **generation)
    return [text.strip() for text in generator.processor.decode_answers(ids)]


def generate_references(
    generator: Part,
    rows: Sequence[GeneratorRow],
    **generation: Any,
) -> list[tuple[list[int] | None, int]]:
    """Asks in words which references are relevant: the numbers named (None: unreadable) and how many are invented."""
    inputs, _ = _prepare(_process(generator, rows, askg=True), generator.model)
    asked = {name.removeprefix("askg_"): values for name, values in inputs.items() if name.startswith("askg_")}
    texts = generate_answers(generator, {**inputs, **asked}, range(len(rows)), **generation)
    return [_read_references(text, len(row.items)) for text, row in zip(texts, rows, strict=True)]


def _read_references(text: str, num_references: int) -> tuple[list[int] | None, int]:
    invented = [number for number in find_reference_numbers(text) if not 1 <= number <= num_references]
    return parse_askg_answer(text, num_references), len(invented)


def _process(generator: Part, rows: Sequence[GeneratorRow], *, askg: bool = False) -> Any:
    asked = [row or None for row in generator.features.replace(row.question_images for row in rows)]
    return generator.processor.process_generation(
        [row.question for row in rows],
        [list(row.items) for row in rows],
        generator.features.replace(row.pictures for row in rows),
        question_images=asked if any(asked) else None,
        askg=askg,
        return_truncated=True,
    )


def _prepare(batch: Mapping[str, Any], model: Any) -> tuple[dict[str, torch.Tensor], list[bool]]:
    """Model inputs on the model's device, pictures in its number format, and the rows that were cut."""
    inputs = dict(batch)
    truncated = inputs.pop("truncated", None)
    for name, values in inputs.items():
        dtype = model.dtype if name in ("pixel_values", "image_embeds") else None
        inputs[name] = values.to(device=model.device, dtype=dtype)
    return inputs, [] if truncated is None else [bool(cut) for cut in truncated]


def _batches(num_rows: int, batch_size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, num_rows, batch_size):
        yield start, min(start + batch_size, num_rows)
