# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Where one frame stands to another, from TF. The only file that knows tf2, which comes with a ROS 2 installation.

Frames of cameras are optical frames (REP 103: x right, y down, z forward). A transform TARGET, SOURCE carries points
of the source to the target, as tf2's lookup_transform(target, source) and T_TARGET_SOURCE do; on TF the source is then
the child frame, the target its parent. A quaternion is (x, y, z, w).
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.time import Time

from dfd_perception.core.registration import RigidTransform
from dfd_perception.errors import CalibrationError, ConfigError

NORM_TOLERANCE = 0.01
"""How far a quaternion may be from length 1: tf2 takes half of that, but others publish too."""


class FrameTransform(NamedTuple):
    """What TF says of two frames."""

    target_from_source: RigidTransform
    is_static: bool
    """Every part of it is on /tf_static. A part on /tf may move."""


class FixedTransform:
    """Listens to /tf and /tf_static on the node, for as long as the node lives.

    The listener's subscription to /tf_static is transient local, so that what was published before arrives too.

    Raises:
        ConfigError: tf2 is not installed.
    """

    def __init__(self, node: Node) -> None:
        self._tf2 = import_tf2_ros()
        self.buffer = self._tf2.Buffer()
        self._listener = self._tf2.TransformListener(self.buffer, node)

    def lookup(self, target_frame: str, source_frame: str) -> FrameTransform:
        """What is known now; does not wait.

        Raises:
            CalibrationError: TF does not connect the two frames (yet), or what it says is no rotation.
        """
        try:
            # Time 0: the newest. Without a timeout, since the thread that asks is the one that listens.
            transform: TransformStamped = self.buffer.lookup_transform(target_frame, source_frame, Time())
        except self._tf2.TransformException as error:
            raise CalibrationError(
                f"no transform from {source_frame!r} to {target_frame!r} on TF yet ({' '.join(str(error).split())}); "
                f"start one (ros2 run tf2_ros static_transform_publisher --frame-id {target_frame} --child-frame-id "
                f"{source_frame} --x ... --qw ...), or use parameter calibration"
            ) from error
        # tf2 stamps an answer with the time of its moving parts, and with 0 if there is none.
        is_static = transform.header.stamp.sec == transform.header.stamp.nanosec == 0
        try:
            return FrameTransform(rigid_transform_of(transform), is_static)
        except CalibrationError as error:
            raise CalibrationError(f"TF from {source_frame!r} to {target_frame!r}: {error}") from error


def import_tf2_ros() -> ModuleType:
    """The module tf2_ros.

    Raises:
        ConfigError: it does not import.
    """
    try:
        import tf2_ros
    except ImportError as error:
        raise ConfigError(
            f"parameter camera.extrinsic_from_tf is true, which needs tf2, and that does not import ({error}); install "
            "it (sudo apt install ros-$ROS_DISTRO-tf2-ros-py), or set the parameter to false and calibration to a file "
            "of dfd calibrate"
        ) from error
    return tf2_ros


def rigid_transform_of(message: TransformStamped) -> RigidTransform:
    """The transform of a message: carries points of child_frame_id to header.frame_id.

    Raises:
        CalibrationError: not a rotation, or not finite.
    """
    translation, rotation = message.transform.translation, message.transform.rotation
    translation_m = np.array([translation.x, translation.y, translation.z], np.float64)
    if not np.isfinite(translation_m).all():
        raise CalibrationError(f"translation is {translation_m.tolist()}; expected three finite numbers [m]")
    return RigidTransform(rotation_of_quaternion(rotation.x, rotation.y, rotation.z, rotation.w), translation_m)


def rotation_of_quaternion(x: float, y: float, z: float, w: float) -> NDArray[np.float64]:
    """(3, 3) rotation matrix of a quaternion, which is brought to length 1.

    Raises:
        CalibrationError: its length is not 1, or not a number.
    """
    quaternion = np.array([x, y, z, w], np.float64)
    norm = float(np.linalg.norm(quaternion))
    if not abs(norm - 1.0) <= NORM_TOLERANCE:
        raise CalibrationError(
            f"quaternion (x, y, z, w) = ({x:g}, {y:g}, {z:g}, {w:g}) has length {norm:g} and is no rotation; expected "
            "length 1, as (0, 0, 0, 1) for none. Correct its publisher"
        )
    x, y, z, w = (quaternion / norm).tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
