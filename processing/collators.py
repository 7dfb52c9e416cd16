"""Collators: training examples to batches, with candidates in seeded random order; they only call the processors.

Rows are `CandidateExample`s, or rows of a table of your own (`read_row` says which columns they have).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import get_worker_info

from .batching_rablip import Picture, pad_rows
from .candidate_example import CandidateExample
from .images_rablip import load_image
from .item_keys import make_content_key, make_id_key
from .knowledge_rablip import KnowledgeItem, Modality, QuestionExample
from .processing_rablip import RablipProcessor
from .processing_rablip_retriever import RablipRetrieverProcessor
from .raw_rows import read_row

__all__ = ["GeneratorCollator", "RerankerCollator", "RetrieverCollator"]

# Ids to frozen vision-tower features (num_ids, num_patches + 1, vision_hidden_size).
FeatureLookup: TypeAlias = Callable[[Sequence[str]], torch.Tensor]


class _Collator:
    """Opens pictures, or looks their features up, and shuffles candidates."""

    def __init__(
        self,
        generator: np.random.Generator | None,
        root: str | os.PathLike[str] | None,
        features: FeatureLookup | None,
        question_features: FeatureLookup | None,
    ) -> None:
        if generator is not None and not isinstance(generator, np.random.Generator):
            raise TypeError(
                f"generator must be a numpy Generator or None, got {type(generator).__name__}. Pass default_rng(seed)."
            )
        self.root = root
        self.features = features
        self.question_features = question_features
        self._generator = generator
        self._seed = 0 if generator is None else int(generator.integers(2**63))
        self._worker_seed: int | None = None

    @staticmethod
    def _read(examples: Sequence[CandidateExample | Mapping[str, Any]]) -> list[CandidateExample]:
        return [example if isinstance(example, CandidateExample) else read_row(example) for example in examples]

    def _shuffle(self, example: CandidateExample) -> list[tuple[KnowledgeItem, float]]:
        if self._generator is None:
            return list(zip(example.candidates, example.relevance, strict=True))
        info = get_worker_info()
        if info is not None and info.seed != self._worker_seed:
            # A worker starts every epoch with a copy of this object: without this, each would shuffle alike.
            self._worker_seed = info.seed
            self._generator = np.random.default_rng([self._seed, info.seed])
        order = self._generator.permutation(len(example.candidates))
        return [(example.candidates[i], example.relevance[i]) for i in order]

    def _open_items(self, items: Sequence[KnowledgeItem]) -> list[Picture | None]:
        """The picture of each item; an item that occurs twice is opened once."""
        shown = {item.id: item.image for item in items if item.image is not None}
        opened: dict[str, Picture]
        if self.features is None:
            opened = {key: load_image(image, root=self.root) for key, image in shown.items()}
        else:
            opened = _look_up(self.features, list(shown))
        return [opened.get(item.id) if item.image is not None else None for item in items]

    def _open_questions(self, questions: Sequence[QuestionExample]) -> list[list[Picture]]:
        if self.question_features is None:
            return [[load_image(image, root=self.root) for image in question.images] for question in questions]
        for question in questions:
            if len(question.images) > 1:
                raise ValueError(f"Question {question.id!r} has {len(question.images)} pictures; features know one.")
        opened = _look_up(self.question_features, [question.id for question in questions if question.images])
        return [[opened[question.id]] if question.images else [] for question in questions]


class RetrieverCollator(_Collator):
    """Examples to the inputs of `RablipRetriever.forward`: every item of the batch is a candidate of every question.

    Args:
        processor: the retriever's processor.
        generator: source of the order of the items; None where the rows are in random order already.
        root: folder of the pictures' relative paths.
        features: item ids to picture features, used instead of opening pictures.
        question_features: likewise for the ids of questions with a picture.
        modalities: whether to add `knowledge_modalities`, which `RetrieverTrainer` takes for recall by modality; the
            model itself does not.

    Example (with a processor):
        `DataLoader(examples, collate_fn=RetrieverCollator(processor, generator=np.random.default_rng(0)))`
    """

    def __init__(
        self,
        processor: RablipRetrieverProcessor,
        *,
        generator: np.random.Generator | None,
        root: str | os.PathLike[str] | None = None,
        features: FeatureLookup | None = None,
        question_features: FeatureLookup | None = None,
        modalities: bool = False,
    ) -> None:
        super().__init__(generator, root, features, question_features)
        self.processor = processor
        self.modalities = modalities

    def __call__(self, rows: Sequence[CandidateExample | Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Collates rows; each needs a relevant candidate.

        Returns:
            The questions' inputs, the items' inputs with the prefix `knowledge_` (an item that several rows hold
            stands once), and

            - `positive_mask` (num_questions, num_items) float, 1 where the item is relevant to the question, also when
              another row brought it, or when it holds what a relevant item of the batch holds;
            - `knowledge_keys` (num_items, 2) long, the keys of id and content, and `positive_keys` (num_questions,
              max_positives) long, the keys of the relevant ids, in the batch or not, filled up with -1: from them
              several processes find the positives among each other's items;
            - where asked for, `knowledge_modalities` (num_items,) long: the place of the modality in `Modality`.

        Raises:
            ValueError: when a row has no relevant candidate.
        """
        examples = self._read(rows)
        items: dict[str, KnowledgeItem] = {}
        positives: list[set[str]] = []
        for example in examples:
            relevant = {
                item.id for item, value in zip(example.candidates, example.relevance, strict=True) if value >= 0.5
            }
            if not relevant:
                raise ValueError(
                    f"Question {example.question.id!r} has no relevant candidate: a retriever cannot learn it."
                )
            positives.append(relevant | set(example.question.positive_ids))
            items.update((item.id, item) for item, _ in self._shuffle(example))
        questions = [example.question for example in examples]
        batch = dict(
            self.processor.process_questions(
                [question.question for question in questions], self._open_questions(questions)
            )
        )
        candidates = list(items.values())
        knowledge = self.processor.process_knowledge(candidates, self._open_items(candidates))
        batch |= {f"knowledge_{name}": values for name, values in knowledge.items()}
        contents = [make_content_key(item) for item in candidates]
        mask = torch.zeros((len(examples), len(candidates)))
        for row, relevant in enumerate(positives):
            right = {content for item, content in zip(candidates, contents, strict=True) if item.id in relevant}
            mask[row] = torch.tensor([float(content in right) for content in contents])
        batch["positive_mask"] = mask
        batch["positive_keys"], _ = pad_rows([[make_id_key(key) for key in sorted(ids)] for ids in positives], -1)
        batch["knowledge_keys"] = torch.tensor(
            [[make_id_key(item.id), content] for item, content in zip(candidates, contents, strict=True)]
        )
        if self.modalities:
            order = list(Modality)
            batch["knowledge_modalities"] = torch.tensor([order.index(item.modality) for item in candidates])
        return batch


