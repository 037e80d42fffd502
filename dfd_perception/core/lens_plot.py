# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A drawing of what a lens can give: blur and accuracy against distance, and the band where it is blind."""

from __future__ import annotations

import cv2
import numpy as np

from dfd_perception.core.blur_error import ASSUMED, BlurError
from dfd_perception.core.colormap import ColourScale
from dfd_perception.core.lens_outlook import RESOLVED_FROM_PX
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.raster_axes import (
    BLUE,
    ORANGE,
    SMALL,
    SOFT,
    Floats,
    RasterAxes,
    Rgb,
    legend_line,
    text,
    text_width,
    titled_canvas,
)

WIDTH_PX, HEIGHT_PX = 840, 860
COLUMNS = (76, 806)
"""First and last column of both sets of axes: one above the other, of one width, so that a phone can show them."""
BLUR_ROWS, ACCURACY_ROWS = (92, 394), (528, 786)
BAND = (255, 236, 214)
LARGEST_SHARE = 0.5
GOOD = ASSUMED
"""What a well-fitted meter reads to on good texture: the lens's own promise, beside that of the model in hand."""


def lens_plot(curve: DefocusCurve, error: BlurError, title: str, largest_blur_px: float | None = None) -> Rgb:
    """(860, 840, 3) RGB: above blur against distance, below the accuracy of depth.

    Args:
        curve: the lens on its camera.
        error: of a blur reading; a larger one is drawn beside that of a good meter (0.5 px).
        title: above both.
        largest_blur_px: up to which the model was trained; drawn as a line where the lens reaches it.
    """
    image = titled_canvas(HEIGHT_PX, WIDTH_PX, title)
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
    axes = RasterAxes(image, COLUMNS, BLUR_ROWS, x, ColourScale(0.0, max(float(blur.max()), 1.0) * 1.08, "px"))
    _draw_band(axes, curve)
    axes.draw(("blur diameter in the image [px]", BLUR_ROWS[0] - 18))
    if largest_px is not None and largest_px < axes.y.high:
        words = "model trained up to here"
        row = axes.row(largest_px)
        for column in range(COLUMNS[0], COLUMNS[1], 14):
            cv2.line(image, (column, row), (min(column + 7, COLUMNS[1]), row), SOFT, 1)
        text(image, words, (COLUMNS[1] - text_width(words, SMALL), row - 7), SOFT, SMALL)
    axes.line(distances_m, blur, BLUE)


def _draw_accuracy(image: Rgb, curve: DefocusCurve, x: ColourScale, used_m: Floats, error: BlurError) -> None:
    axes = RasterAxes(image, COLUMNS, ACCURACY_ROWS, x, ColourScale(0.0, LARGEST_SHARE, ""))
    _draw_band(axes, curve)
    title = "accuracy of depth, one standard deviation [% of distance]"
    axes.draw((title, ACCURACY_ROWS[0] - 66), lambda value: f"{value:.0%}")
    errors = ((GOOD, BLUE), (error, ORANGE)) if error.mae_px > GOOD.mae_px else ((error, BLUE),)
    for number, (drawn, colour) in enumerate(errors):
        image_px = curve.coc_px(used_m)
        share = curve.depth_std_m(used_m, drawn.at(image_px), image_px) / used_m
        axes.line(used_m, share, colour)
        worse = "" if (share <= LARGEST_SHARE).any() else f": over {LARGEST_SHARE:.0%}"
        who = " by a well-fitted model" if drawn is GOOD else ""
        words = f"blur read to {drawn.in_words()}{who}{worse}"
        legend_line(image, words, (COLUMNS[0], ACCURACY_ROWS[0] - 38 + 22 * number), colour)
    axes.name_x("distance")


def _draw_band(axes: RasterAxes, curve: DefocusCurve) -> None:
    """Where everything is in focus and depth is not resolved; below the grid."""
    near, far = curve.in_focus_band_m(RESOLVED_FROM_PX)
    first, last = axes.column(near), axes.column(min(far, axes.x.high))
    cv2.rectangle(axes.image, (first, axes.rows[0]), (last, axes.rows[1]), BAND, -1)
    text(axes.image, "in focus", (last + 6, axes.rows[0] + 16), SOFT, SMALL)
