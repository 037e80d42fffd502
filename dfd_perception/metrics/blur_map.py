# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How an estimated map looks: how much of the true borders it shows, and which patterns the network draws into it.

A transposed convolution, or a shuffle of channels to pixels, writes the same small pattern into every block of its
stride. In the spectrum that is a line at the block's frequency, which no scene has by itself.
"""

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


PERIOD_PX = 8
"""Blocks of the coarsest layer that is shuffled up."""

SEGMENT_PERIODS = 16
"""Length of a spectrum in periods: resolution of the line."""

BESIDE_BINS = (3, 6)
"""Distance from the line of the bins that it is compared with; the Hann window spreads it over +-1."""


class PlaidPower(NamedTuple):
    """Additive over images.

    line: power at the period [unit^2]; beside: mean power next to it; spectra: how many were summed.
    """

    line: float = 0.0
    beside: float = 0.0
    spectra: int = 0

    @property
    def ratio(self) -> float:
        """Line over its neighbourhood: 1 where there is no pattern. NaN without any spectrum."""
        return self.line / self.beside if self.beside > 0 else float("nan")

    @property
    def amplitude(self) -> float:
        """Amplitude of the pattern in the unit of the map, what the neighbourhood has taken off."""
        if not self.spectra:
            return float("nan")
        return float(np.sqrt(max(self.line - self.beside, 0.0) / self.spectra))

    def plus(self, other: PlaidPower) -> PlaidPower:
        """Of both together."""
        return PlaidPower(self.line + other.line, self.beside + other.beside, self.spectra + other.spectra)


def plaid_power(values: NDArray[np.floating], period_px: int = PERIOD_PX) -> PlaidPower:
    """Spectra along rows and columns of a map (H, W) without holes; nothing for one of less than 16 periods."""
    total = PlaidPower()
    for plane in (np.asarray(values, np.float64), np.asarray(values, np.float64).T):
        total = total.plus(_along_rows(plane, period_px))
    return total


def _along_rows(plane: NDArray[np.float64], period_px: int) -> PlaidPower:
    length = SEGMENT_PERIODS * period_px
    count = plane.shape[1] // length
    if count == 0:
        return PlaidPower()
    segments = plane[:, : count * length].reshape(-1, length)
    # Second differences before the transform, and their response divided out after it: borders of the scene no
    # longer leak into the bins around the line.
    window = np.hanning(length + 1)[:-1]
    differences = np.diff(segments, 2, axis=1, prepend=segments[:, :1], append=segments[:, -1:])
    spectrum = np.abs(np.fft.rfft(differences * window, axis=1)) ** 2
    response = (2 - 2 * np.cos(2 * np.pi * np.fft.rfftfreq(length))) ** 2
    power = spectrum[:, 1:] / response[1:] * 4 / window.sum() ** 2
    at = SEGMENT_PERIODS - 1
    near, far = BESIDE_BINS
    beside = [at + side * k for k in range(near, far + 1) for side in (-1, 1)]
    return PlaidPower(float(power[:, at].sum()), float(power[:, beside].mean(1).sum()), len(segments))
