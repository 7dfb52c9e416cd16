"""A world in memory: knowledge items, questions and pictures, all drawn from a seed."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from PIL import Image

from ..processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from .catalog import build_catalog
from .entities import Entity, draw_entities
from .knobs import WorldKnobs
from .questions import build_questions

__all__ = ["World", "make_world"]


@dataclass(frozen=True, kw_only=True)
class World:
    """A small encyclopaedia and the questions asked of it.

    Args:
        seed: what it was drawn from.
        num_entities: how many buildings (each with a boat) it is about.
        split: "train", "validation" or "test"; no name is in two splits.
        knobs: its settings.
        items: the knowledge items; their pictures are PNG files in memory.
        questions: the questions; `metadata` holds kind, attribute, evidence_modality, visual_only, hops and, for
            unanswerable ones, reason.
        entities: what the items were written from; empty for a world that was read from files.
    """

    seed: int
    num_entities: int
    split: str
    knobs: WorldKnobs
    items: list[KnowledgeItem]
    questions: list[QuestionExample]
    entities: tuple[Entity, ...] = field(default=(), compare=False, repr=False)
    _images: dict[str, ImageRef] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._images.update((item.id, item.image) for item in self.items if item.image is not None)
        self._images.update((question.id, question.images[0]) for question in self.questions if question.images)

    def picture(self, item_or_question_id: str) -> Image.Image:
        """The picture of an item, or the one that a question carries, as RGB.

        Raises:
            KeyError: when there is no such item or question, or it has no picture.

        Example:
            >>> world = make_world(0, 4)
            >>> world.picture("30000000").size
            (96, 96)
        """
        image = self._images.get(item_or_question_id)
        if image is None:
            raise KeyError(
                f"No item or question {item_or_question_id!r} with a picture is in this world of {len(self.items)} "
                f"items and {len(self.questions)} questions. Take an id from world.items or world.questions."
            )
        return Image.open(io.BytesIO(image.data or b"")).convert("RGB")


def make_world(seed: int, num_entities: int, *, split: str = "test", knobs: WorldKnobs | None = None) -> World:
    """Draw a world. The same arguments give the same world everywhere.

    Args:
        seed: any whole number.
        num_entities: buildings; each gives up to four items (picture, boat with text, year, builder).
        split: whose names are used: "train", "validation" or "test".
        knobs: settings; None for those of the benchmark. Small worlds ask a few questions less than
            `questions_per_entity` says, because yes and no, and left and right, are kept in exact balance.

    Raises:
        ValueError: when the split does not exist or has too few names for `num_entities`.

    Example:
        >>> world = make_world(0, 20)
        >>> 55 <= len(world.questions) <= 60, world == make_world(0, 20)
        (True, True)
    """
    knobs = WorldKnobs() if knobs is None else knobs
    entities = draw_entities(
        seed,
        num_entities,
        split=split,
        num_facts=knobs.num_facts,
        missing_fact_rate=knobs.missing_fact_rate,
        look_alike_share=knobs.look_alike_share,
    )
    catalog = build_catalog(entities, split=split, seed=seed, knobs=knobs)
    return World(
        seed=seed,
        num_entities=num_entities,
        split=split,
        knobs=knobs,
        items=catalog.items,
        questions=build_questions(catalog, split=split, seed=seed, knobs=knobs),
        entities=entities,
    )
