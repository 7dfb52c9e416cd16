"""Pictures of buildings and boats: their attributes are visible, everything else is random clutter."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

from PIL import Image

from ..processing.knowledge_rablip import ImageRef
from .canvas import Canvas, Color, Point
from .chance import Chance
from .lexicon import NUMBER_WORDS

__all__ = ["PAINT", "draw_picture", "encode_picture"]

PAINT: Mapping[str, Color] = {
    "red": (208, 40, 38),
    "orange": (244, 138, 28),
    "yellow": (248, 222, 62),
    "green": (44, 150, 62),
    "blue": (44, 78, 205),
    "purple": (124, 44, 158),
    "pink": (248, 158, 204),
    "white": (242, 242, 240),
}
_INK: Color = (34, 30, 38)
_PLATE: Color = (38, 38, 46)
_CHALK: Color = (252, 252, 250)
_WOOD: Color = (112, 74, 42)
_MARK_RADIUS = 9.2  # half the width of a mark in pixels


def draw_picture(kind: str, attributes: Mapping[str, str], chance: Chance) -> Image.Image:
    """Draw a "building" or a "boat" as a 96 x 96 RGB picture.

    The attributes decide what is seen; `chance` only moves, shades and decorates, so that two pictures of one entity
    differ.

    Example:
        >>> from rablip.world.entities import draw_attributes
        >>> draw_picture("boat", draw_attributes("boat", Chance(1)), Chance(2)).size
        (96, 96)
    """
    canvas = _paint_building(attributes, chance) if kind == "building" else _paint_boat(attributes, chance)
    return Image.fromarray(canvas.pixels())


def encode_picture(picture: Image.Image) -> ImageRef:
    """The picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=6)
    return ImageRef(data=buffer.getvalue())


def _shade(color: Color, chance: Chance, amount: int = 9) -> Color:
    shift = chance.whole(-amount, amount)
    red, green, blue = (min(max(part + shift + chance.whole(-4, 4), 0), 255) for part in color)
    return red, green, blue


def _paint_building(attributes: Mapping[str, str], chance: Chance) -> Canvas:
    night = attributes["sky"] == "night"
    canvas = _paint_land(night, chance)
    left, right = 16.0 + chance.uniform(-1.5, 1.5), 80.0 + chance.uniform(-1.5, 1.5)
    if attributes["tree_side"] == "left":
        left, right = left + 2, right + 2
    else:
        left, right = left - 2, right - 2
    top, bottom = 35.0 + chance.uniform(-1.5, 1.5), 80.0 + chance.uniform(-1.0, 1.0)
    canvas.rectangle(left - 0.9, top, right + 0.9, bottom + 0.9, _INK)
    canvas.rectangle(left, top, right, bottom, _shade(PAINT[attributes["wall_color"]], chance))
    roof = _shade(PAINT[attributes["roof_color"]], chance)
    _paint_roof(canvas, attributes["roof_shape"], left - 2.5, right + 2.5, top, roof, chance)
    _paint_windows(canvas, NUMBER_WORDS.index(attributes["num_windows"]) + 1, (left + right) / 2, top + 4.0)
    plate_x, plate_y = (left + right) / 2 + chance.uniform(-17, 17), top + 29.5 + chance.uniform(-0.8, 0.8)
    canvas.rectangle(plate_x - 11.5, plate_y - 11.5, plate_x + 11.5, plate_y + 11.5, _PLATE)
    _paint_mark(canvas, attributes["wall_mark"], plate_x, plate_y)
    _paint_tree(canvas, (left - 9.0) if attributes["tree_side"] == "left" else (right + 9.0), chance)
    _paint_object(canvas, attributes["object"], 48.0 + chance.uniform(-20, 20), chance)
    return canvas


def _paint_land(night: bool, chance: Chance) -> Canvas:
    if night:
        canvas = Canvas(_shade((16, 18, 44), chance, 5), _shade((44, 48, 92), chance, 6))
        for _ in range(chance.whole(8, 16)):
            x, y = chance.uniform(1, 95), chance.uniform(1, 40)
            canvas.rectangle(x, y, x + 1.0, y + 1.0, (220, 222, 235))
    else:
        canvas = Canvas(_shade((150, 205, 242), chance), _shade((212, 234, 246), chance, 6))
        _paint_clouds(canvas, chance)
    hill = (30, 52, 48) if night else (150, 190, 128)
    for _ in range(chance.whole(1, 3)):
        canvas.ellipse(
            chance.uniform(0, 96), 80, chance.uniform(18, 40), chance.uniform(8, 22), _shade(hill, chance, 6)
        )
    grass = _shade((52, 78, 52) if night else (128, 172, 84), chance, 6)
    canvas.rectangle(0, 77, 96, 96, grass)
    tuft = (40, 62, 42) if night else (108, 152, 70)
    for _ in range(chance.whole(6, 12)):
        x, y = chance.uniform(0, 94), chance.uniform(79, 95)
        canvas.rectangle(x, y, x + 2.0, y + 0.8, tuft)
    return canvas


