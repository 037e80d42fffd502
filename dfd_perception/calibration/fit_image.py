# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The fit as an image: readings against inverse distance, the fitted curve, and that of the data sheet."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.calibration.lens_fit import FittedLens
from dfd_perception.core.optics import DefocusCurve

SIZE = (640, 960)
LEFT, RIGHT, TOP, BOTTOM = 80, 30, 60, 80
BLACK, GREY, DARK_GREY, BLUE, ORANGE = (30, 30, 30), (200, 200, 200), (120, 120, 120), (31, 95, 180), (214, 110, 20)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def fit_image(fit: FittedLens, data_sheet: DefocusCurve | None = None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: blur [px] over 1/distance [1/m], distances beside the ticks."""
    inverse = np.array([1 / reading.distance_m for reading in fit.readings])
    focus = 1 / fit.curve.focus_distance_m
    low, high = min(inverse.min(), focus), max(inverse.max(), focus)
    margin = 0.06 * (high - low)
    low, high = max(0.0, low - margin), high + margin
    top = 1.15 * max(reading.blur_px + reading.std_px for reading in fit.readings)
    plot = _Plot(low, high, top)
    plot.axes()
    samples = np.linspace(max(low, 1e-3), high, 400)
    if data_sheet is not None:
        plot.line(samples, data_sheet.coc_px(1 / samples), GREY, 2)
    plot.line(samples, fit.curve.coc_px(1 / samples), ORANGE, 3)
    for reading in fit.readings:
        plot.point(1 / reading.distance_m, reading.blur_px, reading.std_px)
    curve = fit.curve
    title = (
        f"K {curve.gain_px_per_dioptre:.2f} +- {fit.gain_std:.2f} px/dioptre   F {curve.focus_distance_m:.3f} +- "
        f"{fit.focus_std_m:.3f} m   floor {curve.blur_floor_px:.2f} +- {fit.floor_std_px:.2f} px   {curve.side} side"
    )
    cv2.putText(plot.canvas, title, (LEFT, 26), FONT, 0.52, BLACK, 1, cv2.LINE_AA)
    legend = [("readings, with their std", BLUE), ("fitted lens", ORANGE)]
    plot.legend([*legend, ("data sheet", GREY)] if data_sheet is not None else legend)
    return plot.canvas


class _Plot:
    """A chart of blur over inverse distance."""

    def __init__(self, low: float, high: float, top: float) -> None:
        self.canvas = np.full((*SIZE, 3), 255, np.uint8)
        self._low, self._high, self._top = low, high, max(top, 1.0)

    def axes(self) -> None:
        height, width = SIZE
        cv2.rectangle(self.canvas, (LEFT, TOP), (width - RIGHT, height - BOTTOM), BLACK, 1, cv2.LINE_AA)
        for value in _ticks(0.0, self._top):
            x, y = self._at(self._low, value)
            cv2.line(self.canvas, (x, y), (width - RIGHT, y), (236, 236, 236), 1)
            cv2.putText(self.canvas, f"{value:g}", (x - 42, y + 5), FONT, 0.5, BLACK, 1, cv2.LINE_AA)
        for value in _ticks(self._low, self._high):
            x, y = self._at(value, 0.0)
            cv2.line(self.canvas, (x, y), (x, y + 5), BLACK, 1)
            cv2.putText(self.canvas, f"{value:.3g}", (x - 14, y + 22), FONT, 0.5, BLACK, 1, cv2.LINE_AA)
            if value > 0:
                cv2.putText(self.canvas, f"{1 / value:.2f} m", (x - 22, y + 42), FONT, 0.45, DARK_GREY, 1, cv2.LINE_AA)
        text = "1 / distance [1/m]"
        cv2.putText(self.canvas, text, (width // 2 - 70, height - 12), FONT, 0.55, BLACK, 1, cv2.LINE_AA)
        cv2.putText(self.canvas, "total blur [px]", (8, TOP - 12), FONT, 0.55, BLACK, 1, cv2.LINE_AA)

    def line(
        self, inverse: NDArray[np.floating], blur: NDArray[np.floating], colour: tuple[int, ...], width: int
    ) -> None:
        inside = blur <= self._top
        points = [self._at(x, y) for x, y, seen in zip(inverse, blur, inside, strict=True) if seen]
        cv2.polylines(self.canvas, [np.array(points, np.int32)], False, colour, width, cv2.LINE_AA)

    def point(self, inverse: float, blur: float, std: float) -> None:
        cv2.line(self.canvas, self._at(inverse, blur - std), self._at(inverse, blur + std), BLUE, 1, cv2.LINE_AA)
        cv2.circle(self.canvas, self._at(inverse, blur), 4, BLUE, -1, cv2.LINE_AA)

    def legend(self, entries: Sequence[tuple[str, tuple[int, ...]]]) -> None:
        x = LEFT
        for name, colour in entries:
            cv2.circle(self.canvas, (x + 160, 44), 5, colour, -1, cv2.LINE_AA)
            cv2.putText(self.canvas, name, (x + 172, 49), FONT, 0.48, BLACK, 1, cv2.LINE_AA)
            x += 210

    def _at(self, inverse: float, blur: float) -> tuple[int, int]:
        height, width = SIZE
        x = LEFT + (inverse - self._low) / (self._high - self._low) * (width - LEFT - RIGHT)
        y = height - BOTTOM - blur / self._top * (height - TOP - BOTTOM)
        return round(float(x)), round(float(np.clip(y, TOP, height - BOTTOM)))


def _ticks(low: float, high: float) -> list[float]:
    raw = (high - low) / 7
    step = 10 ** np.floor(np.log10(raw))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= raw)
    return [float(v) for v in np.arange(np.ceil(low / step) * step, high, step)]
