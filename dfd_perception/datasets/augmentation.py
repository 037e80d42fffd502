# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Joint changes of all parts of a sample that leave its blur, and so its depth, true.

Crops, mirror images, and light: exposure and white balance are factors in linear light, which a lens would
have passed through unchanged; noise falls on the defocused image alone. There is no scaling, rotation by odd
angles, sharpening or smoothing here: those change blur, and would need another lens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dfd_perception.core.sensor import SensorNoise, encoded_from_linear, linear_from_encoded, uint8_from_encoded
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.errors import ConfigError, DatasetError

SMALLEST_CROP_PX = 16
"""Below it no window of SSIM fits, and no network sees anything."""

PARTS = ("defocused", "aif", "seen", "depth_m", "coc_px")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may happen to a sample."""

    crop_px: tuple[int, int] | None = None
    """(height, width) of a window at a random place; None: the whole image."""
    flip_x: float = 0.5
    """Probability of left and right exchanged."""
    flip_y: float = 0.0
    """Probability of top and bottom exchanged."""
    exposure_stops: float = 0.0
    """Largest change of exposure, in stops, either way."""
    white_balance: float = 0.0
    """Largest relative change of each channel, either way."""
    full_well_e: float = 0.0
    """Shot noise on the defocused image: photo-electrons of white; 0: none."""
    read_noise: float = 0.0
    """Read noise on the defocused image, as a fraction of white."""

    def __post_init__(self) -> None:
        for name in ("flip_x", "flip_y"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; a probability lies between 0 and 1")
        if not 0 <= self.white_balance < 1 or self.exposure_stops < 0:
            raise ConfigError("white_balance must lie between 0 and 1 and exposure_stops must not be negative")
        if self.crop_px is not None and min(self.crop_px) < SMALLEST_CROP_PX:
            raise ConfigError(
                f"crop_px is {list(self.crop_px)}; expected [height, width] of {SMALLEST_CROP_PX} or more each"
            )

    def __call__(self, sample: DefocusSample, rng: np.random.Generator) -> DefocusSample:
        """A changed copy of the sample; the same draws for every part."""
        if self.crop_px is not None:
            height, width = self.crop_px
            if sample.size[0] < height or sample.size[1] < width:
                raise DatasetError(
                    f"{sample.name} is {sample.size[1]} x {sample.size[0]} px, smaller than the crop of {width} x "
                    f"{height}; choose a smaller crop (enlarging would change the blur)"
                )
            y = int(rng.integers(sample.size[0] - height + 1))
            x = int(rng.integers(sample.size[1] - width + 1))
            sample = cropped(sample, x, y, width, height)
        if rng.random() < self.flip_x:
            sample = flipped(sample, axis=1)
        if rng.random() < self.flip_y:
            sample = flipped(sample, axis=0)
        return self._relit(sample, rng)

    def _relit(self, sample: DefocusSample, rng: np.random.Generator) -> DefocusSample:
        stops = rng.uniform(-self.exposure_stops, self.exposure_stops)
        gain = 2**stops * rng.uniform(1 - self.white_balance, 1 + self.white_balance, 3).astype(np.float32)
        noise = SensorNoise(full_well_e=self.full_well_e, read_noise=self.read_noise)
        noisy = self.full_well_e > 0 or self.read_noise > 0
        if not (noisy or self.exposure_stops or self.white_balance):
            return sample
        light = linear_from_encoded(sample.defocused.astype(np.float32) / 255) * gain
        if noisy:
            light = noise.added_to(light, rng)
        changes: dict[str, Any] = {"defocused": uint8_from_encoded(encoded_from_linear(light))}
        if sample.aif is not None:
            aif = linear_from_encoded(sample.aif.astype(np.float32) / 255) * gain
            changes["aif"] = uint8_from_encoded(encoded_from_linear(aif))
        return replace(sample, **changes)


def cropped(sample: DefocusSample, x: int, y: int, width: int, height: int) -> DefocusSample:
    """The window with upper left pixel (x, y); the principal point moves, the lens stays."""
    window = (slice(y, y + height), slice(x, x + width))
    camera = None if sample.camera is None else sample.camera.cropped(x, y, width, height)
    return replace(sample, camera=camera, **{name: array[window] for name, array in _arrays(sample).items()})


def flipped(sample: DefocusSample, axis: int) -> DefocusSample:
    """Mirror image: axis 1 exchanges left and right, 0 top and bottom; the principal point is mirrored too."""
    camera = sample.camera
    if camera is not None and axis == 1:
        camera = replace(camera, cx=camera.width - 1 - camera.cx)
    elif camera is not None:
        camera = replace(camera, cy=camera.height - 1 - camera.cy)
    return replace(sample, camera=camera, **{name: np.flip(array, axis) for name, array in _arrays(sample).items()})


def _arrays(sample: DefocusSample) -> dict[str, Any]:
    every = {name: getattr(sample, name) for name in PARTS}
    return {name: array for name, array in every.items() if array is not None}
