# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A drawing of what a lens can give: blur and accuracy against distance, and the bands where it is blind."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.blur_error import ASSUMED, BlurError
from dfd_perception.core.colormap import ColourScale
from dfd_perception.core.lens_outlook import RESOLVED_FROM_PX
from dfd_perception.core.optics import DefocusCurve

WIDTH_PX, HEIGHT_PX = 900, 420
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 56, 52
INK, SOFT, GRID = (30, 30, 30), (110, 110, 110), (228, 228, 228)
BLUE, ORANGE, BAND = (31, 111, 235), (194, 87, 12), (255, 236, 214)
LARGEST_SHARE = 0.5
GOOD = ASSUMED
"""What a well-fitted meter reads to on good texture: the lens's own promise, beside that of the model in hand."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX

Rgb = NDArray[np.uint8]


def lens_plot(curve: DefocusCurve, error: BlurError, title: str, largest_blur_px: float | None = None) -> Rgb:
    """(420, 900, 3) RGB: on the left blur against distance, on the right the accuracy of depth.

    Args:
        curve: the lens on its camera.
        error: of a blur reading; a larger one is drawn beside that of a good meter (0.5 px).
        title: above both.
        largest_blur_px: up to which the model was trained; drawn as a line where the lens reaches it.
    """
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), 255, np.uint8)
    _text(image, title, (LEFT - 40, 24), INK, 0.52)
    focus = curve.focus_distance_m
    span = (0.5 * focus, 12 * focus) if curve.side == "far" else (focus / 8, 2 * focus)
    x = ColourScale(*span, logarithmic=True)
    distances = np.array([x.value_at(place) for place in np.linspace(0, 1, 400)])
    half = WIDTH_PX // 2
    blur = curve.coc_px(distances)
    y = ColourScale(0.0, max(float(blur.max()), 1.0) * 1.08, "px")
    left = _Plot(image, (LEFT, half - RIGHT), x, y)
    left.band(*curve.in_focus_band_m(RESOLVED_FROM_PX))
    left.axes("distance", "blur diameter in the image [px]", lambda value: f"{value:g}")
    left.name_band(curve.in_focus_band_m(RESOLVED_FROM_PX)[1])
    if largest_blur_px is not None and largest_blur_px < y.high:
        left.line(distances, np.full_like(distances, largest_blur_px), SOFT, dashed=True)
        _text(image, "model trained up to here", (half - RIGHT - 160, left.row(largest_blur_px) - 6), SOFT, 0.38)
    left.line(distances, blur, BLUE)
    right = _Plot(image, (half + LEFT, WIDTH_PX - RIGHT), x, ColourScale(0.0, LARGEST_SHARE, ""))
    right.band(*curve.in_focus_band_m(RESOLVED_FROM_PX))
    right.axes("distance", "accuracy of depth [% of the distance]", lambda value: f"{value:.0%}")
    right.name_band(curve.in_focus_band_m(RESOLVED_FROM_PX)[1])
    near, far = curve.in_focus_band_m(RESOLVED_FROM_PX)  # no accuracy in the band: depth is not resolved there
    used = distances[distances >= far if curve.side == "far" else distances <= near]
    errors = ((GOOD, BLUE), (error, ORANGE)) if error.mae_px > GOOD.mae_px else ((error, BLUE),)
    for row, (drawn, colour) in enumerate(errors):
        image_px = curve.coc_px(used)
        share = curve.depth_std_m(used, drawn.at(image_px), image_px) / used
        right.line(used, share, colour)
        worse = "" if (share <= LARGEST_SHARE).any() else f": over {LARGEST_SHARE:.0%}"
        place = (right.columns[0] + 10, TOP + 34 + 18 * row)
        _text(image, f"blur read to {drawn.in_words()}{worse}", place, colour, 0.42, over_white=True)
    return image


class _Plot:
    """One set of axes in the drawing; distance is logarithmic."""

    def __init__(self, image: Rgb, columns: tuple[int, int], x: ColourScale, y: ColourScale) -> None:
        self.image, self.columns, self.x, self.y = image, columns, x, y

    def column(self, distance_m: float) -> int:
        place = min(max(self.x.place(distance_m), 0.0), 1.0)
        return round(self.columns[0] + place * (self.columns[1] - self.columns[0]))

    def row(self, value: float) -> int:
        place = min(max(self.y.place(value), 0.0), 1.0)
        return round(HEIGHT_PX - BOTTOM - place * (HEIGHT_PX - BOTTOM - TOP))

    def band(self, near_m: float, far_m: float) -> None:
        """Shade the distances in focus."""
        first, last = self.column(near_m), self.column(min(far_m, self.x.high))
        cv2.rectangle(self.image, (first, TOP), (last, HEIGHT_PX - BOTTOM), BAND, -1)

    def name_band(self, far_m: float) -> None:
        """Write beside the band what it is, over the grid."""
        _text(self.image, "in focus", (self.column(min(far_m, self.x.high)) + 4, TOP + 12), SOFT, 0.36)

    def axes(self, x_label: str, y_label: str, form: Callable[[float], str]) -> None:
        """Grid, ticks and labels."""
        foot = HEIGHT_PX - BOTTOM
        for place, _ in self.y.ticks(6):
            value = self.y.value_at(place)
            row = self.row(value)
            cv2.line(self.image, (self.columns[0], row), (self.columns[1], row), GRID, 1)
            words = form(round(value, 6))
            (width, _), _ = cv2.getTextSize(words, _FONT, 0.4, 1)
            _text(self.image, words, (self.columns[0] - width - 6, row + 4), SOFT, 0.4)
        for place, words in self.x.ticks(6):
            column = self.column(self.x.value_at(place))
            cv2.line(self.image, (column, foot), (column, foot + 4), SOFT, 1)
            (width, _), _ = cv2.getTextSize(words, _FONT, 0.4, 1)
            _text(self.image, words, (min(column - width // 2, WIDTH_PX - width - 2), foot + 18), SOFT, 0.4)
        cv2.line(self.image, (self.columns[0], foot), (self.columns[1], foot), SOFT, 1)
        _text(self.image, y_label, (self.columns[0] - 38, TOP - 10), INK, 0.42)
        _text(self.image, x_label, ((self.columns[0] + self.columns[1]) // 2 - 26, foot + 38), INK, 0.42)

    def line(self, distances_m: NDArray[np.floating], values: NDArray[np.floating], colour: tuple[int, int, int],
             dashed: bool = False) -> None:  # fmt: skip
        """A curve; what is above the axes is left out, not laid on their edge."""
        inside = values <= self.y.high
        points = [(self.column(float(d)), self.row(float(v))) for d, v in zip(distances_m, values, strict=True)]
        for number in range(1, len(points)):
            if inside[number - 1] and inside[number] and not (dashed and number // 6 % 2):
                cv2.line(self.image, points[number - 1], points[number], colour, 1 if dashed else 2, cv2.LINE_AA)


def _text(image: Rgb, words: str, place: tuple[int, int], colour: tuple[int, int, int], size: float,
          over_white: bool = False) -> None:  # fmt: skip
    if over_white:
        (width, height), below = cv2.getTextSize(words, _FONT, size, 1)
        first, last = (place[0] - 4, place[1] - height - 3), (place[0] + width + 4, place[1] + below)
        cv2.rectangle(image, first, last, (255, 255, 255), -1)
    cv2.putText(image, words, place, _FONT, size, colour, 1, cv2.LINE_AA)
