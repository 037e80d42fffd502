# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The fit as an image: readings against inverse distance, the fitted curve, and that of the data sheet."""

from __future__ import annotations

import numpy as np

from dfd_perception.calibration.lens_fit import FittedLens
from dfd_perception.core.colormap import ColourScale
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.raster_axes import BLUE, ORANGE, SOFT, RasterAxes, Rgb, legend_line, titled_canvas

WIDTH_PX, HEIGHT_PX = 960, 640
COLUMNS, ROWS = (76, 926), (98, 550)
LEGEND_FROM = 260


def fit_image(fit: FittedLens, data_sheet: DefocusCurve | None = None) -> Rgb:
    """(640, 960, 3) uint8 RGB: blur [px] over 1/distance [1/m], distances below the ticks."""
    inverse = np.array([1 / reading.distance_m for reading in fit.readings])
    focus = 1 / fit.curve.focus_distance_m
    low, high = min(inverse.min(), focus), max(inverse.max(), focus)
    margin = 0.06 * (high - low)
    x = ColourScale(float(max(0.0, low - margin)), float(high + margin), "1/m")
    most = max(reading.blur_px + reading.std_px for reading in fit.readings)
    image = titled_canvas(HEIGHT_PX, WIDTH_PX, _in_words(fit))
    axes = RasterAxes(image, COLUMNS, ROWS, x, ColourScale(0.0, max(1.15 * most, 1.0), "px"))
    axes.draw(("total blur [px]", ROWS[0] - 16), x_words=_with_distance)
    curves = {"fitted lens": (fit.curve, ORANGE)}
    if data_sheet is not None:
        curves = {"data sheet": (data_sheet, SOFT)} | curves
    samples = np.linspace(max(x.low, 1e-3), x.high, 400)
    for curve, colour in curves.values():
        axes.line(samples, curve.coc_px(1 / samples), colour)
    for reading in fit.readings:
        axes.dot(1 / reading.distance_m, reading.blur_px, reading.std_px, BLUE)
    colours = {"readings, with their std": BLUE} | {name: colour for name, (_, colour) in curves.items()}
    column = LEGEND_FROM
    for name, colour in colours.items():
        column = legend_line(image, name, (column, ROWS[0] - 16), colour) + 30
    axes.name_x("1 / distance [1/m]")
    return image


def _with_distance(inverse: float, _: str) -> tuple[str, ...]:
    words = f"{inverse:.4g}"
    return (words, f"{1 / inverse:.2f} m") if inverse > 1e-6 else (words,)


def _in_words(fit: FittedLens) -> str:
    curve = fit.curve
    return (
        f"K {curve.gain_px_per_dioptre:.2f} +- {fit.gain_std:.2f} px/dioptre   F {curve.focus_distance_m:.3f} +- "
        f"{fit.focus_std_m:.3f} m   floor {curve.blur_floor_px:.2f} +- {fit.floor_std_px:.2f} px   {curve.side} side"
    )
