"""Depth as colour over a fixed metric range, and the legend that says which: a colour is a distance, in every frame.

Warm is near, cold is far, black is no depth. The scale is logarithmic: the error of depth from defocus grows with
distance, and so does the step from one colour to the next.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import ConfigError

DEFAULT_RANGE_M = (0.1, 10.0)
TICKS_M = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 30.0, 50.0, 100.0)
LEGEND_HEIGHT_PX = 48

# Row i: RGB of level i; level 0 is kept for "no depth".
_TURBO = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[::-1].copy(), cv2.COLORMAP_TURBO)[:, 0, ::-1]
_PALETTE = np.ascontiguousarray(np.concatenate([np.zeros((1, 3), np.uint8), _TURBO[16:240]]))
_LEVELS = len(_PALETTE) - 1


def colour_depth(
    depth_m: NDArray[np.float32], range_m: tuple[float, float] = DEFAULT_RANGE_M
) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a depth map (H, W) [m]; outside of the range the end colours, NaN black.

    Raises:
        ConfigError: a range that is not 0 < near < far.
    """
    near, far = _checked(range_m)
    valid = np.isfinite(depth_m) & (depth_m > 0)
    in_range = np.clip(np.where(valid, depth_m, near), near, far).astype(np.float32)
    position = np.log(in_range / np.float32(near)) * np.float32(1 / np.log(far / near))
    level = 1.5 + position * (_LEVELS - 1)
    return _PALETTE[np.where(valid, level, 0).astype(np.uint8)]


def colour_defocus(coc_px: NDArray[np.float32], largest_px: float) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a map of circles of confusion [px]: dark is sharp, bright is `largest_px` or more."""
    level = np.clip(np.nan_to_num(coc_px) * (255 / largest_px), 0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def legend(width: int, range_m: tuple[float, float] = DEFAULT_RANGE_M) -> NDArray[np.uint8]:
    """(48, width, 3) RGB: a bar of the colours with distances in metres below it."""
    near, far = _checked(range_m)
    image = np.full((LEGEND_HEIGHT_PX, width, 3), 255, np.uint8)
    margin = min(24, width // 8)
    columns = np.arange(width - 2 * margin)
    depths = near * (far / near) ** (columns / max(1, columns.size - 1))
    image[4:24, margin : width - margin] = colour_depth(depths.astype(np.float32)[None], range_m)
    last_end = -100
    for tick in (t for t in TICKS_M if near <= t <= far):
        x = margin + round(np.log(tick / near) / np.log(far / near) * (columns.size - 1))
        cv2.line(image, (x, 20), (x, 28), (0, 0, 0), 1)
        text = f"{tick:g} m"
        (text_width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
        start = min(max(0, x - text_width // 2), width - text_width)
        if start > last_end + 4:
            cv2.putText(image, text, (start, 42), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
            last_end = start + text_width
    return image


def _checked(range_m: tuple[float, float]) -> tuple[float, float]:
    near, far = range_m
    if not (0 < near < far and np.isfinite(far)):
        raise ConfigError(f"colour range is {near} to {far} m; expected 0 < near < far")
    return near, far
