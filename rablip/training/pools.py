"""What a stage trains on: questions, the knowledge items around them, and the frozen tower's features of pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from ..processing.knowledge_rablip import KnowledgeItem, QuestionExample
from ..processing.second_search import expand_question


@dataclass
class TrainingPool:
    """One knowledge base with questions about it.

    Batches are drawn from one pool at a time, so that another item of the batch is a true negative: two pools may say
    different things of one name.

    Args:
        items: knowledge items by id.
        examples: questions whose positives and negatives are ids of `items`.
        features: frozen vision-tower features `(num_image_tokens, vision_hidden_size)` by item id, and by question id
            for questions with a picture.
        mined: ids of retrieved candidates by (question id, hop), best first; filled by `mine_candidates`.
    """

    items: Mapping[str, KnowledgeItem]
    examples: Sequence[QuestionExample]
    features: Mapping[str, torch.Tensor] = field(default_factory=dict)
    mined: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    def picture(self, key: str) -> torch.Tensor | None:
        """Features of an item's or a question's picture, None where it has none."""
        return self.features.get(key)

    def stack_features(self, keys: Sequence[str]) -> torch.Tensor:
        """Features `(num_keys, num_image_tokens, vision_hidden_size)` of several pictures."""
        return torch.stack([self.features[key] for key in keys])

    def add_features(self, features: Mapping[str, torch.Tensor]) -> TrainingPool:
        """The pool with features of pictures that are not of its knowledge base."""
        return dataclasses.replace(self, features={**features, **self.features})

    def ask(self, example: QuestionExample, hop: int) -> str:
        """The question of a search: the second one adds the title of the picture found by the first."""
        if hop == 0:
            return example.question
        return expand_question(example.question, self.items[example.hops[0][0]].title) or example.question


__all__ = ["TrainingPool"]
