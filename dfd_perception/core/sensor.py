# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From light to stored image: transfer curve, noise, compression. What a camera does after the lens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.image_bytes import decoded_rgb, jpeg_bytes
from dfd_perception.errors import ConfigError

GAMMA = 2.2


def linear_from_encoded(encoded: NDArray[np.floating], gamma: float = GAMMA) -> NDArray[np.float32]:
    """Encoded values in [0, 1] to light (power law; 2.2 is within 1 % of sRGB above the toe)."""
    return np.power(np.clip(encoded, 0, 1), gamma, dtype=np.float32)


def encoded_from_linear(linear: NDArray[np.floating], gamma: float = GAMMA) -> NDArray[np.float32]:
    """Light to encoded values in [0, 1]; what is brighter than white clips, as on a sensor."""
    return np.power(np.clip(linear, 0, 1), 1 / gamma, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class SensorNoise:
    """Shot and read noise in linear light.

    full_well_e: photo-electrons of a white pixel (shot noise; 0 = none).
    read_noise: standard deviation as a fraction of white.
    """

    full_well_e: float = 0.0
    read_noise: float = 0.0

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ConfigError: noise that cannot be.
        """
        if not 0 <= self.full_well_e < float("inf"):
            raise ConfigError(f"full well is {self.full_well_e} electrons; expected 0 (no shot noise) or more")
        if not 0 <= self.read_noise <= 1:
            raise ConfigError(f"read noise is {self.read_noise}; expected 0 to 1, a fraction of white")

    def added_to(self, linear: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """The image with noise, unclipped; same shape."""
        variance = np.full_like(linear, self.read_noise**2)
        if self.full_well_e > 0:
            variance += np.clip(linear, 0, None) / self.full_well_e
        return linear + rng.standard_normal(linear.shape, dtype=np.float32) * np.sqrt(variance)


def uint8_from_encoded(encoded: NDArray[np.floating]) -> NDArray[np.uint8]:
    """[0, 1] to 8 bits, rounded."""
    return (np.clip(encoded, 0, 1) * 255 + 0.5).astype(np.uint8)


def jpeg_round_trip(image_rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The image as it looks after JPEG at a quality of 1 to 100."""
    return decoded_rgb(jpeg_bytes(image_rgb, quality))
