# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Static pairs of the recorder: a sharp and a defocused image of a scene at rest, its depth denoised over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.clock import FrameStamps
from dfd_perception.errors import RecordingError
from dfd_perception.groundtruth.clean_up import movement_px, temporal_mode
from dfd_perception.groundtruth.session import RecordedMoment, SessionWriter, StoredImage


@dataclass(frozen=True)
class CameraImage:
    """An image of the robot camera; `stored` and `rgb` are made on demand, since most are never needed."""

    stamp_ns: int
    stored: Callable[[], StoredImage]
    rgb: Callable[[], NDArray[np.uint8]]


class StaticPairs:
    """Makes pairs, each by two calls, and writes them into a session of their own.

    Args:
        frames: depth frames whose mode becomes the depth of a pair.
        most_movement_px: largest movement between the two images.
        begin: opens the session; called for the first pair.
    """

    def __init__(self, frames: int, most_movement_px: float, begin: Callable[[], SessionWriter]) -> None:
        self._frames, self._most_movement_px, self._begin = frames, most_movement_px, begin
        self._depths_mm: deque[NDArray[np.uint16]] = deque(maxlen=frames)
        self._sharp: CameraImage | None = None
        self._writer: SessionWriter | None = None

    def add_depth(self, depth_mm: NDArray[np.uint16]) -> None:
        """A frame of the depth sensor."""
        if self._sharp is not None:
            self._depths_mm.append(depth_mm)

    def capture(self, image: CameraImage) -> str:
        """One of the two calls that make a pair; says what to do next.

        Raises:
            RecordingError: too little depth yet, or the camera moved between the two images.
        """
        if self._sharp is None:
            self._sharp = image
            self._depths_mm.clear()
            return "all-in-focus image taken. Open the aperture, move nothing, then call ~/capture again"
        if len(self._depths_mm) < self._frames:
            raise RecordingError(
                f"{len(self._depths_mm)} of {self._frames} depth frames so far; call ~/capture again when they are "
                "there"
            )
        sharp, self._sharp = self._sharp, None
        moved_px = movement_px(sharp.rgb(), image.rgb())
        if moved_px > self._most_movement_px:
            raise RecordingError(
                f"the camera moved by {moved_px:.1f} px between the images, expected {self._most_movement_px:g} at "
                "most; both are discarded, begin again"
            )
        if self._writer is None:
            self._writer = self._begin()
        depth_mm = temporal_mode(np.stack(self._depths_mm))
        parts: dict[str, StoredImage] = {"depth": depth_mm, "image": image.stored(), "aif": sharp.stored()}
        stamps = FrameStamps(ros_ns=image.stamp_ns)
        self._writer.write(RecordedMoment(parts=parts, stamps=stamps, image_ns=image.stamp_ns))
        return f"static pair {self._writer.written} written to {self._writer.session}"

    def close(self) -> None:
        """End the session, if there is one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
