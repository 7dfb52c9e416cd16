"""A training pool over a small world, with random features in place of the vision tower's."""

from __future__ import annotations

import torch

from rablip.training import TrainingPool
from rablip.world import make_world
from tests.tiny import NUM_IMAGE_TOKENS


def make_pool(*, seed: int = 0, num_entities: int = 30) -> TrainingPool:
    """A pool of train-split entities; every picture's features are of the tiny models' shape."""
    world = make_world(seed, num_entities, split="train")
    generator = torch.Generator().manual_seed(seed)
    keys = [item.id for item in world.items if item.image is not None]
    keys += [example.id for example in world.questions if example.images]
    features = {key: torch.randn(NUM_IMAGE_TOKENS, 24, generator=generator) for key in keys}
    return TrainingPool(
        items={item.id: item for item in world.items}, examples=list(world.questions), features=features
    )
