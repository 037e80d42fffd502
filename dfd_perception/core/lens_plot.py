# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A drawing of what a lens can give: blur and accuracy against distance, and the band where it is blind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.blur_error import ASSUMED, BlurError
from dfd_perception.core.colormap import ColourScale
from dfd_perception.core.lens_outlook import RESOLVED_FROM_PX
from dfd_perception.core.optics import DefocusCurve

WIDTH_PX, HEIGHT_PX = 840, 860
COLUMNS = (76, 806)
"""First and last column of both sets of axes: one above the other, of one width, so that a phone can show them."""
BLUR_ROWS, ACCURACY_ROWS = (92, 394), (528, 786)
INK, SOFT, GRID = (30, 30, 30), (95, 95, 95), (228, 228, 228)
BLUE, ORANGE, BAND = (31, 111, 235), (194, 87, 12), (255, 236, 214)
LARGEST_SHARE = 0.5
GOOD = ASSUMED
"""What a well-fitted meter reads to on good texture: the lens's own promise, beside that of the model in hand."""
_FONT, _SIZE, _SMALL = cv2.FONT_HERSHEY_SIMPLEX, 0.64, 0.56
_SUBPIXEL_BITS = 4

Colour = tuple[int, int, int]
Floats = NDArray[np.floating]
Rgb = NDArray[np.uint8]


def lens_plot(curve: DefocusCurve, error: BlurError, title: str, largest_blur_px: float | None = None) -> Rgb:
    """(860, 840, 3) RGB: above blur against distance, below the accuracy of depth.

    Args:
        curve: the lens on its camera.
        error: of a blur reading; a larger one is drawn beside that of a good meter (0.5 px).
        title: above both.
        largest_blur_px: up to which the model was trained; drawn as a line where the lens reaches it.
    """
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), 255, np.uint8)
    _text(image, title, (14, 30), INK, min(0.7, 0.7 * (WIDTH_PX - 28) / _width(title, 0.7)))
    focus = curve.focus_distance_m
    span = (0.5 * focus, 12 * focus) if curve.side == "far" else (focus / 8, 2 * focus)
    x = ColourScale(*span, logarithmic=True)
    distances = np.array([x.value_at(place) for place in np.linspace(0, 1, 400)])
    _draw_blur(image, curve, x, distances, largest_blur_px)
    near, far = curve.in_focus_band_m(RESOLVED_FROM_PX)  # no accuracy in the band: depth is not resolved there
    used = distances[distances >= far if curve.side == "far" else distances <= near]
    _draw_accuracy(image, curve, x, used, error)
    return image


def _draw_blur(image: Rgb, curve: DefocusCurve, x: ColourScale, distances_m: Floats, largest_px: float | None) -> None:
    blur = curve.coc_px(distances_m)
    plot = _Plot(image, BLUR_ROWS, x, ColourScale(0.0, max(float(blur.max()), 1.0) * 1.08, "px"))
    band_m = curve.in_focus_band_m(RESOLVED_FROM_PX)
    plot.axes("blur diameter in the image [px]", BLUR_ROWS[0] - 18, lambda value: f"{value:g}", band_m)
    if largest_px is not None and largest_px < plot.y.high:
        words = "model trained up to here"
        row = plot.row(largest_px)
        for column in range(COLUMNS[0], COLUMNS[1], 14):
            cv2.line(image, (column, row), (min(column + 7, COLUMNS[1]), row), SOFT, 1)
        _text(image, words, (COLUMNS[1] - _width(words, _SMALL), row - 7), SOFT, _SMALL)
    plot.line(distances_m, blur, BLUE)


