# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd camera`: a video or images as topics."""

from __future__ import annotations

import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2 in this environment")

from sensor_msgs.msg import CameraInfo  # noqa: E402

from dfd_perception.core.image_encoding import rgb_from_image  # noqa: E402
from dfd_perception.media.result_video import VideoWriter  # noqa: E402

CALIBRATION = """\
image_width: 80
image_height: 48
camera_name: narrow_stereo
camera_matrix: {rows: 3, cols: 3, data: [61.5, 0., 40., 0., 62.5, 24., 0., 0., 1.]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0.001, 0.002, 0.]}
rectification_matrix: {rows: 3, cols: 3, data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]}
projection_matrix: {rows: 3, cols: 4, data: [60., 0., 40., 0., 0., 60., 24., 0., 0., 0., 1., 0.]}
"""


@pytest.fixture
def run_camera(ros_environment):
    def run(*arguments):
        command = [sys.executable, "-m", "dfd_perception.cli", "camera", *arguments]
        return subprocess.run(command, env=ros_environment, capture_output=True, text=True, timeout=100)

    return run


def own_lines(stderr: str) -> list[str]:
    """Without those of the middleware, which Kilted's has at every start."""
    return [line for line in stderr.splitlines() if "[rmw_" not in line]


@pytest.fixture
def clip(tmp_path):
    with VideoWriter(tmp_path / "clip.avi", 20.0) as writer:
        for number in range(40):
            writer.write(np.full((48, 80, 3), 5 * number, np.uint8))
    return str(tmp_path / "clip.avi")


def test_a_video_becomes_image_and_camera_info_of_one_stamp(peer, run_camera, clip, tmp_path, eventually):
    (tmp_path / "ost.yaml").write_text(CALIBRATION)
    images, infos = peer.subscribe("/cam/image_raw"), peer.subscribe("/cam/camera_info", CameraInfo)
    names = ["--ros-args", "-r", "image:=/cam/image_raw", "-r", "camera_info:=/cam/camera_info"]
    result = run_camera(clip, "--calibration", str(tmp_path / "ost.yaml"), "--frame-id", "eye", *names)
    assert (result.returncode, result.stdout) == (0, "40 images published\n"), result.stderr
    eventually(lambda: len(images) > 10 and len(infos) > 10, "images come")
    stamps = {(i.header.stamp.sec, i.header.stamp.nanosec): i for i in infos}
    pairs = [(i, stamps.get((i.header.stamp.sec, i.header.stamp.nanosec))) for i in images]
    image, info = next((image, info) for image, info in pairs if info is not None)
    assert (image.encoding, image.height, image.width, image.header.frame_id) == ("rgb8", 48, 80, "eye")
    assert (info.k[0], info.k[4], info.p[0], info.d[1], info.distortion_model) == (61.5, 62.5, 60.0, -0.2, "plumb_bob")
    levels = [float(rgb_from_image(image).mean()) for image in images]
    assert (np.diff(levels) > 0).all()


def test_fx_alone_gives_a_centred_camera_and_images_have_a_rate(peer, run_camera, tmp_path, eventually):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"p{number}.png"), np.full((48, 80, 3), 100, np.uint8))
    infos = peer.subscribe("camera_info", CameraInfo)
    result = run_camera(str(tmp_path), "--fx", "700", "--rate", "3")
    assert result.returncode == 0, result.stderr
    eventually(lambda: infos, "camera_info comes")
    assert (infos[-1].k[0], infos[-1].k[2], infos[-1].k[5], infos[-1].width) == (700, 39.5, 23.5, 80)


def test_one_image_in_a_loop_keeps_its_rate(peer, ros_environment, tmp_path, eventually):
    """Each round began at once: one image came as fast as the machine could send it."""
    cv2.imwrite(str(tmp_path / "one.png"), np.full((48, 80, 3), 100, np.uint8))
    images = peer.subscribe("image")
    command = [sys.executable, "-m", "dfd_perception.cli", "camera", str(tmp_path / "one.png"), "--loop", "--rate", "4"]
    with subprocess.Popen(command, env=ros_environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as camera:
        eventually(lambda: len(images) >= 4, "images come")
        camera.send_signal(signal.SIGINT)
        assert camera.wait(30) == 0
    stamps_s = [image.header.stamp.sec + 1e-9 * image.header.stamp.nanosec for image in images]
    assert np.diff(stamps_s).mean() > 0.2


def test_without_a_focal_length_it_says_that_there_is_no_camera_info(run_camera, clip):
    result = run_camera(clip, "--rate", "200")
    assert result.returncode == 0
    assert "no camera_info: give --calibration or --fx" in result.stderr


def test_a_calibration_of_another_size_is_one_line(run_camera, clip, tmp_path):
    (tmp_path / "ost.yaml").write_text(CALIBRATION.replace("image_width: 80", "image_width: 640"))
    result = run_camera(clip, "--calibration", str(tmp_path / "ost.yaml"))
    assert result.returncode == 2
    (line,) = own_lines(result.stderr)
    assert line.startswith("dfd: the calibration is for 640 x 48 px, the images have 80 x 48")


def test_a_file_that_is_no_image_is_one_line(run_camera, tmp_path):
    (tmp_path / "notes.txt").write_text("hi")
    result = run_camera(str(tmp_path / "notes.txt"))
    assert result.returncode == 2
    (line,) = own_lines(result.stderr)
    assert "notes.txt: cannot be decoded as an image" in line


def test_wrong_ros_arguments_are_one_line(run_camera, tmp_path):
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((48, 80, 3), np.uint8))
    done = run_camera(str(tmp_path / "one.png"), "--ros-args", "-r", "bad")
    assert done.returncode == 2
    assert "dfd: ROS does not start: Couldn't parse remap rule: '-r bad'" in done.stderr
    assert "Traceback" not in done.stderr
