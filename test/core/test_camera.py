# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.errors import CalibrationError

CAMERA = CameraIntrinsics(width=64, height=48, fx=50.0, fy=52.0, cx=30.0, cy=25.0)


def test_scaling_follows_what_cv2_resize_does_to_a_feature() -> None:
    rows, columns = np.mgrid[0:48, 0:64]
    blob = np.exp(-((columns - 30.0) ** 2 + (rows - 25.0) ** 2) / 50).astype(np.float32)
    half = cv2.resize(blob, (32, 24), interpolation=cv2.INTER_AREA)
    centre_x = (half.sum(0) @ np.arange(32)) / half.sum()
    centre_y = (half.sum(1) @ np.arange(24)) / half.sum()
    scaled = CAMERA.scaled(0.5)
    assert (scaled.cx, scaled.cy) == pytest.approx((centre_x, centre_y), abs=0.01)
    assert (scaled.width, scaled.height, scaled.fx, scaled.fy) == (32, 24, 25.0, 26.0)


def test_each_axis_has_its_own_factor_and_scaling_back_returns() -> None:
    other = CAMERA.scaled(size=(96, 32))
    assert (other.fx, other.fy) == (25.0, 104.0)
    assert (other.cx, other.cy) == (14.75, 50.5)
    assert other.scaled(size=(48, 64)) == CAMERA


def test_crop_moves_the_principal_point_only() -> None:
    window = CAMERA.cropped(10, 5, 20, 30)
    assert (window.width, window.height, window.fx, window.fy) == (20, 30, 50.0, 52.0)
    assert (window.cx, window.cy) == (20.0, 20.0)
    assert window.matrix().tolist() == [[50, 0, 20], [0, 52, 20], [0, 0, 1]]
    assert CameraIntrinsics.from_matrix(window.matrix().ravel(), 20, 30) == window


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"fx": 0.0}, "fx"), ({"width": 0}, "at least 1"), ({"cy": float("nan")}, "cy")],
)
def test_impossible_cameras_are_refused(arguments: dict[str, float], word: str) -> None:
    with pytest.raises(CalibrationError, match=word):
        CameraIntrinsics(**{"width": 4, "height": 3, "fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0, **arguments})


def test_crop_outside_and_scale_twice_are_refused() -> None:
    with pytest.raises(CalibrationError, match="does not lie within"):
        CAMERA.cropped(50, 0, 20, 10)
    with pytest.raises(CalibrationError, match="exactly one"):
        CAMERA.scaled(0.5, (24, 32))
