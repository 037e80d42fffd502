# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What comes in: the image and camera_info subscriptions, and which frames are worth working on."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
from dfd_perception.ros.depth_node.frame_decoder import Frame
from dfd_perception.ros.shared.camera_infos import CameraInfoBuffer
from dfd_perception.ros.shared.diagnostics import SILENCE_S, Statistics, StatusFiller
from dfd_perception.ros.shared.frame_age import clock_problem
from dfd_perception.ros.shared.lossless_subscriptions import LosslessSubscriptions
from dfd_perception.ros.shared.node_log import Log

JUMP_BACK_NS = 500_000_000
CAMERA_INFO_QUEUE = 5


class ImageInput:
    """Subscriptions of the node. They outlive a cleanup: destroying one while spinning crashes Humble."""

    def __init__(self, node: Node, statistics: Statistics, status: StatusFiller, log: Log) -> None:
        self.infos = CameraInfoBuffer()
        self.max_age_s = 0.0
        self.on_frame: Callable[[Frame], None] | None = None
        """Takes each frame; None while the node is not active."""
        self.on_jump: Callable[[], None] = lambda: None
        self._node = node
        self._statistics = statistics
        self._status = status
        self._settings: tuple[str, str, int] | None = None
        self._log = log
        self._subscriptions: LosslessSubscriptions | None = None
        self._last_stamp_ns = 0
        self._clocks_agree_s = -float("inf")

    def subscribe(self, parameters: DfdParameters) -> None:
        """Subscribe as the parameters say; what exists already and fits stays."""
        settings = (parameters.input_transport, parameters.qos_input, parameters.qos_input_depth)
        if settings == self._settings:
            return
        if self._subscriptions is not None:
            self._subscriptions.destroy()
        self._subscriptions = LosslessSubscriptions(self._node, parameters.qos_input, self._log)
        raw = parameters.input_transport == "raw"
        topic, kind = ("image", Image) if raw else ("image/compressed", CompressedImage)
        # First, since an executor that finds both ready goes by this order: no image is begun without its lens.
        self._subscriptions.add(CameraInfo, "camera_info", self.infos.add, CAMERA_INFO_QUEUE)
        self._subscriptions.add(kind, topic, self._on_image, parameters.qos_input_depth)
        self._settings = settings
        self._status.topic = self._node.resolve_topic_name(topic)

    def publisher_count(self) -> int:
        """How many publish the image topic."""
        return self._node.count_publishers(self._status.topic)

    def _on_image(self, message: Image | CompressedImage) -> None:
        if self.on_frame is None:
            return
        self._statistics.received.tick()
        stamp = header_stamp_ns(message.header)
        if stamp < self._last_stamp_ns - JUMP_BACK_NS:
            seconds = (self._last_stamp_ns - stamp) * 1e-9
            self._log("info", f"time stamps jumped back by {seconds:.1f} s (a bag that loops, or two publishers?)")
            self.infos.keep_newest()
            self.on_jump()
        self._last_stamp_ns = stamp
        self._compare_clocks(stamp)
        if self.max_age_s and self._statistics.age_s > self.max_age_s:
            self._statistics.too_old.tick()
            self._log("warning", too_old_warning(self._statistics.age_s, self.max_age_s))
            return
        if not message.header.frame_id:
            self._status.warnings["frame_id"] = "images have an empty frame_id: RViz and tf cannot place the outputs"
        self.on_frame(Frame(message, time.monotonic()))

    def _compare_clocks(self, stamp_ns: int) -> None:
        """The frame's age, and whether its stamp can be of this node's clock."""
        now_ns = self._node.get_clock().now().nanoseconds
        self._statistics.age_s = (now_ns - stamp_ns) * 1e-9 if now_ns else float("nan")
        use_sim_time = bool(self._node.get_parameter("use_sim_time").value)
        problem = clock_problem(self._statistics.age_s, stamp_ns * 1e-9, use_sim_time)
        if problem is None:
            self._clocks_agree_s = time.monotonic()
        elif time.monotonic() - self._clocks_agree_s < SILENCE_S:  # a bag that begins again, before its /clock comes
            return
        self._status.set_warning("clock", problem)


def too_old_warning(age_s: float, max_age_s: float) -> str:
    """What to say of a frame that is dropped for its age."""
    return (
        f"an image is {age_s:.1f} s old, max_age_s is {max_age_s:g}: dropped. Where all are, the clocks of camera and "
        "node differ, or a bag plays without use_sim_time"
    )
