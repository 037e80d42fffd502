# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""An RGB-D topic pair as the depth sensor: any camera driver that publishes depth with its camera_info."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dfd_perception.core.camera_info import distorted_camera_of
from dfd_perception.core.clock import FrameStamps
from dfd_perception.core.depth_encoding import MILLIMETRES, uint16_mm_from_depth_m
from dfd_perception.core.image_encoding import depth_m_of, rgb_of
from dfd_perception.core.registration import RigidTransform
from dfd_perception.core.stamp_pairing import Pair, StampPairing
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.errors import CalibrationError, DfdPerceptionError, ImageError
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration, RgbdFrame
from dfd_perception.ros.recorder_node.robot_camera import Subscribe
from dfd_perception.ros.shared.node_log import Log


def depth_mm_of(message: Image | CompressedImage, metres_per_count: float = MILLIMETRES) -> NDArray[np.uint16]:
    """(H, W) uint16 millimetres, 0 for no depth, of 16UC1 (REP 118: mm), 32FC1 [m] or compressedDepth.

    Raises:
        ImageError: another encoding, damaged, or fewer bytes than stated.
    """
    return uint16_mm_from_depth_m(depth_m_of(message, metres_per_count))


RAW = ((Image, "depth/image"), (Image, "colour/image"))
COMPRESSED = ((CompressedImage, "depth/image/compressedDepth"), (CompressedImage, "colour/image/compressed"))
AnyImage: TypeAlias = Image | CompressedImage


class RgbdTopics:
    """Subscriptions depth/image, depth/camera_info, colour/image, colour/camera_info.

    Compressed: depth/image/compressedDepth and colour/image/compressed.

    Args:
        node: on which they are made.
        subscribe: makes one subscription with the node's QoS.
        compressed: take the compressed topics.
        with_colour: also wait for, and pair, the colour topics.
        bound_ms: largest time between depth and its colour.
        transform: colour from depth, when the parameters' calibration knows it; without, both must share a frame_id.
        on_calibration: takes what the camera_infos say, and the frame of the depth.
        on_frame: takes every frame.
        metres_per_count: unit of 16UC1 depth.
    """

    def __init__(
        self,
        node: Node,
        subscribe: Subscribe,
        compressed: bool,
        with_colour: bool,
        bound_ms: float,
        transform: RigidTransform | None,
        on_calibration: Callable[[RgbdCalibration, str], None],
        on_frame: Callable[[RgbdFrame], None],
        log: Log,
        metres_per_count: float = MILLIMETRES,
    ) -> None:
        self._metres_per_count = metres_per_count
        self._with_colour, self._transform, self._log = with_colour, transform, log
        self._on_calibration, self._on_frame = on_calibration, on_frame
        self._infos: dict[str, CameraInfo] = {}
        self._known = False
        self._pairing: StampPairing[AnyImage, AnyImage] = StampPairing(bound_ms)
        self.problem = f"nothing on {node.resolve_topic_name('depth/camera_info')} yet"
        depth, colour = COMPRESSED if compressed else RAW
        subscribe(*depth, self._on_depth)
        subscribe(CameraInfo, "depth/camera_info", lambda info: self._on_info("depth", info))
        if with_colour:
            subscribe(*colour, self._on_colour)
            subscribe(CameraInfo, "colour/camera_info", lambda info: self._on_info("colour", info))

    def _on_info(self, camera: str, info: CameraInfo) -> None:
        if self._known:
            return
        self._infos[camera] = info
        wanted = {"depth", "colour"} if self._with_colour else {"depth"}
        missing = wanted - set(self._infos)
        if missing:
            self.problem = f"nothing on {' and '.join(sorted(missing))}/camera_info yet"
            return
        try:
            self._on_calibration(self._calibration(), self._infos["depth"].header.frame_id)
        except DfdPerceptionError as error:
            if self.problem != str(error):
                self._log("error", str(error))
            self.problem = str(error)
            return
        self._known, self.problem = True, ""

    def _calibration(self) -> RgbdCalibration:
        depth = distorted_camera_of(self._infos["depth"])
        if not self._with_colour:
            return RgbdCalibration(depth, None, RigidTransform.identity())
        colour = distorted_camera_of(self._infos["colour"])
        frames = [self._infos[name].header.frame_id for name in ("depth", "colour")]
        transform = self._transform
        if transform is None:
            if frames[0] != frames[1]:
                raise CalibrationError(
                    f"depth is in frame {frames[0]!r}, colour in {frames[1]!r}; set parameter calibration to a file "
                    "with T_colour_depth, use the driver's depth registered to colour, or set record_colour to false"
                )
            transform = RigidTransform.identity()
        return RgbdCalibration(depth, colour, transform)

    def _on_depth(self, message: AnyImage) -> None:
        if not self._with_colour:
            self._give(message, None)
            return
        self._give_pairs(self._pairing.add_right(header_stamp_ns(message.header), message))

    def _on_colour(self, message: AnyImage) -> None:
        self._give_pairs(self._pairing.add_left(header_stamp_ns(message.header), message))

    def _give_pairs(self, pairs: list[Pair[AnyImage, AnyImage]]) -> None:
        for pair in pairs:
            self._give(pair.right, pair.left)

    def facts(self) -> dict[str, str]:
        """Depth and colour that found no partner in time, in the sensor itself."""
        counts = self._pairing.counts
        return {
            "sensor depth without colour": str(counts.right_unmatched),
            "sensor colour without depth": str(counts.left_unmatched),
        }

    def _give(self, depth: AnyImage, colour: AnyImage | None) -> None:
        try:
            frame = RgbdFrame(
                depth_mm=depth_mm_of(depth, self._metres_per_count),
                stamps=FrameStamps(arrival_ns=time.time_ns(), ros_ns=header_stamp_ns(depth.header)),
                colour_rgb=None if colour is None else rgb_of(colour),
            )
        except ImageError as error:
            self.problem = str(error)
            self._log("error", str(error))
            return
        if self._known:
            self.problem = ""
        self._on_frame(frame)
