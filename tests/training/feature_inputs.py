"""Small random pictures, in files and in memory, for the tests of the feature cache."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from rablip.processing import ImageRef


def encode_png(seed: int) -> bytes:
    """A random 12x10 picture as a PNG file; the same seed gives the same bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=0)
    return buffer.getvalue()


def write_pictures(root: Path, num_pictures: int, *, first: int = 0) -> dict[str, ImageRef]:
    """Different pictures by id; even ones are files under `root`, odd ones bytes."""
    pictures = {}
    for number in range(first, first + num_pictures):
        if number % 2:
            pictures[f"id {number}"] = ImageRef(data=encode_png(number))
        else:
            (root / f"{number}.png").write_bytes(encode_png(number))
            pictures[f"id {number}"] = ImageRef(path=f"{number}.png")
    return pictures
