"""The robot's camera as the recorder sees it: pictures and, where ROS gives the calibration, camera_info."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.errors import CalibrationError
from dfd_perception.recording.session import Picture
from dfd_perception.ros.camera_infos import stamp_ns
from dfd_perception.ros.conversions import distorted_camera_of, rgb_of
from dfd_perception.ros.recording_control import CameraPicture

Subscribe = Callable[[type, str, Callable[[Any], None]], None]


class RobotCamera:
    """Subscriptions image (or image/compressed) and camera_info.

    Args:
        node: whose names the topics resolve by.
        subscribe: makes one subscription with the node's QoS.
        compressed: take image/compressed.
        with_info: take camera_info too; `calibrated` needs it.
        on_picture: takes every picture.
    """

    def __init__(
        self,
        node: Node,
        subscribe: Subscribe,
        compressed: bool,
        with_info: bool,
        on_picture: Callable[[CameraPicture], None],
    ) -> None:
        self._node, self._on_picture = node, on_picture
        self._topic = "image/compressed" if compressed else "image"
        self._picture: CameraPicture | None = None
        self._info: CameraInfo | None = None
        subscribe(CompressedImage if compressed else Image, self._topic, self._on_image)
        if with_info:
            subscribe(CameraInfo, "camera_info", self._on_info)

    def calibrated(self) -> tuple[DistortedCamera, str]:
        """The camera of the pictures that arrive, and its frame.

        Raises:
            CalibrationError: a topic is silent, not calibrated, of another size than the pictures, or without a frame.
            ImageError: the picture cannot be read.
        """
        for topic, arrived in ((self._topic, self._picture), ("camera_info", self._info)):
            if arrived is None:
                raise CalibrationError(f"nothing on {self._node.resolve_topic_name(topic)} yet")
        assert self._picture is not None
        assert self._info is not None
        frame_id = self._info.header.frame_id
        if not frame_id:
            raise CalibrationError(
                f"{self._node.resolve_topic_name('camera_info')} has an empty frame_id; set the frame in its driver"
            )
        height, width = self._picture.rgb().shape[:2]
        return distorted_camera_of(self._info, (height, width)), frame_id

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._picture = picture_of(message)
        self._on_picture(self._picture)

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info


def picture_of(message: Image | CompressedImage) -> CameraPicture:
    """A picture whose pixels are read when they are needed; a JPEG is stored as it came."""

    def stored() -> Picture:
        if isinstance(message, CompressedImage) and bytes(message.data[:2]) == b"\xff\xd8":
            return bytes(message.data)
        return rgb_of(message)

    return CameraPicture(stamp_ns(message.header), stored, lambda: rgb_of(message))
