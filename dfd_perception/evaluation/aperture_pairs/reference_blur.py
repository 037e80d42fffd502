# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How much wider the blur of a wide aperture is than that of a small one: the disk that turns one image into the other.

Disks of growing diameter are laid on the small-aperture image in linear light; in every window with texture the
diameter that leaves the least difference to the wide image wins, refined by a parabola. No depth and no lens enter,
so a meter of blur can be judged by a pair of photographs alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.point_spread import DISK

WINDOW_PX = 41
STEP_PX = 0.5
LARGEST_PX = 14.0
FINE_SIGMA_PX = 1.0
COARSE_SIGMA_PX = 4.0
"""The band that is compared: finer is noise, coarser is exposure."""

CLIPPED = 0.97
"""Light above this is cut off by the sensor and tells nothing."""

LEAST_CONTRAST = 0.06
"""Standard deviation of the small-aperture image's band over the window's mean light: less is no texture."""

LEAST_EXPLAINED = 0.8
"""Share of the wide image's band energy that the best disk must explain: less is two depths, or something moved."""


@dataclass(frozen=True, kw_only=True)
class ReferenceBlur:
    """Reference of the windows with texture; 1-D arrays of one length.

    row, column: centre of the window [px].
    diameter_px: of the disk.
    """

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    diameter_px: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.row)


def reference_blur(
    wide: NDArray[np.float32], narrow: NDArray[np.float32], valid: NDArray[np.bool_], stride_px: int = 10
) -> ReferenceBlur:
    """Measure the disk between two aligned images.

    Args:
        wide: (H, W, 3) float32, linear light, at the wide aperture.
        narrow: the same, at the small one, aligned and in the same exposure.
        valid: (H, W), where both are known.
        stride_px: between centres of windows.

    Returns:
        The windows in which the disk is known; none at all for a scene without texture.
    """
    light_wide, light_narrow = wide.mean(2), narrow.mean(2)
    band_wide = _band(light_wide)
    diameters = np.arange(0.0, LARGEST_PX + STEP_PX / 2, STEP_PX)
    clipped = (wide.max(2) > CLIPPED) | (narrow.max(2) > CLIPPED)
    centres = _centres(valid & ~clipped, stride_px)
    costs = np.stack([_window_mean((_band(_blurred(light_narrow, d)) - band_wide) ** 2)[centres] for d in diameters])
    best = np.argmin(costs, axis=0)
    contrast = np.sqrt(_window_mean(_band(light_narrow) ** 2)[centres])
    known = contrast > LEAST_CONTRAST * _window_mean(light_narrow)[centres]
    known &= costs.min(axis=0) < (1 - LEAST_EXPLAINED) * _window_mean(band_wide**2)[centres]
    known &= best < len(costs) - 1
    diameter = diameters[best] + STEP_PX * _parabola_offset(costs, best)
    rows, columns = np.nonzero(centres)
    return ReferenceBlur(row=rows[known], column=columns[known], diameter_px=np.maximum(diameter[known], 0.0))


def _blurred(plane: NDArray[np.float32], diameter_px: float) -> NDArray[np.float32]:
    kernel = DISK.kernel(diameter_px)
    return plane if kernel.size == 1 else cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REFLECT)


def _band(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    fine = cv2.GaussianBlur(plane, (0, 0), FINE_SIGMA_PX)
    return fine - cv2.GaussianBlur(plane, (0, 0), COARSE_SIGMA_PX)


def _window_mean(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    return cv2.blur(plane, (WINDOW_PX, WINDOW_PX), borderType=cv2.BORDER_REFLECT)


def _centres(usable: NDArray[np.bool_], stride_px: int) -> NDArray[np.bool_]:
    """Grid of windows that lie within the image and nearly whole in the usable part."""
    half = WINDOW_PX // 2
    grid = np.zeros(usable.shape, bool)
    grid[half:-half:stride_px, half:-half:stride_px] = True
    return grid & (_window_mean(usable.astype(np.float32)) > 0.95)


def _parabola_offset(costs: NDArray[np.float32], best: NDArray[np.intp]) -> NDArray[np.float64]:
    """Offset of the minimum from the best sample, in samples; 0 at either end."""
    inner = np.clip(best, 1, len(costs) - 2)
    columns = np.arange(costs.shape[1])
    before, at, after = (costs[inner + k, columns].astype(np.float64) for k in (-1, 0, 1))
    curvature = before - 2 * at + after
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = np.where(curvature > 0, 0.5 * (before - after) / curvature, 0.0)
    return np.where(best == inner, np.clip(offset, -1, 1), 0.0)
