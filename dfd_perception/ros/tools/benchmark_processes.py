# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The processes of `dfd benchmark` beside the node: a camera, a bare echo node, and a listener that keeps time.

    python -m dfd_perception.ros.tools.benchmark_processes camera|echo|listener ...

Stamps are the machine's clock at the moment of sending, so the listener's delay is that of the whole way.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from dfd_perception.core.image_encoding import rgb_of
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.ros.shared.conversions import image_message
from dfd_perception.ros.shared.managed_node import LOOK_AGAIN_S
from dfd_perception.ros.shared.qos import qos_profile

IMAGES = 4
FX_PX = 500.0
SUBSCRIBER_LIMIT_S = 90.0
"""A node that imports torch on a busy machine takes its time."""

TOPICS = {"depth": "depth/image", "deblurred": "deblurred/image"}


def camera(height: int, width: int, rate_hz: float, duration_s: float, at_once: bool = False) -> dict[str, Any]:
    """Publish rgb8 images and camera_infos at a rate; returns how many, and when.

    Args:
        at_once: whether anybody listens or not.
    """
    node = rclpy.create_node("benchmark_camera")
    images = node.create_publisher(Image, "image", qos_profile("reliable", 1))
    infos = node.create_publisher(CameraInfo, "camera_info", qos_profile("reliable", 1))
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (IMAGES, height // 8 + 1, width // 8 + 1, 3), np.uint8)
    contents = [np.ascontiguousarray(c.repeat(8, 0).repeat(8, 1)[:height, :width]) for c in coarse]
    messages = [image_message(content, "rgb8", Header(frame_id="camera")) for content in contents]
    k = [FX_PX, 0.0, width / 2, 0.0, FX_PX, height / 2, 0.0, 0.0, 1.0]
    deadline = time.monotonic() + SUBSCRIBER_LIMIT_S
    while not at_once and images.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.0 if at_once else 0.5)
    sent, began = 0, time.monotonic()
    while time.monotonic() - began < duration_s and rclpy.ok():
        time.sleep(max(0.0, began + sent / rate_hz - time.monotonic()))
        message = messages[sent % IMAGES]
        now = time.time_ns()
        message.header.stamp = Time(sec=now // 10**9, nanosec=now % 10**9)
        try:
            infos.publish(CameraInfo(header=message.header, height=height, width=width, k=k))
            images.publish(message)
        except Exception:
            if rclpy.ok():
                raise
            break  # a signal ended the context meanwhile
        sent += 1
    lasted = time.monotonic() - began
    time.sleep(0.5)
    node.destroy_node()
    return {"sent": sent, "began_s": began, "seconds": lasted}


class Echo(Node):
    """The least that a node of the same topics can do: copy the image, send messages of the same sizes back."""

    def __init__(self) -> None:
        super().__init__("benchmark_echo")
        self._depth = self.create_publisher(Image, TOPICS["depth"], qos_profile("reliable", 2))
        self._image = self.create_publisher(Image, TOPICS["deblurred"], qos_profile("reliable", 2))
        self.create_subscription(Image, "image", self._answer, qos_profile("best_effort", 1))

    def _answer(self, message: Image) -> None:
        content = rgb_of(message).copy()
        if self._depth.get_subscription_count():
            depth = np.ones(content.shape[:2], np.float32)
            self._depth.publish(image_message(depth, "32FC1", message.header))
        if self._image.get_subscription_count():
            self._image.publish(image_message(content, "rgb8", message.header))


class Listener(Node):
    """Notes how old each frame is when all of its answers have arrived."""

    def __init__(self, topics: Sequence[str], ready: Path) -> None:
        super().__init__("benchmark_listener")
        self.delays_s: list[float] = []
        self.arrivals_s: list[float] = []
        self.stages: dict[str, float] = {}
        self._expected = len(topics)
        self._first = ready.with_suffix(".first")
        self._seen: dict[int, int] = {}
        for topic in topics:
            self.create_subscription(Image, TOPICS[topic], self._note, qos_profile("reliable", 2))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        ready.write_text("ready")

    def _note(self, message: Image) -> None:
        stamp = header_stamp_ns(message.header)
        self._seen[stamp] = self._seen.get(stamp, 0) + 1
        if self._seen[stamp] == self._expected:
            self.delays_s.append((time.time_ns() - stamp) * 1e-9)
            self.arrivals_s.append(time.monotonic())
            if len(self.arrivals_s) == 1:
                self._first.write_text(repr(self.arrivals_s[0]))
            del self._seen[stamp]

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for value in message.status[0].values:
            if value.key.endswith("p50 [ms]"):
                self.stages[value.key.partition(" ")[0]] = float(value.value)


def spin(node: Node) -> None:
    """Spin until a signal."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        while rclpy.ok():
            executor.spin_once(timeout_sec=LOOK_AGAIN_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("camera", "echo", "listener"))
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--at-once", action="store_true", help="camera: do not wait for a subscriber")
    parser.add_argument("--topics", nargs="+", default=list(TOPICS))
    parser.add_argument("--out", type=Path, help="where the result goes, as JSON")
    args = parser.parse_args(arguments)
    rclpy.init()
    result: dict[str, Any] = {}
    if args.role == "camera":
        with contextlib.suppress(KeyboardInterrupt):
            result = camera(args.height, args.width, args.rate, args.seconds, args.at_once)
    elif args.role == "echo":
        spin(Echo())
    else:
        listener = Listener(args.topics, args.out.with_suffix(".ready"))
        spin(listener)
        result = {"delays_s": listener.delays_s, "arrivals_s": listener.arrivals_s, "stages_ms": listener.stages}
    if args.out is not None:
        args.out.write_text(json.dumps(result), "utf-8")
    if rclpy.ok():
        rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
