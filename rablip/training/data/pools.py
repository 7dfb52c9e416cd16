"""What a stage trains on: questions, the knowledge items around them, and the frozen tower's features of pictures."""

from __future__ import annotations

import dataclasses
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ...processing.batching_rablip import Picture
from ...processing.images_rablip import load_image
from ...processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from ...processing.second_search import expand_question


@dataclass
class TrainingPool:
    """One knowledge base with questions about it.

    Batches are drawn from one pool at a time, so that another item of the batch is a true negative: two pools may say
    different things of one name.

    Args:
        items: knowledge items by id.
        examples: questions whose positives and negatives are ids of `items`.
        features: frozen vision-tower features `(num_image_tokens, vision_hidden_size)` by item id, and by question id
            for questions with a picture; empty where pictures are opened in every step.
        mined: ids of retrieved candidates by (question id, hop), best first; filled by `mine_candidates`.
        distractors: ids of misleading items by question id and kind; filled by `find_distractors`.
        root: folder that the pictures' relative paths are in, where they are opened.
    """

    items: Mapping[str, KnowledgeItem]
    examples: Sequence[QuestionExample]
    features: Mapping[str, torch.Tensor] = field(default_factory=dict)
    mined: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    distractors: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    root: Path | None = None

    @cached_property
    def item_ids(self) -> list[str]:
        """Ids of all items, in order."""
        return list(self.items)

    @property
    def feature_lookup(self) -> Callable[[Sequence[str]], torch.Tensor] | None:
        """What collators look pictures' features up with; None where pictures are opened instead."""
        return self.stack_features if self.features else None

    @property
    def picture_sources(self) -> dict[str, Any]:
        """Where collators get the pictures of this pool: their arguments `root`, `features`, `question_features`."""
        return {"root": self.root, "features": self.feature_lookup, "question_features": self.feature_lookup}

    def has_picture(self, item_id: str) -> bool:
        """Whether an item shows a picture."""
        return self.items[item_id].image is not None

    def pictures(self) -> dict[str, ImageRef]:
        """Every picture that has features: of items, and of questions that carry one, by id."""
        shown = {key: item.image for key, item in self.items.items() if item.image is not None}
        return shown | {example.id: example.images[0] for example in self.examples if example.images}

    def show_item(self, item: KnowledgeItem) -> Picture | None:
        """An item's picture for a processor: its features, or the opened picture; None where it has none."""
        if item.image is None or item.id in self.features:
            return self.features.get(item.id)
        return load_image(item.image, root=self.root)

    def show_question(self, example: QuestionExample) -> list[Picture]:
        """A question's own pictures for a processor: features, or the opened pictures."""
        if example.id in self.features:
            return [self.features[example.id]]
        return [load_image(image, root=self.root) for image in example.images]

    def stack_features(self, keys: Sequence[str]) -> torch.Tensor:
        """Features `(num_keys, num_image_tokens, vision_hidden_size)` of several pictures."""
        return torch.stack([self.features[key] for key in keys])

    def add_features(self, features: Mapping[str, torch.Tensor]) -> TrainingPool:
        """The pool with more features; they are looked up where they are, not copied."""
        return dataclasses.replace(self, features=ChainMap(self.features, features))  # type: ignore[arg-type]

    def ask(self, example: QuestionExample, hop: int) -> str:
        """The question of a search: the second one adds the title of the picture found by the first."""
        if hop == 0:
            return example.question
        return expand_question(example.question, self.items[example.hops[0][0]].title) or example.question


__all__ = ["TrainingPool"]