class RerankerCollator(_Collator):
    """Examples to the inputs of `RablipReranker.forward`, one row per (question, candidate).

    Args:
        processor: the re-ranker's processor.
        generator, root, features, question_features: as in `RetrieverCollator`.

    Example (with a processor):
        `RerankerCollator(processor, generator=np.random.default_rng(0))(examples)["relevance_labels"]`
    """

    def __init__(
        self,
        processor: RablipRetrieverProcessor,
        *,
        generator: np.random.Generator | None,
        root: str | os.PathLike[str] | None = None,
        features: FeatureLookup | None = None,
        question_features: FeatureLookup | None = None,
    ) -> None:
        super().__init__(generator, root, features, question_features)
        self.processor = processor

    def __call__(self, rows: Sequence[CandidateExample | Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Collates rows.

        Returns:
            The pairs' inputs, question by question; `relevance_labels` (num_pairs,) float; and `num_candidates`
            (num_questions,) long, how many of the pairs are each question's, which `RerankerTrainer` takes for
            predictions by question and the model itself leaves aside.

        Raises:
            ValueError: when no row has a candidate.
        """
        examples = self._read(rows)
        asked = self._open_questions([example.question for example in examples])
        pairs = [
            (example.question.question, pictures, item, value)
            for example, pictures in zip(examples, asked, strict=True)
            for item, value in self._shuffle(example)
        ]
        if not pairs:
            raise ValueError(f"None of the {len(examples)} examples has a candidate. Leave such examples out.")
        items = [item for _, _, item, _ in pairs]
        batch = self.processor.process_pairs(
            [question for question, _, _, _ in pairs],
            items,
            question_images=[pictures for _, pictures, _, _ in pairs],
            images=self._open_items(items),
        )
        return {
            **batch,
            "relevance_labels": torch.tensor([float(value) for _, _, _, value in pairs]),
            "num_candidates": torch.tensor([len(example.candidates) for example in examples]),
        }


class GeneratorCollator(_Collator):
    """Examples to the inputs of `RablipForConditionalGeneration.forward`.

    The candidates of each row are numbered in random order, so that a candidate's place says nothing of its relevance;
    without a generator in the order of the row, which then must be random itself (`make_generator_row`).

    Args:
        processor: the generator's processor.
        askg: whether to prepare the ASKG pass.
        generator, root, features, question_features: as in `RetrieverCollator`.

    Example (with a processor):
        `GeneratorCollator(processor, generator=np.random.default_rng(0))(examples)["askg_labels"]`
    """

    def __init__(
        self,
        processor: RablipProcessor,
        *,
        generator: np.random.Generator | None,
        askg: bool = True,
        root: str | os.PathLike[str] | None = None,
        features: FeatureLookup | None = None,
        question_features: FeatureLookup | None = None,
    ) -> None:
        super().__init__(generator, root, features, question_features)
        self.processor = processor
        self.askg = askg

    def __call__(self, rows: Sequence[CandidateExample | Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Collates rows; what comes back is documented at `RablipProcessor.process_generation`."""
        examples = self._read(rows)
        shuffled = [self._shuffle(example) for example in examples]
        evidence = [[item for item, _ in row] for row in shuffled]
        opened = iter(self._open_items([item for row in evidence for item in row]))
        batch: Any = self.processor.process_generation(
            [example.question.question for example in examples],
            evidence,
            [[next(opened) for _ in row] for row in evidence],
            question_images=self._open_questions([example.question for example in examples]),
            answers=[example.answer for example in examples],
            relevance=[[value for _, value in row] for row in shuffled],
            askg=self.askg,
        )
        return dict(batch)


def _look_up(features: FeatureLookup, ids: list[str]) -> dict[str, Picture]:
    return dict(zip(ids, features(ids), strict=True)) if ids else {}
