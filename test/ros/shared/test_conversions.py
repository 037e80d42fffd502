# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""ROS messages filled and read: contents, camera_info arithmetic, and that filling takes no slow road."""

from __future__ import annotations

import array
import struct
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, RegionOfInterest
from std_msgs.msg import Header

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.camera_info import camera_of
from dfd_perception.core.image_encoding import rgb_of
from dfd_perception.core.point_cloud import PointCloudBuilder
from dfd_perception.errors import CalibrationError, ImageError
from dfd_perception.ros.shared import conversions
from dfd_perception.ros.shared.conversions import (
    depth_message,
    image_message,
    point_cloud_message,
    scaled_camera_info,
)

HEADER = Header(stamp=Time(sec=3, nanosec=4), frame_id="camera_optical")


def info(**changes) -> CameraInfo:
    k = [400.0, 0.0, 319.5, 0.0, 410.0, 239.5, 0.0, 0.0, 1.0]
    p = [390.0, 0.0, 318.0, -40.0, 0.0, 391.0, 241.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    fields = {"height": 480, "width": 640, "k": k, "p": p, "d": [0.1, 0.2, 0.0, 0.0, 0.0]}
    return CameraInfo(distortion_model="plumb_bob", **{**fields, **changes})


def test_a_image_survives_the_message():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    message = image_message(image, "rgb8", HEADER)
    assert (message.height, message.width, message.step, message.encoding) == (5, 7, 21, "rgb8")
    assert message.header == HEADER
    assert isinstance(message.data, array.array)
    assert np.array_equal(rgb_of(message), image)


def test_a_message_keeps_the_bytes_that_it_is_filled_with(monkeypatch):
    filled = array.array("B", range(48))
    monkeypatch.setattr(conversions, "byte_array", lambda content: filled)
    assert image_message(np.zeros((4, 4, 3), np.uint8), "rgb8", HEADER).data is filled
    assert point_cloud_message(np.zeros((1, 3, 4), np.float32), HEADER).data is filled


def test_a_image_that_is_a_view_is_sent_right():
    wide = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    assert np.array_equal(rgb_of(image_message(wide[::2, 2:7], "rgb8", HEADER)), wide[::2, 2:7])


def test_depth_in_both_encodings():
    depth = np.array([[1.5, np.nan, 70.0]], np.float32)
    metres = depth_message(depth, "32FC1", HEADER)
    assert np.array_equal(np.frombuffer(metres.data, np.float32), depth[0], equal_nan=True)
    assert (metres.encoding, metres.step) == ("32FC1", 12)
    millimetres = depth_message(depth, "16UC1", HEADER)
    assert np.frombuffer(millimetres.data, np.uint16).tolist() == [1500, 0, 0]
    with pytest.raises(ImageError, match=r"depth\.encoding is 'mono16'"):
        depth_message(depth, "mono16", HEADER)


def test_compressed_messages_are_read():
    import cv2

    image = np.full((20, 30, 3), (10, 200, 30), np.uint8)
    message = CompressedImage(format="png", data=cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    assert np.array_equal(rgb_of(message), image)


def test_point_cloud_fields():
    camera = CameraIntrinsics(width=4, height=3, fx=2, fy=2, cx=1, cy=1)
    colours = np.full((3, 4, 3), (9, 8, 7), np.uint8)
    cloud = point_cloud_message(PointCloudBuilder(camera).points(np.ones((3, 4), np.float32), colours), HEADER)
    assert [(f.name, f.offset) for f in cloud.fields] == [("x", 0), ("y", 4), ("z", 8), ("rgb", 12)]
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (3, 4, 16, 64)
    assert len(cloud.data) == cloud.row_step * cloud.height
    x, y, z, rgb = struct.unpack_from("<fffI", bytes(cloud.data), (2 * 4 + 3) * 16)
    assert (x, y, z, rgb) == (1.0, 0.5, 1.0, 0x00090807)


def test_filling_does_not_look_at_every_byte():
    # Element by element a message of this size takes more than 100 ms; the fast way takes about 1 ms.
    depth = np.ones((720, 1280), np.float32)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        depth_message(depth, "32FC1", HEADER)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.05


def test_camera_of_plain_info():
    camera = camera_of(info(), (480, 640))
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (400, 410, 319.5, 239.5)


def test_camera_of_a_binned_region():
    roi = RegionOfInterest(x_offset=100, y_offset=40, width=320, height=240)
    camera = camera_of(info(roi=roi, binning_x=2, binning_y=2), (120, 160))
    assert (camera.fx, camera.fy) == (200, 205)
    # Pixel 319.5 of the sensor is 219.5 of the region; its centre is at 110 in 2 px bins, hence 109.5.
    assert (camera.cx, camera.cy) == (109.5, 99.5)


@pytest.mark.parametrize(
    ("changes", "size", "says"),
    [
        ({}, (720, 1280), "camera_info is for 640x480 pixels, the image has 1280x720"),
        ({"k": [0.0] * 9}, (480, 640), "not calibrated"),
        ({"k": [float("nan")] + [1.0] * 8}, (480, 640), "not calibrated"),
    ],
)
def test_infos_that_do_not_fit_are_refused(changes, size, says):
    with pytest.raises(CalibrationError, match=says):
        camera_of(info(**changes), size)


def test_info_of_the_same_size_is_the_input_with_the_images_header():
    twin = scaled_camera_info(info(), HEADER, (480, 640), (480, 640))
    expected = info()
    expected.header = HEADER
    assert twin == expected


def test_info_follows_a_resized_image():
    roi = RegionOfInterest(x_offset=100, y_offset=40, width=200, height=80, do_rectify=True)
    half = scaled_camera_info(info(roi=roi), HEADER, (480, 640), (240, 320))
    assert (half.height, half.width) == (240, 320)
    assert half.k.tolist() == [200, 0, 159.5, 0, 205, 119.5, 0, 0, 1]
    # Tx of P is -fx * baseline: it shrinks like fx.
    assert half.p.tolist() == pytest.approx([195, 0, 158.75, -20, 0, 195.5, 120.25, 0, 0, 0, 1, 0])
    assert list(half.d) == list(info().d)
    assert (half.roi.x_offset, half.roi.y_offset, half.roi.width, half.roi.height) == (50, 20, 100, 40)
    assert half.roi.do_rectify
    assert half.header == HEADER
