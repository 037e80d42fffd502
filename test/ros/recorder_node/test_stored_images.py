# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the recorder keeps of a compressed image, and in which unit it reads depth."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from sensor_msgs.msg import CompressedImage, Image

from dfd_perception.errors import ImageError
from dfd_perception.ros.recorder_node.rgbd_topics import depth_mm_of
from dfd_perception.ros.recorder_node.robot_camera import image_of


def jpeg() -> bytes:
    return cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()


def test_the_padding_of_a_camera_is_not_stored():
    message = CompressedImage(format="jpeg", data=array.array("B", jpeg() + bytes(4096)))
    assert image_of(message).stored() == jpeg()


def test_half_an_image_is_refused_when_it_is_recorded():
    message = CompressedImage(format="jpeg", data=array.array("B", jpeg()[:500]))
    with pytest.raises(ImageError, match="cut short after 500 bytes"):
        image_of(message).stored()


def test_depth_of_another_unit_becomes_millimetres():
    counts = np.array([[8000, 0, 65535, 4000]], np.uint16)
    message = Image(height=1, width=4, encoding="16UC1", step=8, data=array.array("B", counts.tobytes()))
    assert depth_mm_of(message, 0.000125).tolist() == [[1000, 0, 0, 500]]
    assert depth_mm_of(message).tolist() == [[8000, 0, 0, 4000]]
