"""The version of the world: a hash of what it makes, so that figures of different worlds are never compared."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict

from PIL import Image

from ..processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from .knobs import WorldKnobs
from .lexicon import world_vocabulary
from .looks import make_look_rows
from .pretraining import make_pretraining_split, make_reading_rows
from .replacing import make_replaced_rows
from .viewing import make_viewing_rows
from .world import make_world

__all__ = ["WORLD_VERSION", "compute_world_version"]

WORLD_VERSION = "6b60822523f6c525"

_SAMPLE = ((0, "train", 24), (1, "test", 24))  # seed, split, entities


def compute_world_version() -> str:
    """Hash the vocabulary, the default knobs, two small worlds and a piece of the pre-training split.

    Pictures count by their pixels, so that another compression library does not make another world. Whoever changes
    what the world makes puts the new value into `WORLD_VERSION` and runs every reported figure again.
    """
    digest = hashlib.sha256()
    for part in _content():
        digest.update(part)
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def _content() -> Iterator[bytes]:
    yield json.dumps([world_vocabulary(), asdict(WorldKnobs())]).encode()
    for seed, split, num_entities in _SAMPLE:
        world = make_world(seed, num_entities, split=split)
        for item in world.items:
            yield from _item(item)
        for question in world.questions:
            yield from _question(question)
    pictures = make_pretraining_split(0, 40)
    for picture in pictures:
        yield json.dumps([picture.id, picture.kind, picture.descriptions, dict(picture.attributes)]).encode()
        yield _pixels(picture.image)
    for row in [*make_reading_rows(0, 32), *make_viewing_rows(0, pictures, 32), *make_look_rows(0, pictures, 32)]:
        yield json.dumps([row.question, row.answer, row.relevant]).encode()
        for item in row.items:
            yield from _item(item)
    for told in make_replaced_rows(0, pictures, 32):
        yield json.dumps([told.picture_id, told.words, told.replaced]).encode()


def _item(item: KnowledgeItem) -> Iterator[bytes]:
    yield json.dumps([item.id, item.text, item.title, item.caption, item.source, dict(item.metadata)]).encode()
    if item.image is not None:
        yield _pixels(item.image)


def _question(question: QuestionExample) -> Iterator[bytes]:
    ids = [question.id, question.positive_ids, question.negative_ids, question.category]
    yield json.dumps([ids, question.question, question.answers, dict(question.metadata)]).encode()
    for image in question.images:
        yield _pixels(image)


def _pixels(image: ImageRef) -> bytes:
    return hashlib.sha256(Image.open(io.BytesIO(image.data or b"")).tobytes()).digest()
