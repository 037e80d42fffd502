# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Axes, curves and words drawn into an image, for charts that are files of their own (pages have theirs as SVG)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import ColourScale

INK, SOFT, GRID = (30, 30, 30), (95, 95, 95), (228, 228, 228)
BLUE, ORANGE = (31, 111, 235), (194, 87, 12)
LARGEST, SIZE, SMALL = 0.7, 0.64, 0.56
"""Of letters, in OpenCV's unit."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL_BITS = 4
_TICKS = 6
_LINE_PX = 20
EDGE_PX = 14
"""From the left edge of the image to its words."""

Colour = tuple[int, int, int]
Floats = NDArray[np.floating]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class RasterAxes:
    """One set of axes in an image (H, W, 3) uint8 RGB, which is drawn into."""

    image: Rgb
    columns: tuple[int, int]
    """First and last."""
    rows: tuple[int, int]
    """First and last."""
    x: ColourScale
    y: ColourScale

    def column(self, value: float) -> int:
        """Where a value of x lies; one beyond the axes lies on their edge."""
        return round(_between(self.x, value, *self.columns))

    def row(self, value: float) -> int:
        """Where a value of y lies."""
        return round(_between(self.y, value, *self.rows[::-1]))

    def draw(
        self,
        title: tuple[str, int],
        form: Callable[[float], str] = lambda value: f"{value:g}",
        x_words: Callable[[float, str], tuple[str, ...]] = lambda value, words: (words,),
    ) -> None:
        """The grid, ticks and numbers.

        Args:
            title: of the vertical axis, and its row.
            form: text of a tick of y.
            x_words: lines below a tick of x, from its value and its text with the unit.
        """
        foot = self.rows[1]
        for place, _ in self.y.ticks(_TICKS):
            value = self.y.value_at(place)
            row, words = self.row(value), form(round(value, 6))
            cv2.line(self.image, (self.columns[0], row), (self.columns[1], row), GRID, 1)
            text(self.image, words, (self.columns[0] - text_width(words, SMALL) - 8, row + 6), SOFT, SMALL)
        for place, words in self.x.ticks(_TICKS):
            value = self.x.value_at(place)
            column = self.column(value)
            cv2.line(self.image, (column, foot), (column, foot + 5), SOFT, 1)
            for number, line in enumerate(x_words(value, words)):
                width = text_width(line, SMALL)
                left = min(column - width // 2, self.image.shape[1] - width - 2)
                text(self.image, line, (left, foot + 24 + _LINE_PX * number), SOFT, SMALL)
        cv2.line(self.image, (self.columns[0], foot), (self.columns[1], foot), SOFT, 1)
        text(self.image, title[0], (EDGE_PX, title[1]), INK, SIZE)

    def name_x(self, words: str) -> None:
        """The name of the horizontal axis, at the foot of the image."""
        left = (sum(self.columns) - text_width(words, SIZE)) // 2
        text(self.image, words, (left, self.image.shape[0] - 16), INK, SIZE)

    def line(self, xs: Floats, ys: Floats, colour: Colour, width_px: int = 2) -> None:
        """A curve; what is above the axes is left out, not laid on their edge."""
        inside = np.flatnonzero(ys <= self.y.high)
        for run in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1):
            points = [self._point(float(xs[i]), float(ys[i])) for i in run]
            vertices = np.round(np.array(points).reshape(-1, 1, 2) * 2**_SUBPIXEL_BITS).astype(np.int32)
            cv2.polylines(self.image, [vertices], False, colour, width_px, cv2.LINE_AA, _SUBPIXEL_BITS)

    def dot(self, x: float, y: float, std: float, colour: Colour) -> None:
        """A reading with a bar of one standard deviation to either side."""
        column = self.column(x)
        cv2.line(self.image, (column, self.row(y - std)), (column, self.row(y + std)), colour, 1, cv2.LINE_AA)
        cv2.circle(self.image, (column, self.row(y)), 4, colour, -1, cv2.LINE_AA)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        return _between(self.x, x, *self.columns), _between(self.y, y, *self.rows[::-1])


def _between(scale: ColourScale, value: float, first: int, last: int) -> float:
    return first + min(max(scale.place(value), 0.0), 1.0) * (last - first)


def titled_canvas(height_px: int, width_px: int, title: str) -> Rgb:
    """(H, W, 3) white with a line at the top, in smaller letters if it is long."""
    image = np.full((height_px, width_px, 3), 255, np.uint8)
    size = min(LARGEST, LARGEST * (width_px - 2 * EDGE_PX) / text_width(title, LARGEST))
    text(image, title, (EDGE_PX, 30), INK, size)
    return image


def text_width(words: str, size: float) -> int:
    """Width [px] of words."""
    return int(cv2.getTextSize(words, _FONT, size, 1)[0][0])


def text(image: Rgb, words: str, place: tuple[int, int], colour: Colour, size: float) -> None:
    """Words from a place (x, y) of their foot."""
    cv2.putText(image, words, place, _FONT, size, colour, 1, cv2.LINE_AA)


def legend_line(image: Rgb, words: str, place: tuple[int, int], colour: Colour) -> int:
    """A stroke of a colour and what it stands for; returns the column behind it."""
    x, foot = place
    cv2.line(image, (x, foot - 5), (x + 24, foot - 5), colour, 3, cv2.LINE_AA)
    text(image, words, (x + 34, foot), colour, SMALL)
    return x + 34 + text_width(words, SMALL)
