# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The node's outputs: which are wanted, which heads they need, and publishing them with the input's header."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from dfd_perception.core.camera_info import ImageCamera
from dfd_perception.core.colormap import fixed_depth_scale
from dfd_perception.core.point_cloud import PointCloudBuilder
from dfd_perception.core.prediction import Heads, Prediction
from dfd_perception.core.size import Size
from dfd_perception.ros.shared.conversions import (
    compressed_depth_message,
    depth_message,
    image_message,
    point_cloud_message,
    scaled_camera_info,
)
from dfd_perception.ros.shared.qos import overridable, publisher_events, qos_profile

TOPICS: dict[str, type] = {
    "depth/image": Image,
    "depth/image/compressedDepth": CompressedImage,
    "depth/std": Image,
    "depth/camera_info": CameraInfo,
    "depth/points": PointCloud2,
    "depth/image_color": Image,
    "defocus/image": Image,
    "deblurred/image": Image,
    "deblurred/camera_info": CameraInfo,
}
STD = "depth/std"
METRIC = frozenset({"depth/image", "depth/image/compressedDepth", STD, "depth/points", "depth/image_color"})
"""Topics that need depth, hence a lens where the model has none."""
NEEDS_DEPTH_HEAD = METRIC | {"defocus/image"}
NEEDS_DEBLURRED_HEAD = frozenset({"deblurred/image", "depth/points"})


def heads_for(wanted: frozenset[str], trained: tuple[str, ...], allowed: str, metric: bool) -> Heads | None:
    """The heads that the wanted topics need; None for no inference at all.

    Args:
        trained: heads of the model.
        allowed: parameter `heads`.
        metric: whether depth can be known (else nothing runs for depth alone).
    """
    if not metric:
        wanted = wanted - METRIC
    depth = bool(wanted & NEEDS_DEPTH_HEAD) and "depth" in trained and allowed != "deblurred"
    deblurred = bool(wanted & NEEDS_DEBLURRED_HEAD) and "deblurred" in trained and allowed != "depth"
    if allowed == "both" and (depth or deblurred) and len(trained) == 2:
        return "both"
    if depth and deblurred:
        return "both"
    return "depth" if depth else "deblurred" if deblurred else None


class OutputPublishers:
    """All outputs of one configuration of the node."""

    def __init__(self, node: LifecycleNode, profile: str, depth: int) -> None:
        self._node = node
        self._publishers: dict[str, Any] = {}
        self._cloud: PointCloudBuilder | None = None
        try:
            for topic, kind in TOPICS.items():
                self._publishers[topic] = node.create_lifecycle_publisher(
                    kind,
                    topic,
                    qos_profile(profile, depth),
                    event_callbacks=publisher_events(node, topic),
                    qos_overriding_options=overridable(),
                )
        except Exception:
            self.destroy()
            raise

    def wanted(self) -> frozenset[str]:
        """Topics that somebody subscribes to now."""
        return frozenset(t for t, publisher in self._publishers.items() if publisher.get_subscription_count() > 0)

    def publish_deblurred(
        self, wanted: frozenset[str], header: Header, deblurred_rgb: NDArray[np.uint8], encoding: str
    ) -> None:
        """Publish the deblurred image, if it is wanted, as rgb8 or bgr8."""
        if "deblurred/image" in wanted:
            pixels = deblurred_rgb if encoding == "rgb8" else cv2.cvtColor(deblurred_rgb, cv2.COLOR_RGB2BGR)
            self._send("deblurred/image", image_message(pixels, encoding, header))

    def publish(
        self,
        wanted: frozenset[str],
        header: Header,
        prediction: Prediction,
        image_rgb: NDArray[np.uint8],
        camera: ImageCamera | None,
        *,
        depth_encoding: str,
        colour_range_m: tuple[float, float],
    ) -> None:
        """Publish what is wanted and known of depth; headers are the input's, untouched.

        Args:
            camera: of the input image; points need it.
        """
        depth_m, deblurred = prediction.depth_m, prediction.deblurred
        if depth_m is not None and "depth/image" in wanted:
            self._send("depth/image", depth_message(depth_m, depth_encoding, header))
        if depth_m is not None and "depth/image/compressedDepth" in wanted:
            self._send("depth/image/compressedDepth", compressed_depth_message(depth_m, header))
        if prediction.depth_std_m is not None and STD in wanted:
            self._send(STD, image_message(prediction.depth_std_m, "32FC1", header))
        if prediction.coc_px is not None and "defocus/image" in wanted:
            self._send("defocus/image", image_message(prediction.coc_px, "32FC1", header))
        if depth_m is not None and "depth/image_color" in wanted:
            coloured = fixed_depth_scale(colour_range_m).colours(depth_m)
            self._send("depth/image_color", image_message(coloured, "rgb8", header))
        if depth_m is not None and camera is not None and "depth/points" in wanted:
            colours = deblurred
            if colours is None and image_rgb.shape[:2] == depth_m.shape:
                colours = image_rgb
            points = self._builder(camera, depth_m.shape).points(depth_m, colours)
            self._send("depth/points", point_cloud_message(points, header))

    def publish_camera_info(
        self,
        wanted: frozenset[str],
        header: Header,
        info: CameraInfo,
        image_size: Size,
        output_size: Size,
    ) -> None:
        """Publish the wanted camera_info twins, scaled like the images beside them."""
        twins = wanted & {"depth/camera_info", "deblurred/camera_info"}
        if twins:
            scaled = scaled_camera_info(info, header, image_size, output_size)
            for topic in twins:
                self._send(topic, scaled)

    def destroy(self) -> None:
        """Release; from the executor's thread."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def _builder(self, camera: ImageCamera, size: tuple[int, ...]) -> PointCloudBuilder:
        if (camera.intrinsics.height, camera.intrinsics.width) != size:
            camera = camera.scaled((size[0], size[1]))
        of_camera = (camera.intrinsics, camera.distortion)
        if self._cloud is None or (self._cloud.camera, self._cloud.distortion) != of_camera:
            self._cloud = PointCloudBuilder(*of_camera)
        return self._cloud

    def _send(self, topic: str, message: Any) -> None:
        publisher = self._publishers.get(topic)
        if publisher is not None:
            publisher.publish(message)
