"""A small painter whose pixels are the same on every machine: shapes over a finer grid, averaged down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["PICTURE_SIZE", "Canvas", "Color", "Point"]

Color = tuple[int, int, int]
Point = tuple[float, float]

PICTURE_SIZE = 96  # pixels on each side
_SCALE = 4  # grid points per pixel and axis


class Canvas:
    """A square picture. Coordinates are pixels from the top left corner; parts outside are cut off.

    Pillow's own drawing is not used because its edge rules have changed between versions, and a frozen benchmark must
    not change with them.

    Args:
        sky: color of the top row.
        horizon: color of the bottom row; rows between are blended.

    Example:
        >>> canvas = Canvas((0, 0, 0), (0, 0, 0))
        >>> canvas.rectangle(0, 0, 96, 48, (255, 0, 0))
        >>> canvas.pixels()[0, 0].tolist(), canvas.pixels()[95, 0].tolist()
        ([255, 0, 0], [0, 0, 0])
    """

    def __init__(self, sky: Color, horizon: Color) -> None:
        side = PICTURE_SIZE * _SCALE
        weights = np.arange(side, dtype=np.int32)[:, None]
        rows = (np.array(sky) * (side - 1 - weights) + np.array(horizon) * weights) // (side - 1)
        self._grid = np.empty((side, side, 3), dtype=np.uint8)
        self._grid[:] = rows.astype(np.uint8)[:, None, :]

    def _window(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        side = PICTURE_SIZE * _SCALE

        def clip(value: float) -> int:
            return min(max(round(value * _SCALE), 0), side)

        return slice(clip(top), clip(bottom)), slice(clip(left), clip(right))

    def rectangle(self, left: float, top: float, right: float, bottom: float, color: Color) -> None:
        """Fill a rectangle."""
        self._grid[self._window(left, top, right, bottom)] = color

    def polygon(self, points: Sequence[Point], color: Color) -> None:
        """Fill a polygon (even-odd rule), convex or not."""
        corners = [(round(x * 16) / 16, round(y * 16) / 16) for x, y in points]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        rows, columns = self._window(min(xs) - 1, min(ys) - 1, max(xs) + 1, max(ys) + 1)
        y_axis, x_axis = self._axes(rows, columns)
        inside = np.zeros((y_axis.size, x_axis.size), dtype=bool)
        for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
            if y1 == y2:
                continue
            crosses = (y1 > y_axis) != (y2 > y_axis)
            inside ^= crosses & (x_axis < (x2 - x1) * (y_axis - y1) / (y2 - y1) + x1)
        self._grid[rows, columns][inside] = color

    def ellipse(
        self, x: float, y: float, radius_x: float, radius_y: float, color: Color, *, hole: float = 0.0
    ) -> None:
        """Fill an ellipse around (x, y); `hole` is the share of the radius left open in the middle."""
        rows, columns = self._window(x - radius_x - 1, y - radius_y - 1, x + radius_x + 1, y + radius_y + 1)
        y_axis, x_axis = self._axes(rows, columns)
        distance = ((x_axis - x) / radius_x) ** 2 + ((y_axis - y) / radius_y) ** 2
        self._grid[rows, columns][(distance <= 1.0) & (distance >= hole * hole)] = color

    def crescent(self, x: float, y: float, radius: float, color: Color) -> None:
        """Fill a moon that opens to the right."""
        rows, columns = self._window(x - radius - 1, y - radius - 1, x + radius + 1, y + radius + 1)
        y_axis, x_axis = self._axes(rows, columns)
        disk = (x_axis - x) ** 2 + (y_axis - y) ** 2 <= radius * radius
        bite = (x_axis - x - 0.5 * radius) ** 2 + (y_axis - y) ** 2 <= (0.78 * radius) ** 2
        self._grid[rows, columns][disk & ~bite] = color

    def line(self, start: Point, end: Point, width: float, color: Color) -> None:
        """Draw a straight line of a width in pixels."""
        length = math.hypot(end[0] - start[0], end[1] - start[1])
        if length == 0:
            return
        dx, dy = (start[1] - end[1]) / length * width / 2, (end[0] - start[0]) / length * width / 2
        corners = [(start[0] + dx, start[1] + dy), (end[0] + dx, end[1] + dy)]
        self.polygon([*corners, (end[0] - dx, end[1] - dy), (start[0] - dx, start[1] - dy)], color)

    def _axes(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        y_axis = (np.arange(rows.start, rows.stop)[:, None] + 0.5) / _SCALE
        x_axis = (np.arange(columns.start, columns.stop)[None, :] + 0.5) / _SCALE
        return y_axis, x_axis

    def pixels(self) -> np.ndarray:
        """The finished picture: (PICTURE_SIZE, PICTURE_SIZE, 3) uint8."""
        total = np.zeros((PICTURE_SIZE, PICTURE_SIZE * _SCALE, 3), dtype=np.uint16)
        for offset in range(_SCALE):
            total += self._grid[offset::_SCALE]
        small = np.zeros((PICTURE_SIZE, PICTURE_SIZE, 3), dtype=np.uint16)
        for offset in range(_SCALE):
            small += total[:, offset::_SCALE]
        return ((small + _SCALE * _SCALE // 2) // (_SCALE * _SCALE)).astype(np.uint8)
