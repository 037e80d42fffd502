# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Distortion against OpenCV's own projection, round trips, and the fold of the rational polynomial."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import DistortedCamera, Distortion
from dfd_perception.errors import CalibrationError

# An Azure Kinect's factory calibration: 1280 x 720 colour and 640 x 576 depth.
KINECT_COLOUR = DistortedCamera(
    intrinsics=CameraIntrinsics(width=1280, height=720, fx=611.795, fy=611.927, cx=639.304, cy=365.853),
    distortion=Distortion.from_coefficients(
        [0.330121, -2.489397, -0.000161782, -0.000129445, 1.453671, 0.208912, -2.302915, 1.375128]
    ),
)
KINECT_DEPTH = DistortedCamera(
    intrinsics=CameraIntrinsics(width=640, height=576, fx=504.608, fy=504.733, cx=332.781, cy=348.830),
    distortion=Distortion.from_coefficients(
        [0.547940, -0.0209714, 2.05576e-05, -7.21042e-05, -0.00265223, 0.889679, 0.0861302, -0.0139104],
        fitted_radius=1.74,
    ),
)
PLUMB_BOB = DistortedCamera(
    intrinsics=CameraIntrinsics(width=640, height=480, fx=500.0, fy=520.0, cx=310.0, cy=250.0),
    distortion=Distortion.from_coefficients([-0.28, 0.07, 0.0012, -0.0008, 0.01]),
)
CAMERAS = pytest.mark.parametrize("camera", [KINECT_COLOUR, KINECT_DEPTH, PLUMB_BOB], ids=["colour", "depth", "bob"])


@CAMERAS
def test_projection_equals_opencv(camera: DistortedCamera) -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform([-0.5, -0.4, 0.9], [0.5, 0.4, 3.0], (500, 3))
    expected, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), camera.intrinsics.matrix(), camera.distortion.coefficients()
    )
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-6)


@CAMERAS
def test_every_pixel_of_the_image_comes_back(camera: DistortedCamera) -> None:
    height, width = camera.size
    columns, rows = np.meshgrid(np.arange(0, width, 7.0), np.arange(0, height, 5.0))
    pixels = np.stack([columns, rows], axis=-1)
    rays = camera.rays(pixels)
    known = np.isfinite(rays[..., 0])
    # The corners of the Kinect's depth image lie outside the fitted radius; all else must invert.
    assert known.mean() > (0.97 if camera is KINECT_DEPTH else 0.999)
    np.testing.assert_allclose(camera.project(rays)[known], pixels[known], atol=1e-6)
    np.testing.assert_allclose(camera.project(3.7 * rays)[known], pixels[known], atol=1e-6)


def test_points_outside_the_field_do_not_fold_into_the_image() -> None:
    naive, _ = cv2.projectPoints(
        np.array([[0.0, 0.9, 1.0]]),
        np.zeros(3),
        np.zeros(3),
        PLUMB_BOB.intrinsics.matrix(),
        np.array([-0.5, 0, 0, 0.0]),
    )
    folding = DistortedCamera(intrinsics=PLUMB_BOB.intrinsics, distortion=Distortion.from_coefficients([-0.5, 0, 0, 0]))
    assert naive[0, 0, 1] < 600  # OpenCV's answer for a point 42 degrees off axis
    assert folding.distortion.largest_radius == pytest.approx(np.sqrt(1 / 1.5), abs=0.01)
    assert np.isnan(folding.project(np.array([0.0, 0.9, 1.0]))).all()


def test_points_behind_the_camera_have_no_pixel() -> None:
    assert np.isnan(PLUMB_BOB.project(np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0]]))).all()


def test_float32_stays_float32() -> None:
    x = np.linspace(-0.5, 0.5, 11, dtype=np.float32)
    assert all(part.dtype == np.float32 for part in KINECT_COLOUR.distortion.distort(x, x))


@pytest.mark.parametrize("coefficients", [[0.1], [0.1] * 6, [0.0, 0, 0, 0, 0, 0, 0, 0, 0.1, 0, 0, 0], [np.nan] * 5])
def test_other_models_are_refused(coefficients: list[float]) -> None:
    with pytest.raises(CalibrationError, match=r"5|8"):
        Distortion.from_coefficients(coefficients)


def test_no_distortion_is_a_pinhole() -> None:
    camera = DistortedCamera(intrinsics=PLUMB_BOB.intrinsics)
    np.testing.assert_allclose(camera.project(np.array([0.5, 0.25, 2.0])), [310 + 125, 250 + 65])
    rows, columns = np.mgrid[0:480, 0:640]
    rays = np.stack([(columns - 310) / 500, (rows - 250) / 520, np.ones((480, 640))], axis=-1)
    np.testing.assert_allclose(camera.ray_map(), rays)
