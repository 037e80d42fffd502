# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What every source of ground-truth depth gives: frames with three time stamps, and its own calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.clock import FrameStamps
from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.core.image_bytes import decoded_rgb
from dfd_perception.core.registration import RigidTransform
from dfd_perception.errors import CalibrationError, ImageError


@dataclass(frozen=True)
class RgbdCalibration:
    """Both cameras of a depth sensor as they take their images, and where the depth camera is.

    colour_from_depth carries points of the depth camera's optical frame to the colour camera's. `colour` is None for a
    sensor without one, and then the transform is the identity.
    """

    depth: DistortedCamera
    colour: DistortedCamera | None
    colour_from_depth: RigidTransform

    def __post_init__(self) -> None:
        if self.colour is None and not np.allclose(self.colour_from_depth.rotation, np.eye(3)):
            raise CalibrationError("a calibration without colour camera has a transform to it; give both or neither")


@dataclass(frozen=True, kw_only=True)
class RgbdFrame:
    """One moment of a depth sensor, in its own two images (not registered).

    depth_mm: (H, W) uint16 z-depth [mm], 0 where there is none.
    colour_rgb: (H', W', 3) uint8, or None when there is none or it is still packed.
    colour_jpeg: the same image as the sensor packed it, to be stored without loss or work; None when it did not.
    """

    depth_mm: NDArray[np.uint16]
    stamps: FrameStamps
    colour_rgb: NDArray[np.uint8] | None = None
    colour_jpeg: bytes | None = None

    def __post_init__(self) -> None:
        if self.depth_mm.dtype != np.uint16 or self.depth_mm.ndim != 2:
            raise ImageError(
                f"depth is {self.depth_mm.dtype} {self.depth_mm.shape}; expected uint16 millimetres (height, width)"
            )

    @property
    def has_colour(self) -> bool:
        """A colour image came with the depth."""
        return self.colour_rgb is not None or self.colour_jpeg is not None

    def colour(self) -> NDArray[np.uint8] | None:
        """The colour image, (H', W', 3) uint8 RGB, unpacked if need be.

        Raises:
            ImageError: the JPEG is damaged.
        """
        if self.colour_rgb is not None or self.colour_jpeg is None:
            return self.colour_rgb
        return decoded_rgb(self.colour_jpeg)


class DepthSource(Protocol):
    """A depth sensor, live or recorded. Opened by `with`; `calibration` is known from then on."""

    name: str

    @property
    def calibration(self) -> RgbdCalibration:
        """Calibration for the modes that this source runs in."""

    @property
    def exhausted(self) -> bool:
        """No frame will come any more (the end of a recording; never for a live sensor)."""

    def read(self, timeout_s: float) -> RgbdFrame | None:
        """Wait for the next frame; None when none came in time, or at the end.

        Raises:
            RecordingError: the sensor is gone; opening the source again may bring it back.
        """

    def facts(self) -> dict[str, str]:
        """What it says of itself for diagnostics."""

    def __enter__(self) -> DepthSource: ...

    def __exit__(self, *error: object) -> None: ...


def all_frames(source: DepthSource) -> Iterator[RgbdFrame]:
    """Every frame of an open recording."""
    while not source.exhausted:
        frame = source.read(timeout_s=1.0)
        if frame is not None:
            yield frame
