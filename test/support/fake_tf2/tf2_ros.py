# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Stands in for tf2_ros, which no wheel carries: its names, signatures and stamps, for transforms of one step.

Two differences: it does not chain transforms, and since the wheels have no tf2_msgs/TFMessage either, each message on
/tf and /tf_static is one geometry_msgs/TransformStamped.
"""

from __future__ import annotations

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.time import Time


class TransformException(Exception):
    """What tf2_py raises, or a subclass."""


class LookupException(TransformException):
    """A frame does not exist."""


class Buffer:
    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        self._transforms: dict[tuple[str, str], TransformStamped] = {}

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        self._transforms[transform.header.frame_id, transform.child_frame_id] = transform

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        transform.header.stamp.sec = transform.header.stamp.nanosec = 0
        self.set_transform(transform, authority)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        if not isinstance(time, Time):
            raise TypeError("time is not a rclpy Time")
        found = self._transforms.get((target_frame, source_frame))
        if found is None:
            raise LookupException(f'"{target_frame}" passed to lookupTransform argument target_frame does not exist. ')
        return found


class TransformListener:
    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
    ) -> None:
        latched = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self.buffer = buffer
        self.tf_sub = node.create_subscription(
            TransformStamped, "/tf", lambda message: buffer.set_transform(message, "default_authority"), qos or 100
        )
        self.tf_static_sub = node.create_subscription(
            TransformStamped,
            "/tf_static",
            lambda message: buffer.set_transform_static(message, "default_authority"),
            static_qos or latched,
        )
