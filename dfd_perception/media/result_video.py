# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The results of a video: depth in colours with its legend, and the deblurred image, as videos beside each other."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.closing import Closing
from dfd_perception.core.colormap import ColourScale, blur_scale, fixed_depth_scale, scene_depth_scale
from dfd_perception.core.result import Result
from dfd_perception.core.sheet import map_cell, with_legend
from dfd_perception.errors import ImageError, RecordingError, UsageError

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


KINDS = ("depth_color", "defocus_color", "deblurred")


class ResultVideo:
    """NAME_depth_color.mp4, NAME_defocus_color.mp4 and NAME_deblurred.mp4, as far as there are such results.

    A colour is the same distance in every frame: the scales are those of the first frame, or as given.
    """

    def __init__(
        self, folder: Path, name: str, rate_hz: float, depth_range_m: tuple[float, float] | None, overwrite: bool
    ) -> None:
        """Prepare; files appear with the first frame.

        Raises:
            UsageError: results of this name are there.
        """
        self._paths = {kind: folder / f"{name}_{kind}.mp4" for kind in KINDS}
        existing = [path for path in self._paths.values() if path.exists()]
        if existing and not overwrite:
            raise UsageError(f"{existing[0]} would be overwritten; give --overwrite, or another --out")
        self._rate_hz = rate_hz
        self._depth_scale = None if depth_range_m is None else fixed_depth_scale(depth_range_m)
        self._blur_scale: ColourScale | None = None
        self._writers: dict[str, VideoWriter] = {}
        self.count = 0

    def add(self, result: Result) -> None:
        """Append one frame.

        Raises:
            ImageError: of another size than the first.
            RecordingError: the disk refuses.
        """
        images = {}
        if result.depth_m is not None:
            self._depth_scale = self._depth_scale or scene_depth_scale(result.depth_m)
            images["depth_color"] = with_legend(map_cell("", result.depth_m, self._depth_scale))
        if result.blur_px is not None:
            self._blur_scale = self._blur_scale or blur_scale(result.blur_px)
            images["defocus_color"] = with_legend(map_cell("", result.blur_px, self._blur_scale))
        if result.deblurred is not None:
            images["deblurred"] = result.deblurred
        for kind, image in images.items():
            if kind not in self._writers:
                self._writers[kind] = VideoWriter(self._paths[kind], self._rate_hz)
            self._writers[kind].write(image)
        self.count += 1

    def close(self) -> list[Path]:
        """Finish the files; returns them."""
        for writer in self._writers.values():
            writer.close()
        return [writer.path for writer in self._writers.values()]