def _draw_accuracy(image: Rgb, curve: DefocusCurve, x: ColourScale, used_m: Floats, error: BlurError) -> None:
    plot = _Plot(image, ACCURACY_ROWS, x, ColourScale(0.0, LARGEST_SHARE, ""))
    band_m, title = curve.in_focus_band_m(RESOLVED_FROM_PX), "accuracy of depth, one standard deviation [% of distance]"
    plot.axes(title, ACCURACY_ROWS[0] - 66, lambda value: f"{value:.0%}", band_m)
    errors = ((GOOD, BLUE), (error, ORANGE)) if error.mae_px > GOOD.mae_px else ((error, BLUE),)
    for number, (drawn, colour) in enumerate(errors):
        image_px = curve.coc_px(used_m)
        share = curve.depth_std_m(used_m, drawn.at(image_px), image_px) / used_m
        plot.line(used_m, share, colour)
        worse = "" if (share <= LARGEST_SHARE).any() else f": over {LARGEST_SHARE:.0%}"
        foot = ACCURACY_ROWS[0] - 38 + 22 * number
        cv2.line(image, (COLUMNS[0], foot - 5), (COLUMNS[0] + 24, foot - 5), colour, 3, cv2.LINE_AA)
        who = " by a well-fitted model" if drawn is GOOD else ""
        _text(image, f"blur read to {drawn.in_words()}{who}{worse}", (COLUMNS[0] + 34, foot), colour, _SMALL)
    words = "distance"
    _text(image, words, ((sum(COLUMNS) - _width(words, _SIZE)) // 2, HEIGHT_PX - 16), INK, _SIZE)


class _Plot:
    """One set of axes in the drawing; distance is logarithmic."""

    def __init__(self, image: Rgb, rows: tuple[int, int], x: ColourScale, y: ColourScale) -> None:
        self.image, self.rows, self.x, self.y = image, rows, x, y

    def column(self, distance_m: float) -> int:
        return round(self._place(self.x, distance_m, *COLUMNS))

    def row(self, value: float) -> int:
        return round(self._place(self.y, value, *self.rows[::-1]))

    def axes(self, title: str, title_row: int, form: Callable[[float], str], in_focus_m: tuple[float, float]) -> None:
        """The band in focus, grid, ticks and labels."""
        top, foot = self.rows
        band = self.column(in_focus_m[0]), self.column(min(in_focus_m[1], self.x.high))
        cv2.rectangle(self.image, (band[0], top), (band[1], foot), BAND, -1)
        for place, _ in self.y.ticks(6):
            value = self.y.value_at(place)
            row = self.row(value)
            cv2.line(self.image, (COLUMNS[0], row), (COLUMNS[1], row), GRID, 1)
            words = form(round(value, 6))
            _text(self.image, words, (COLUMNS[0] - _width(words, _SMALL) - 8, row + 6), SOFT, _SMALL)
        for place, words in self.x.ticks(6):
            column = self.column(self.x.value_at(place))
            cv2.line(self.image, (column, foot), (column, foot + 5), SOFT, 1)
            width = _width(words, _SMALL)
            _text(self.image, words, (min(column - width // 2, WIDTH_PX - width - 2), foot + 24), SOFT, _SMALL)
        cv2.line(self.image, (COLUMNS[0], foot), (COLUMNS[1], foot), SOFT, 1)
        _text(self.image, title, (14, title_row), INK, _SIZE)
        _text(self.image, "in focus", (band[1] + 6, top + 16), SOFT, _SMALL)

    def line(self, distances_m: Floats, values: Floats, colour: Colour) -> None:
        """A curve; what is above the axes is left out, not laid on their edge."""
        inside = np.flatnonzero(values <= self.y.high)
        for run in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1):
            points = [self._point(float(distances_m[i]), float(values[i])) for i in run]
            vertices = np.round(np.array(points).reshape(-1, 1, 2) * 2**_SUBPIXEL_BITS).astype(np.int32)
            cv2.polylines(self.image, [vertices], False, colour, 2, cv2.LINE_AA, _SUBPIXEL_BITS)

    def _point(self, distance_m: float, value: float) -> Sequence[float]:
        return self._place(self.x, distance_m, *COLUMNS), self._place(self.y, value, *self.rows[::-1])

    @staticmethod
    def _place(scale: ColourScale, value: float, first: int, last: int) -> float:
        return first + min(max(scale.place(value), 0.0), 1.0) * (last - first)


def _width(words: str, size: float) -> int:
    return int(cv2.getTextSize(words, _FONT, size, 1)[0][0])


def _text(image: Rgb, words: str, place: tuple[int, int], colour: Colour, size: float) -> None:
    cv2.putText(image, words, place, _FONT, size, colour, 1, cv2.LINE_AA)
