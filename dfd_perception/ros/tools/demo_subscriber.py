# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The demo's subscriber: remembers when each frame and its answers arrived, and the answers."""

from __future__ import annotations

import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage, Image

from dfd_perception.core.image_encoding import depth_m_from_image, rgb_from_image
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.ros.shared.qos import qos_profile
from dfd_perception.ros.tools.demo_scene import IMAGE_TOPIC

REPORTED = ("backend", "precision", "device", "size", "inference p50 [ms]", "total p50 [ms]")


class Subscriber:
    """Subscribes to the input, depth and deblurred topics and to diagnostics."""

    def __init__(self) -> None:
        rclpy.init()
        self._node = rclpy.create_node("demo_subscriber")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self.begin()
        self.running: dict[str, str] = {}
        reliable = qos_profile("reliable", 10)
        self._node.create_subscription(CompressedImage, IMAGE_TOPIC, self._on_input, reliable)
        self._node.create_subscription(Image, "/depth/image", self._on_depth, reliable)
        self._node.create_subscription(Image, "/deblurred/image", self._on_image, reliable)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, reliable)

    def begin(self) -> None:
        """Forget what came so far."""
        self.depths: dict[int, NDArray[np.float32]] = {}
        """Depth [m] by stamp [ns]."""
        self.images: dict[int, NDArray[np.uint8]] = {}
        """Deblurred RGB by stamp [ns]."""
        self.last_answer_s = time.monotonic()
        self._sent_s: dict[int, float] = {}
        self._answered_s: dict[int, list[float]] = {}

    def spin_once(self) -> None:
        """Take what arrives within a twentieth of a second."""
        self._executor.spin_once(timeout_sec=0.05)

    def latencies_s(self) -> list[float]:
        """Seconds from the arrival of each frame to the arrival of both its answers."""
        return [max(a) - self._sent_s[s] for s, a in self._answered_s.items() if len(a) == 2 and s in self._sent_s]

    def close(self) -> None:
        """End ROS in this process."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown()

    def _on_input(self, message: CompressedImage) -> None:
        self._sent_s.setdefault(header_stamp_ns(message.header), time.monotonic())

    def _on_depth(self, message: Image) -> None:
        self._note(message)
        self.depths.setdefault(header_stamp_ns(message.header), depth_m_from_image(message))

    def _on_image(self, message: Image) -> None:
        self._note(message)
        self.images.setdefault(header_stamp_ns(message.header), rgb_from_image(message).copy())

    def _note(self, message: Image) -> None:
        self.last_answer_s = time.monotonic()
        arrivals = self._answered_s.setdefault(header_stamp_ns(message.header), [])
        if len(arrivals) < 2:
            arrivals.append(self.last_answer_s)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        values = {v.key: v.value for v in message.status[0].values}
        self.running = {key: values[key] for key in REPORTED if key in values}
