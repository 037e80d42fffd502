# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How much of a map's true borders an estimate shows."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

SCALE_PX = 2.0
"""Sigma of the Gaussian whose derivative is taken: a border that is two pixels off still counts."""

STEEPEST_SURFACE = 0.5
"""Change of the truth [px of blur per px] above which it is a border and not a slanted surface."""


class BorderSums(NamedTuple):
    """Additive over images.

    estimate: sum over border pixels of the size of the estimate's gradient.
    along: the same, of its part along the true gradient; noise and plaid cancel in it.
    truth: sum of the size of the true gradient.
    pixels: how many.
    """

    estimate: float = 0.0
    along: float = 0.0
    truth: float = 0.0
    pixels: int = 0

    @property
    def share(self) -> float:
        """Gradient of the estimate over that of the truth: 1 shows borders whole, 0 not at all. NaN without borders."""
        return self.estimate / self.truth if self.truth > 0 else float("nan")

    @property
    def share_along(self) -> float:
        """The same, of the gradient along the true one alone."""
        return self.along / self.truth if self.truth > 0 else float("nan")

    def plus(self, other: BorderSums) -> BorderSums:
        """Of both together."""
        return BorderSums(
            self.estimate + other.estimate,
            self.along + other.along,
            self.truth + other.truth,
            self.pixels + other.pixels,
        )


def border_sums(estimate: NDArray[np.floating], truth: NDArray[np.floating]) -> BorderSums:
    """Compare the gradients of two maps (H, W) at the borders of the true one.

    Gaussian derivatives of SCALE_PX in both; where the truth is NaN within twice that distance there is no border.

    Args:
        estimate: of any unit, finite.
        truth: in the same unit, NaN where unknown.
    """
    known = np.isfinite(truth)
    reach = 2 * round(2 * SCALE_PX) + 1
    sure = cv2.erode(known.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    true_y, true_x = _gradient(np.where(known, truth, 0))
    size = np.hypot(true_x, true_y)
    border = sure & (size > STEEPEST_SURFACE)
    read_y, read_x = _gradient(estimate)
    along = (read_x * true_x + read_y * true_y)[border] / size[border]
    return BorderSums(
        float(np.hypot(read_x, read_y)[border].sum()), float(along.sum()), float(size[border].sum()), int(border.sum())
    )


def _gradient(values: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    smooth = cv2.GaussianBlur(np.asarray(values, np.float64), (0, 0), SCALE_PX)
    along_y, along_x = np.gradient(smooth)
    return along_y, along_x
