# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Write a video, image by image: MPEG-4 in .mp4, or Motion JPEG in .avi."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.closing import Closing
from dfd_perception.errors import ImageError, RecordingError

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


class VideoWriter(Closing):
    """A video file; its size is that of the first image."""

    def __init__(self, path: Path, rate_hz: float) -> None:
        """Choose the codec by the file's name; nothing is written before the first image.

        Raises:
            ImageError: a name that ends in neither .mp4 nor .avi.
        """
        if path.suffix.lower() not in CODECS:
            raise ImageError(f"{path}: videos are written as {' or '.join(CODECS)}")
        self.path, self.rate_hz = path, rate_hz
        self.count = 0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, image_rgb: NDArray[np.uint8]) -> None:
        """Append an (H, W, 3) RGB image; an odd side loses a row or column, which the codec cannot take.

        Raises:
            ImageError: another size than the first.
            RecordingError: the file cannot be written.
        """
        height, width = (side - side % 2 for side in image_rgb.shape[:2])
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            code = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix.lower()])
            self._writer, self._size = (
                cv2.VideoWriter(str(self.path), code, self.rate_hz, (width, height)),
                (height, width),
            )
            if not self._writer.isOpened():
                raise RecordingError(f"{self.path}: cannot be written as video; is the folder writable?")
        if (height, width) != self._size:
            raise ImageError(
                f"{self.path}: an image of {width} x {height} px; the video has {self._size[1]} x {self._size[0]}"
            )
        self._writer.write(cv2.cvtColor(image_rgb[:height, :width], cv2.COLOR_RGB2BGR))
        self.count += 1

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
