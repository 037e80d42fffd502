# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The robot's camera as the recorder sees it: images and, where ROS gives the calibration, camera_info."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dfd_perception.core.camera_info import distorted_camera_of
from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.core.image_encoding import rgb_of
from dfd_perception.core.image_header import JPEG_START, read_header, require_decodable
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.errors import CalibrationError
from dfd_perception.groundtruth.session import StoredImage
from dfd_perception.groundtruth.static_pairs import CameraImage

Subscribe = Callable[[type, str, Callable[[Any], None]], None]


class RobotCamera:
    """Subscriptions image (or image/compressed) and camera_info.

    Args:
        node: whose names the topics resolve by.
        subscribe: makes one subscription with the node's QoS.
        compressed: take image/compressed.
        with_info: take camera_info too; `calibrated` needs it.
        on_image: takes every image.
    """

    def __init__(
        self,
        node: Node,
        subscribe: Subscribe,
        compressed: bool,
        with_info: bool,
        on_image: Callable[[CameraImage], None],
    ) -> None:
        self._node, self._pass_on = node, on_image
        self._topic = "image/compressed" if compressed else "image"
        self._image: CameraImage | None = None
        self._info: CameraInfo | None = None
        subscribe(CompressedImage if compressed else Image, self._topic, self._on_image)
        if with_info:
            subscribe(CameraInfo, "camera_info", self._on_info)

    def calibrated(self) -> tuple[DistortedCamera, str]:
        """The camera of the images that arrive, and its frame.

        Raises:
            CalibrationError: a topic is silent, not calibrated, of another size than the images, or without a frame.
            ImageError: the image cannot be read.
        """
        for topic, arrived in ((self._topic, self._image), ("camera_info", self._info)):
            if arrived is None:
                raise CalibrationError(f"nothing on {self._node.resolve_topic_name(topic)} yet")
        assert self._image is not None
        assert self._info is not None
        frame_id = self._info.header.frame_id
        if not frame_id:
            raise CalibrationError(
                f"{self._node.resolve_topic_name('camera_info')} has an empty frame_id; set the frame in its driver"
            )
        height, width = self._image.rgb().shape[:2]
        return distorted_camera_of(self._info, (height, width)), frame_id

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._image = image_of(message)
        self._pass_on(self._image)

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info


def image_of(message: Image | CompressedImage) -> CameraImage:
    """An image whose pixels are read when they are needed; a JPEG is stored as it came."""

    def stored() -> StoredImage:
        if isinstance(message, CompressedImage) and bytes(message.data[:2]) == JPEG_START:
            content = bytes(message.data)
            header = read_header(content)
            require_decodable(header, len(content))  # half an image is no image, and shall be counted now
            return content[: header.length]
        return rgb_of(message)

    return CameraImage(header_stamp_ns(message.header), stored, lambda: rgb_of(message))
