"""Pictures show their attributes and nothing is drawn by chance of the machine."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rablip.world.canvas import PICTURE_SIZE, Canvas
from rablip.world.chance import Chance
from rablip.world.drawing import PAINT, draw_picture, encode_picture
from rablip.world.entities import attributes_of, draw_attributes
from rablip.world.lexicon import COLORS


def _pixels(kind, attributes, chance):
    return np.asarray(draw_picture(kind, attributes, chance)).astype(int)


def test_canvas_fills_what_it_is_told():
    canvas = Canvas((0, 0, 0), (0, 0, 0))
    canvas.polygon([(10, 10), (30, 10), (30, 20), (10, 20)], (200, 0, 0))
    canvas.ellipse(60, 60, 10, 10, (0, 200, 0), hole=0.5)
    pixels = canvas.pixels().astype(int)
    assert (pixels[..., 0] == 200).sum() == 200
    assert pixels[60, 60].tolist() == [0, 0, 0] and pixels[60, 67].tolist() == [0, 200, 0]
    area = pixels[..., 1].sum() / 200
    assert area == pytest.approx(np.pi * (10**2 - 5**2), rel=0.01)


def test_canvas_cuts_off_what_lies_outside():
    canvas = Canvas((9, 9, 9), (9, 9, 9))
    canvas.rectangle(-50, -50, -1, -1, (255, 0, 0))
    canvas.ellipse(-40, 50, 5, 5, (255, 0, 0))
    canvas.line((200, 0), (300, 9), 2, (255, 0, 0))
    assert set(canvas.pixels().ravel()) == {9}


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(("building", "boat")))
def test_same_draws_same_pixels_and_other_draws_move_things(seed, kind):
    attributes = draw_attributes(kind, Chance(seed))
    first = _pixels(kind, attributes, Chance("a", seed))
    assert first.shape == (PICTURE_SIZE, PICTURE_SIZE, 3)
    assert (first == _pixels(kind, attributes, Chance("a", seed))).all()
    assert (first != _pixels(kind, attributes, Chance("b", seed))).any()


@pytest.mark.parametrize("kind", ["building", "boat"])
def test_every_value_of_every_attribute_looks_different(kind):
    """With all else equal, two values differ by far more than the clutter leaves room for."""
    base = draw_attributes(kind, Chance("base"))
    for attribute, values in attributes_of(kind).items():
        pictures = [_pixels(kind, {**base, attribute: value}, Chance("same")) for value in values]
        for one, other in itertools.combinations(pictures, 2):
            changed = (np.abs(one - other).max(axis=2) > 40).sum()
            assert changed >= 60, (attribute, changed)


@pytest.mark.parametrize("color", COLORS)
def test_the_wall_is_nearest_to_its_own_paint(color):
    for seed in range(8):
        attributes = draw_attributes("building", Chance(seed)) | {"wall_color": color, "num_windows": "one"}
        wall = np.median(_pixels("building", attributes, Chance(seed))[51, 20:76], axis=0)
        nearest = min(COLORS, key=lambda name: np.abs(wall - np.array(PAINT[name])).sum())
        assert nearest == color


def _dark_runs(row):
    dark = np.concatenate([[False], row.max(axis=1) < 110, [False]])
    return int((dark[1:] & ~dark[:-1]).sum())


@pytest.mark.parametrize("count", range(1, 5))
def test_windows_can_be_counted_at_half_size(count):
    """Windows stay apart on the 48 x 48 pictures that the tiny models see."""
    words = attributes_of("building")["num_windows"]
    for seed in range(8):
        attributes = draw_attributes("building", Chance(seed)) | {
            "num_windows": words[count - 1],
            "wall_color": "white",
        }
        small = draw_picture("building", attributes, Chance(seed)).reduce(2)
        rows = np.asarray(small).astype(int)[20:25, 11:38]
        assert count in {_dark_runs(row) for row in rows}


def test_a_mark_is_about_nine_pixels_at_half_size():
    base = draw_attributes("building", Chance(1)) | {"wall_color": "red", "object": "well"}
    for mark in attributes_of("building")["wall_mark"]:
        pixels = _pixels("building", base | {"wall_mark": mark}, Chance(1))
        chalk = pixels[52:78, 20:76].min(axis=2) > 80
        height, width = chalk.any(axis=1).sum(), chalk.any(axis=0).sum()
        least_height, least_width = {"star": (16, 17), "moon": (18, 14)}.get(mark, (18, 18))
        assert height >= least_height and width >= least_width, (mark, height, width)


def test_encoded_picture_is_a_png_of_the_same_pixels():
    picture = draw_picture("boat", draw_attributes("boat", Chance(0)), Chance(0))
    data = encode_picture(picture).data
    assert data.startswith(b"\x89PNG")
    assert (np.asarray(Image.open(io.BytesIO(data))) == np.asarray(picture)).all()