def _paint_clouds(canvas: Canvas, chance: Chance) -> None:
    for _ in range(chance.whole(0, 3)):
        x, y = chance.uniform(4, 92), chance.uniform(4, 26)
        for shift in (-6, 0, 6):
            canvas.ellipse(x + shift, y + abs(shift) * 0.2, 6.5, 3.4, (236, 244, 250))


def _paint_roof(
    canvas: Canvas, shape: str, left: float, right: float, base: float, color: Color, chance: Chance
) -> None:
    middle, width = (left + right) / 2, right - left
    high = base - 23.0 + chance.uniform(-1.5, 1.5)
    if shape == "pointed":
        _outlined(canvas, [(left, base), (middle, high), (right, base)], color)
    elif shape == "slanted":
        peak = left if chance.happens(0.5) else right
        _outlined(canvas, [(left, base), (peak, high), (right, base)], color)
    elif shape == "flat":
        _outlined(canvas, [(left, base), (left, base - 10), (right, base - 10), (right, base)], color)
    elif shape == "round":
        arc = [(middle - math.cos(step * math.pi / 16) * width / 2, step) for step in range(17)]
        _outlined(canvas, [(x, base - math.sin(step * math.pi / 16) * (base - high)) for x, step in arc], color)
    else:
        steps: list[Point] = []
        for index, share in enumerate((0.5, 0.32, 0.14)):
            level = base - (base - high) * index / 3
            steps += [
                (middle - share * width, level),
                (middle - share * width, base - (base - high) * (index + 1) / 3),
            ]
        _outlined(canvas, steps + [(2 * middle - x, y) for x, y in reversed(steps)], color)


def _outlined(canvas: Canvas, points: list[Point], color: Color) -> None:
    canvas.polygon(points, color)
    for start, end in zip(points, points[1:] + points[:1], strict=True):
        canvas.line(start, end, 1.2, _INK)


def _paint_windows(canvas: Canvas, count: int, middle: float, top: float) -> None:
    # About as wide as a patch of a small vision tower (8 of 48 pixels): several in one patch are hardly ever counted.
    for index in range(count):
        x = middle + (index - (count - 1) / 2) * 15.6
        canvas.rectangle(x - 5.8, top - 1.0, x + 5.8, top + 11.5, _CHALK)
        canvas.rectangle(x - 4.2, top + 0.6, x + 4.2, top + 9.9, _INK)


def _paint_mark(canvas: Canvas, mark: str, x: float, y: float) -> None:
    size = _MARK_RADIUS
    if mark == "star":
        radii = (size, size * 0.42)
        turns = [(radii[step % 2], step * math.pi / 5) for step in range(10)]
        canvas.polygon([(x + r * math.sin(t), y + 0.6 - r * math.cos(t)) for r, t in turns], _CHALK)
    elif mark == "moon":
        canvas.crescent(x + 0.8, y, size, _CHALK)
    elif mark == "cross":
        canvas.rectangle(x - 2.6, y - size, x + 2.6, y + size, _CHALK)
        canvas.rectangle(x - size, y - 2.6, x + size, y + 2.6, _CHALK)
    elif mark == "heart":
        canvas.ellipse(x - 4.4, y - 3.6, 4.9, 4.9, _CHALK)
        canvas.ellipse(x + 4.4, y - 3.6, 4.9, 4.9, _CHALK)
        canvas.polygon([(x - 8.9, y - 1.6), (x, y + size), (x + 8.9, y - 1.6), (x, y - 4)], _CHALK)
    elif mark == "ring":
        canvas.ellipse(x, y, size, size, _CHALK, hole=0.58)
    elif mark == "square":
        canvas.rectangle(x - size, y - size, x + size, y + size, _CHALK)
    elif mark == "diamond":
        canvas.polygon([(x, y - size), (x + size, y), (x, y + size), (x - size, y)], _CHALK)
    else:
        canvas.rectangle(x - size, y - 2.3, x + 1.5, y + 2.3, _CHALK)
        canvas.polygon([(x - 0.5, y - size), (x + size, y), (x - 0.5, y + size)], _CHALK)


def _paint_tree(canvas: Canvas, x: float, chance: Chance) -> None:
    x += chance.uniform(-0.8, 0.8)
    crown = 56.0 + chance.uniform(-3, 3)
    canvas.rectangle(x - 1.6, crown, x + 1.6, 83, _WOOD)
    leaf = _shade((38, 112, 48), chance, 6)
    canvas.ellipse(x, crown, 7.2, 13.5, _INK)
    canvas.ellipse(x, crown, 6.4, 12.7, leaf)
    canvas.ellipse(x - 1.5, crown - 4, 2.4, 4.0, _shade((78, 152, 76), chance, 6))


