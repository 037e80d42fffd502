# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a lens can give before it is bought: blur and accuracy of depth at each distance, and where it is blind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfd_perception.core.blur_error import BlurError
from dfd_perception.core.optics import DefocusCurve

RESOLVED_FROM_PX = 1.0
"""Blur of the lens from which depth is called resolved."""
USEFUL_UP_TO = 0.5
"""Relative accuracy beyond which a distance is called not measured."""
NOT_RESOLVED = "in focus: not resolved"
_DISTANCES_M = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0)
_ROWS = 10
BAR_WIDTH = 20
"""Characters of the longest bar."""


@dataclass(frozen=True)
class Outlook:
    """One distance."""

    distance_m: float
    lens_blur_px: float
    """Circle of confusion of the lens."""
    image_blur_px: float
    """Total blur: with the blur floor in quadrature."""
    std_m: float | None
    """One standard deviation of the depth; None on the side of the focus that the lens is not used for."""
    note: str


def outlook(
    curve: DefocusCurve, error: BlurError, distances_m: Sequence[float], largest_blur_px: float | None = None
) -> list[Outlook]:
    """The lens at some distances.

    Args:
        curve: the lens on its camera, at the resolution that the network sees.
        error: of a blur reading; taken for its standard deviation.
        distances_m: positive.
        largest_blur_px: up to which the model was trained.
    """
    depth_m = np.asarray(distances_m, np.float64)
    lens_px, image_px = np.abs(curve.signed_coc_px(depth_m)), curve.coc_px(depth_m)
    std_m = curve.depth_std_m(depth_m, error.at(image_px), image_px)
    rows = []
    for d, lens, image, std in zip(depth_m, lens_px, image_px, std_m, strict=True):
        wrong_side = d < curve.focus_distance_m if curve.side == "far" else d > curve.focus_distance_m
        resolved = lens >= RESOLVED_FROM_PX
        if not resolved:
            note = NOT_RESOLVED
        elif wrong_side:
            note = f"wrong side: taken for {_metres(curve.mirror_depth_m(float(d)))}"
        elif largest_blur_px is not None and image > largest_blur_px:
            note = f"more blur than the model was trained for ({largest_blur_px:g} px)"
        elif std > USEFUL_UP_TO * d:
            note = "too uncertain"
        else:
            note = ""
        rows.append(Outlook(float(d), float(lens), float(image), None if wrong_side else float(std), note))
    return rows


def usual_distances_m(curve: DefocusCurve) -> tuple[float, ...]:
    """Round distances around and beyond (or before) the focus, and the focus itself."""
    focus = curve.focus_distance_m
    low, high = (0.5 * focus, 12 * focus) if curve.side == "far" else (0.15 * focus, 2 * focus)
    chosen = {d for d in _DISTANCES_M if low <= d <= high}
    return tuple(sorted(chosen | {focus}))[: _ROWS + 2]


def summary_lines(curve: DefocusCurve) -> list[str]:
    """What holds for the lens as a whole."""
    gain, focus = curve.gain_px_per_dioptre, curve.focus_distance_m
    near, far = curve.in_focus_band_m(RESOLVED_FROM_PX)
    lines = [
        f"K {gain:.1f} px per dioptre; blur at infinity {gain / focus:.1f} px"
        + (f"; blur floor {curve.blur_floor_px:.1f} px" if curve.blur_floor_px else ""),
        f"in focus from {_metres(near)} to {_metres(far)}: blur of the lens below {RESOLVED_FROM_PX:g} px, depth is "
        "not resolved",
    ]
    if curve.side == "far":
        lines.append(
            f"the scene must lie beyond {_metres(focus)}: blur is alike on both sides of the focus, and what is at "
            f"{_metres(0.8 * focus)} would be taken for {_metres(curve.mirror_depth_m(0.8 * focus))}"
        )
    else:
        lines.append(
            f"the scene must lie nearer than {_metres(focus)}: blur is alike on both sides of the focus, and what is "
            f"at {_metres(1.5 * focus)} would be taken for {_metres(curve.mirror_depth_m(1.5 * focus))}"
        )
    return lines


def table_text(rows: Sequence[Outlook]) -> str:
    """The rows as a table for the terminal, with a bar of the blur in the image."""
    largest = max(row.image_blur_px for row in rows) or 1.0
    lines = [f"{'distance':>10} {'lens blur':>10} {'in image':>10} {'accuracy':>18}  blur"]
    for row in rows:
        bar = "#" * max(1, round(row.image_blur_px / largest * BAR_WIDTH))
        accuracy = "-"
        if row.std_m is not None and row.note != NOT_RESOLVED:
            share = row.std_m / row.distance_m
            accuracy = f"+- {_metres(row.std_m)} ({share:.0%})" if share <= 1 else "over +- 100%"
        note = f"  {row.note}" if row.note else ""
        lines.append(
            f"{_metres(row.distance_m):>10} {row.lens_blur_px:>7.1f} px {row.image_blur_px:>7.1f} px {accuracy:>18}  "
            f"{bar:<{BAR_WIDTH if note else 0}}{note}"
        )
    return "\n".join(lines)


def _metres(value_m: float) -> str:
    """A distance for people: 3.4 mm, 12 cm, 1.70 m."""
    if not np.isfinite(value_m):
        return "infinity"
    if value_m < 0.01:
        return f"{value_m * 1e3:.2g} mm"
    if value_m < 0.1:
        return f"{value_m * 1e2:.1f} cm"
    return f"{value_m:.2f} m"
