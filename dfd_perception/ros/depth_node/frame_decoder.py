# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From an image message and the camera_info beside it to pixels and intrinsics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from dfd_perception.core.camera_info import ImageCamera, Rectified, image_camera
from dfd_perception.core.image_encoding import rgb_of
from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError
from dfd_perception.ros.shared.camera_infos import CameraInfoBuffer


@dataclass(frozen=True)
class Frame:
    """An image message as the callback got it."""

    message: Image | CompressedImage
    received_s: float
    """Monotonic time of its arrival."""


@dataclass(frozen=True)
class DecodedFrame:
    """What a frame shows, and by which camera."""

    header: Header
    image_rgb: NDArray[np.uint8]
    """(H, W, 3)."""
    info: CameraInfo | None
    camera: ImageCamera | None
    """The camera of this image; None without a camera_info that fits it."""
    camera_problem: str | None
    """Why a camera_info that came is not used."""
    colour_encoding: str
    """rgb8 or bgr8, as the camera has it."""

    @property
    def size(self) -> Size:
        return self.image_rgb.shape[0], self.image_rgb.shape[1]


class FrameDecoder:
    """Reads the frames of one topic.

    Args:
        infos: the camera_info messages that came.
        image_topic: its name may tell that the images are rectified.
    """

    def __init__(self, infos: CameraInfoBuffer, image_topic: str) -> None:
        self._infos, self._image_topic = infos, image_topic
        self._stated: tuple[object, ...] = ()
        self._camera: tuple[ImageCamera | None, str | None] = None, None

    def decoded(self, frame: Frame, rectified: Rectified) -> DecodedFrame:
        """Read a frame.

        Args:
            rectified: parameter camera.rectified.

        Raises:
            ImageError: an image that cannot be read.
        """
        message = frame.message
        info = self._infos.for_image(message.header)
        image_rgb = rgb_of(message)
        camera, problem = (None, None) if info is None else self._camera_of(info, image_rgb.shape[:2], rectified)
        colours = "bgr8" if getattr(message, "encoding", "").startswith("bgr") else "rgb8"
        return DecodedFrame(message.header, image_rgb, info, camera, problem, colours)

    def _camera_of(self, info: CameraInfo, size: Size, rectified: Rectified) -> tuple[ImageCamera | None, str | None]:
        """The camera or why there is none, worked out anew where more than the header differs from the frame before."""
        numbers = (np.asarray(values).tobytes() for values in (info.d, info.k, info.p))
        of_full = (info.height, info.width, info.roi, info.binning_x, info.binning_y, info.distortion_model)
        stated = (size, rectified, *of_full, *numbers)
        if stated != self._stated:
            try:
                self._camera = image_camera(info, size, self._image_topic, rectified), None
            except CalibrationError as error:
                self._camera = None, str(error)
            self._stated = stated
        return self._camera
