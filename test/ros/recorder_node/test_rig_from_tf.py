# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The rig by camera_info and TF: quaternions, what is missing, and what is said where TF or tf2 does not help."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from sensor_msgs.msg import CameraInfo, Image

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.core.registration import RigidTransform
from dfd_perception.errors import CalibrationError, ConfigError
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration
from dfd_perception.ros.recorder_node.fixed_transform import FixedTransform, rigid_transform_of, rotation_of_quaternion
from dfd_perception.ros.recorder_node.recorder_rig import RigFromTf
from dfd_perception.ros.recorder_node.robot_camera import RobotCamera

HALF = np.sqrt(0.5)


@pytest.mark.parametrize(
    ("quaternion", "rows"),
    [
        ((0, 0, 0, 1), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ((HALF, 0, 0, HALF), [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
        ((0, HALF, 0, HALF), [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
        ((0, 0, HALF, HALF), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        # REP 103: the optical frame as child of the body's; its z is the body's x, its x the body's -y.
        ((-0.5, 0.5, -0.5, 0.5), [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    ],
)
def test_known_rotations(quaternion, rows):
    np.testing.assert_allclose(rotation_of_quaternion(*quaternion), rows, atol=1e-12)


def test_rotations_are_those_of_rodrigues():
    rng = np.random.default_rng(0)
    for _ in range(50):
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        angle = rng.uniform(-np.pi, np.pi)
        quaternion = [*(axis * np.sin(angle / 2)), np.cos(angle / 2)]
        rounded = np.round(quaternion, 3)  # as somebody types it: length 1 to a thousandth
        expected = cv2.Rodrigues(axis * angle)[0]
        np.testing.assert_allclose(rotation_of_quaternion(*quaternion), expected, atol=1e-12)
        np.testing.assert_allclose(rotation_of_quaternion(*rounded), expected, atol=4e-3)
        assert np.linalg.det(rotation_of_quaternion(*rounded)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    "quaternion", [(0, 0, 0, 0), (0, 0, 0, 2), (float("nan"), 0, 0, 1), (float("inf"), 0, 0, 1), (0, 0, 0, 0.9)]
)
def test_what_is_no_rotation_is_refused(quaternion):
    with pytest.raises(CalibrationError, match=r"is no rotation; expected length 1") as caught:
        rotation_of_quaternion(*quaternion)
    assert "\n" not in str(caught.value)


def test_translation_must_be_finite():
    transform = Transform(translation=Vector3(x=float("nan")), rotation=Quaternion(w=1.0))
    with pytest.raises(CalibrationError, match="translation is"):
        rigid_transform_of(TransformStamped(transform=transform))


def test_without_tf2_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(ConfigError, match=r"apt install ros-\$ROS_DISTRO-tf2-ros-py.*calibration") as caught:
        FixedTransform(None)
    assert "\n" not in str(caught.value)


@pytest.fixture
def node(ros_domain_id):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    node = rclpy.create_node("recorder", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def transforms(monkeypatch, node):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "support" / "fake_tf2"))
    monkeypatch.delitem(sys.modules, "tf2_ros", raising=False)
    yield FixedTransform(node)
    sys.modules.pop("tf2_ros")


def stamped(quaternion, sec=0):
    message = TransformStamped(child_frame_id="kinect")
    message.header.frame_id, message.header.stamp.sec = "camera", sec
    x, y, z, w = map(float, quaternion)
    message.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
    message.transform.translation = Vector3(x=0.1, y=0.2, z=0.3)
    return message


def test_frames_that_tf_does_not_know_are_named(transforms):
    with pytest.raises(CalibrationError, match="no transform from 'kinect' to 'camera' on TF yet") as caught:
        transforms.lookup("camera", "kinect")
    assert "--frame-id camera --child-frame-id kinect" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_points_of_the_child_go_to_the_parent(transforms):
    transforms.buffer.set_transform_static(stamped((0, 0, HALF, HALF), 7), "test")
    found = transforms.lookup("camera", "kinect")
    assert found.is_static
    moved = found.target_from_source.rotation @ [1, 0, 0] + found.target_from_source.translation_m
    np.testing.assert_allclose(moved, [0.1, 1.2, 0.3], atol=1e-12)


def test_a_moving_transform_is_known_by_its_stamp(transforms):
    transforms.buffer.set_transform(stamped((0, 0, 0, 1), 7), "test")
    assert not transforms.lookup("camera", "kinect").is_static


def test_a_broken_publisher_is_named_by_its_frames(transforms):
    transforms.buffer.set_transform(stamped((0, 0, 0, 0)), "test")
    with pytest.raises(CalibrationError, match="TF from 'kinect' to 'camera': quaternion"):
        transforms.lookup("camera", "kinect")


def test_what_is_missing_is_told_until_the_rig_is_known(node, transforms):
    """Each thing in turn; then the rig stays as it is, whatever TF says later."""
    callbacks, rigs, said = {}, [], []
    camera = RobotCamera(
        node, lambda kind, topic, callback: callbacks.update({topic: callback}), False, True, lambda image: None
    )
    rig = RigFromTf(camera, transforms, {"views": 20}, rigs.append, lambda severity, line: said.append(severity))

    def missing():
        rig.update()
        assert not rigs
        return rig.missing

    depth = DistortedCamera(intrinsics=CameraIntrinsics(width=64, height=48, fx=60.0, fy=60.0, cx=32.0, cy=24.0))
    sensor = RgbdCalibration(depth, None, RigidTransform.identity())
    assert "the depth sensor has not answered" in missing()
    rig.add_sensor(sensor, "")
    assert "depth/camera_info has an empty frame_id" in missing()
    rig.add_sensor(sensor, "kinect")
    assert missing() == "nothing on /image yet"
    callbacks["image"](Image(height=8, width=8, step=24, encoding="rgb8", data=bytes(192)))
    assert missing() == "nothing on /camera_info yet"
    info = CameraInfo(height=8, width=8, distortion_model="plumb_bob")
    callbacks["camera_info"](info)
    assert "/camera_info has an empty frame_id" in missing()
    info.header.frame_id = "camera"
    assert "not calibrated" in missing()
    info.k, info.width = [7.0, 0, 3.5, 0, 7.0, 3.5, 0, 0, 1.0], 16
    assert "camera_info is for 16x8 pixels, the image has 8x8" in missing()
    info.width = 8
    assert "no transform from 'kinect' to 'camera'" in missing()
    transforms.buffer.set_transform(stamped((0, 0, 0, 1), 7), "test")
    rig.update()
    rig.update()
    assert [rig.missing, len(rigs), said] == ["", 1, ["info", "warning"]], "it is told that /tf may move"
    assert rigs[0].camera.intrinsics.fx == 7.0
    assert rigs[0].quality == {
        "views": 20, "T_camera_kinect": "TF, from 'kinect' to 'camera'", "T_camera_kinect_is_static": False
    }  # fmt: skip
    transforms.buffer.set_transform(stamped((0, 0, 1, 0), 8), "test")
    rig.add_sensor(sensor, "kinect")  # unplugged, and opened again
    rig.update()
    assert len(rigs) == 2
    np.testing.assert_array_equal(rigs[1].camera_from_depth.rotation, np.eye(3))
