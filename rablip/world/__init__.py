"""rablip's own benchmark: a seeded generator of a small multimodal encyclopaedia and of questions about it."""

from __future__ import annotations

from .knobs import KIND_SHARES, PICTURE_KINDS, QUESTION_KINDS, WorldKnobs
from .lexicon import names_of_split, split_of_name, world_vocabulary
from .pretraining import DescribedPicture, ReadingRow, make_pretraining_split, make_reading_rows
from .world import World, make_world

__all__ = [
    "KIND_SHARES",
    "PICTURE_KINDS",
    "QUESTION_KINDS",
    "DescribedPicture",
    "ReadingRow",
    "World",
    "WorldKnobs",
    "make_pretraining_split",
    "make_reading_rows",
    "make_world",
    "names_of_split",
    "split_of_name",
    "world_vocabulary",
]