def _paint_object(canvas: Canvas, name: str, x: float, chance: Chance) -> None:
    y = 94.5 + chance.uniform(-1.0, 0.5)
    if name == "well":
        canvas.polygon([(x - 9, y - 11.5), (x, y - 17.5), (x + 9, y - 11.5)], (150, 60, 40))
        canvas.rectangle(x - 7, y - 12, x - 5.4, y - 4, _WOOD)
        canvas.rectangle(x + 5.4, y - 12, x + 7, y - 4, _WOOD)
        canvas.rectangle(x - 8, y - 7, x + 8, y, (158, 158, 164))
        canvas.ellipse(x, y - 7, 8, 1.8, (40, 44, 60))
    elif name == "cart":
        canvas.polygon([(x - 12, y - 13), (x + 12, y - 13), (x + 10, y - 6), (x - 10, y - 6)], (168, 112, 58))
        canvas.line((x + 10, y - 10), (x + 18, y - 13), 1.6, _WOOD)
        for shift in (-6.5, 6.5):
            canvas.ellipse(x + shift, y - 4.2, 4.6, 4.6, _INK)
            canvas.ellipse(x + shift, y - 4.2, 1.7, 1.7, (200, 190, 170))
    elif name == "bench":
        canvas.rectangle(x - 14, y - 13, x + 14, y - 10.4, (150, 98, 52))
        canvas.rectangle(x - 14, y - 7.4, x + 14, y - 4.2, (150, 98, 52))
        for shift in (-11.5, 9.5):
            canvas.rectangle(x + shift, y - 13, x + shift + 2, y, (92, 88, 92))
    elif name == "fence":
        for shift in range(-18, 19, 6):
            canvas.polygon(
                [(x + shift - 1.5, y), (x + shift - 1.5, y - 12), (x + shift, y - 14), (x + shift + 1.5, y - 12)]
                + [(x + shift + 1.5, y)],
                (236, 230, 214),
            )
        canvas.rectangle(x - 20, y - 10.4, x + 20, y - 8.6, (236, 230, 214))
        canvas.rectangle(x - 20, y - 5, x + 20, y - 3.2, (236, 230, 214))
    elif name == "sheep":
        face = 1 if chance.happens(0.5) else -1
        for shift in (-5, -2, 3, 6):
            canvas.rectangle(x + shift - 0.8, y - 5, x + shift + 0.8, y, _INK)
        for dx, dy in ((-5, -7), (0, -6.5), (5, -7), (-3, -10), (3, -10)):
            canvas.ellipse(x + dx, y + dy, 4.4, 3.8, (246, 244, 236))
        canvas.ellipse(x + face * 9.5, y - 10.5, 3.2, 2.8, _INK)
    else:
        canvas.polygon([(x - 13, y), (x, y - 16.5), (x + 13, y)], (214, 190, 140))
        canvas.polygon([(x - 4, y), (x, y - 11), (x + 4, y)], (70, 54, 40))
        canvas.line((x, y - 16.5), (x, y - 18), 1.4, _INK)


def _paint_boat(attributes: Mapping[str, str], chance: Chance) -> Canvas:
    canvas = Canvas(_shade((186, 216, 236), chance), _shade((226, 236, 240), chance, 6))
    _paint_clouds(canvas, chance)
    for _ in range(chance.whole(0, 3)):
        canvas.ellipse(
            chance.uniform(0, 96),
            72,
            chance.uniform(14, 30),
            chance.uniform(5, 14),
            _shade((160, 184, 168), chance, 6),
        )
    canvas.rectangle(0, 71, 96, 96, _shade((104, 152, 166), chance, 7))
    middle, deck = 48 + chance.uniform(-1.8, 1.8), 69.0 + chance.uniform(-1.5, 1.5)
    count = NUMBER_WORDS.index(attributes["num_sails"]) + 1
    sail = _shade(PAINT[attributes["sail_color"]], chance)
    marked = chance.whole(0, count - 1)
    for index in range(count):
        x = middle + (index - (count - 1) / 2) * 29.0
        canvas.rectangle(x - 1, deck - 56, x + 1, deck, _WOOD)
        _outlined(canvas, _sail_outline(x, deck), sail)
        if index == marked:
            canvas.rectangle(x - 10.6, deck - 37.6, x + 10.6, deck - 16.4, _PLATE)
            _paint_mark(canvas, attributes["sail_mark"], x, deck - 27)
    hull = _shade(PAINT[attributes["hull_color"]], chance)
    _outlined(
        canvas, [(middle - 44, deck), (middle + 44, deck), (middle + 34, deck + 17), (middle - 34, deck + 17)], hull
    )
    canvas.rectangle(middle - 41.5, deck + 3.0, middle + 41.5, deck + 4.4, _INK)
    wave = _shade((150, 190, 200), chance, 6)
    for _ in range(chance.whole(7, 12)):
        x, y = chance.uniform(-2, 92), chance.uniform(deck + 16, 95)
        canvas.rectangle(x, y, x + 6.0, y + 0.9, wave)
    return canvas


def _sail_outline(x: float, deck: float) -> list[Point]:
    return [(x - 11.5, deck - 52), (x + 11.5, deck - 52), (x + 12.4, deck - 28), (x + 11.5, deck - 5)] + [
        (x - 11.5, deck - 5),
        (x - 12.4, deck - 28),
    ]
