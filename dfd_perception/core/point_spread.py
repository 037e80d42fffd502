# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Point spread functions of a defocused lens, exact to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import LensError

DISK_SIGMA_PER_COC = 0.25
"""A uniform disk of diameter c has second moment (c/4)^2 along each axis, so a Gaussian of sigma c/4 stands for it."""

SHARP_EDGED_SAMPLES = 9
"""Samples per pixel side of a small kernel; wide ones need fewer, their edge is a smaller part of them."""

SMALLEST_SHAPED_SIGMA_PX = 0.65
"""Below this a 3x3 kernel of the right second moment says all that pixels can tell of the shape."""


@dataclass(frozen=True, kw_only=True)
class PointSpread:
    """Shape of the blur, apart from its size.

    exponent: of the generalised Gaussian exp(-(r/a)^n): 2 is a Gaussian, large is a disk (inf: exactly one).
    sigma_per_coc: standard deviation along one axis over the circle of confusion; 0.25 is physics,
        0.3 is Carvalho's rho, 0.5 that of Gur & Wolf.
    blades: corners of a polygonal diaphragm; 0 for a round one.
    rotation_rad, squeeze: orientation of the polygon, and ratio of its axes (1 = round).
    rim: spherical aberration of a disk: light per area grows by this share from middle to edge (negative: falls).
    """

    exponent: float = float("inf")
    sigma_per_coc: float = DISK_SIGMA_PER_COC
    blades: int = 0
    rotation_rad: float = 0.0
    squeeze: float = 1.0
    rim: float = 0.0

    def __post_init__(self) -> None:
        if not self.exponent >= 2:
            raise LensError(f"exponent of the blur shape is {self.exponent}; it must be 2 (Gaussian) or more")
        if not self.sigma_per_coc > 0:
            raise LensError(f"sigma_per_coc is {self.sigma_per_coc}; it must be positive (physics: 0.25)")
        if self.blades and self.blades < 3:
            raise LensError(f"blades is {self.blades}; a diaphragm has 0 (round) or at least 3")
        if not self.rim > -1:
            raise LensError(f"rim is {self.rim}; it must be more than -1 (a disk that is dark at its edge)")

    def kernel(self, coc_px: float) -> NDArray[np.float32]:
        """The normalised kernel (odd x odd) of a blur diameter; 1x1 where the blur is not visible.

        Its standard deviation, averaged over the axes, is sigma_per_coc * coc_px to within 1 %.
        """
        sigma_px = self.sigma_per_coc * coc_px
        if sigma_px < 0.05:
            return np.ones((1, 1), np.float32)
        if sigma_px < SMALLEST_SHAPED_SIGMA_PX:
            side = sigma_px**2 / 2
            row = np.array([side, 1 - 2 * side, side])
            return np.outer(row, row).astype(np.float32)
        # Averaging over the pixels' area widens the kernel, and a polygon is wider than its disk: take that out.
        nominal_px = sigma_px
        cells = self._sampled(nominal_px)
        for _ in range(3 if sigma_px < 2 else 1):
            nominal_px *= sigma_px / _sigma_of(cells)
            cells = self._sampled(nominal_px)
        return cells.astype(np.float32)

    def _sampled(self, sigma_px: float) -> NDArray[np.float64]:
        reach = 2.5 * sigma_px if self.exponent > 8 else 3.5 * sigma_px
        radius = int(np.ceil(reach * max(self.squeeze, 1 / self.squeeze)))
        # A pixel integrates light over its area: sample finely, then average.
        samples = SHARP_EDGED_SAMPLES if sigma_px < 2 else 3
        side = 2 * radius + 1
        fine = ((np.arange(side * samples) + 0.5) / samples - radius - 0.5).astype(np.float32)
        x, y = np.meshgrid(fine, fine)
        cells = self._profile(x, y, sigma_px).reshape(side, samples, side, samples).mean((1, 3), dtype=np.float64)
        return cells / cells.sum()

    def _profile(self, x: NDArray[np.float32], y: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
        cos, sin = np.cos(self.rotation_rad), np.sin(self.rotation_rad)
        stretch = np.sqrt(self.squeeze)
        u, v = (cos * x + sin * y) / stretch, (cos * y - sin * x) * stretch
        r = np.hypot(u, v)
        if self.blades:
            sector = 2 * np.pi / self.blades
            angle = np.mod(np.arctan2(v, u), sector) - sector / 2
            # Distance to the edge of a regular polygon of the disk's area.
            area_radius = np.sqrt(np.pi / (self.blades * np.tan(np.pi / self.blades)))
            r = r * np.cos(angle) / area_radius
        if np.isinf(self.exponent):
            inside = (r <= 2 * sigma_px).astype(np.float32)
            return inside * (1 + np.float32(self.rim) * (r / (2 * sigma_px)) ** 2) if self.rim else inside
        return np.exp(-np.power(r / (sigma_px * _scale_of_unit_sigma(self.exponent)), self.exponent))


def _scale_of_unit_sigma(exponent: float) -> float:
    """The a of exp(-(r/a)^n) whose standard deviation along one axis is 1 (2-D radial moments)."""
    return float(np.sqrt(2 * gamma(2 / exponent) / gamma(4 / exponent)))


def _sigma_of(cells: NDArray[np.float64]) -> float:
    offset = np.arange(cells.shape[0]) - cells.shape[0] // 2
    return float(np.sqrt((cells.sum(0) @ offset**2 + cells.sum(1) @ offset**2) / 2))


GAUSSIAN = PointSpread(exponent=2)
DISK = PointSpread()
