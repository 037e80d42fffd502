# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Planes of the chart: texture or edges, evenly blurred by an exact disk, with noise, as an 8-bit image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.point_spread import DISK
from dfd_perception.core.sensor import linear_from_encoded, uint8_from_encoded

Pattern = Literal["texture", "edges"]

SIDE_PX = 256
MARGIN_PX = 32
"""Cut off after the blur, so that no plane shows the border of its pattern."""

MEAN_LEVEL = 0.5
"""Encoded grey of the planes; contrast and noise are fractions of white on the encoded scale, as a camera stores it."""

EDGE_SPACING_PX = (40, 90)


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One plane of the chart.

    pattern: 1/f texture (amplitude falls with 1/f), or straight edges of random places and directions.
    coc_px: diameter of the disk.
    contrast: standard deviation of the sharp texture, or step of an edge, as a fraction of white.
    noise: standard deviation of the noise, as a fraction of white.
    seed: of pattern and noise.
    """

    pattern: Pattern
    coc_px: float
    contrast: float
    noise: float
    seed: int = 0

    def image_rgb(self, side_px: int = SIDE_PX) -> NDArray[np.uint8]:
        """(side, side, 3) uint8 RGB; grey, blurred in linear light, noise of its own in every channel."""
        rng = np.random.default_rng((self.seed, self.pattern == "edges"))
        side = side_px + 2 * MARGIN_PX
        pattern = _texture(rng, side) if self.pattern == "texture" else _edges(rng, side)
        # The blur is light's, contrast and noise are those of the stored image: around a level, the encoding is
        # a straight line to within the contrast.
        light = linear_from_encoded(np.clip(MEAN_LEVEL + self.contrast * pattern, 0, 1).astype(np.float32))
        kernel = DISK.kernel(self.coc_px)
        if kernel.size > 1:
            light = cv2.filter2D(light, -1, kernel, borderType=cv2.BORDER_REFLECT)
        encoded = np.power(light, 1 / 2.2)[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
        image = encoded[..., None] + self.noise * rng.standard_normal((side_px, side_px, 3))
        return uint8_from_encoded(image.astype(np.float32))


def _texture(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Random texture of amplitude 1/f, mean 0, standard deviation 1."""
    spectrum = np.fft.rfft2(rng.standard_normal((side, side)))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    texture = np.fft.irfft2(spectrum / frequency, (side, side))
    return (texture - texture.mean()) / texture.std()


def _edges(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Stripes of random widths in one random direction, levels +-1/2, anti-aliased over a pixel."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side, :side].astype(np.float64)
    along = np.cos(angle) * (x - side / 2) + np.sin(angle) * (y - side / 2)
    place, level = -side * 0.8, 0.5
    pattern = np.full((side, side), -level)
    while place < side * 0.8:
        pattern += 2 * level * np.clip(along - place + 0.5, 0, 1)
        place, level = place + rng.uniform(*EDGE_SPACING_PX), -level
    return pattern
