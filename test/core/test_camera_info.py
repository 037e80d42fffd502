# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The camera of raw and rectified images, against formulas written down anew from image_geometry and OpenCV."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dfd_perception.core.camera_info import image_camera, shown_camera
from dfd_perception.core.point_cloud import PointCloudBuilder
from dfd_perception.errors import CalibrationError

SIZE = (240, 320)
D = [-0.3, 0.1, 0.001, -0.002, 0.0]


def _info(**changes: Any) -> Any:
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    fields: dict[str, Any] = {
        "width": 320,
        "height": 240,
        "distortion_model": "plumb_bob",
        "d": D,
        "k": [300.0, 0.0, 160.0, 0.0, 301.0, 119.0, 0.0, 0.0, 1.0],
        "p": [250.0, 0.0, 161.0, 0.0, 0.0, 251.0, 121.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "binning_x": 0,
        "binning_y": 0,
        "roi": roi,
    }
    return SimpleNamespace(**(fields | changes))


def _points(camera: Any, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    return PointCloudBuilder(camera.intrinsics, camera.distortion).points(depth_m, None)[..., :3]


@pytest.mark.parametrize(
    ("topic", "rectified", "fx"),
    [
        ("/camera/image_raw", "auto", 300.0),
        ("/camera/image_rect", "auto", 250.0),
        ("/camera/image_rect_color/compressed", "auto", 250.0),
        ("/camera/rectified/image", "auto", 250.0),
        ("/direct/image", "auto", 300.0),
        ("/camera/image_raw", "true", 250.0),
        ("/camera/image_rect", "false", 300.0),
    ],
)
def test_k_is_of_raw_images_and_p_of_rectified_ones(topic: str, rectified: Any, fx: float) -> None:
    camera = image_camera(_info(), SIZE, topic, rectified)
    assert camera.intrinsics.fx == fx
    assert (camera.distortion is None) == (fx == 250.0)
    assert camera.notes == ()


def test_without_distortion_p_is_used_where_it_is_valid() -> None:
    assert image_camera(_info(d=[0.0] * 5), SIZE).intrinsics.fx == 250.0
    no_p = image_camera(_info(d=[], p=[0.0] * 12), SIZE)
    assert (no_p.intrinsics.fx, no_p.rectified, no_p.distortion) == (300.0, False, None)


def test_points_of_a_rectified_image_are_those_of_depth_image_proc() -> None:
    """x = (u - cx) z / fx, y = (v - cy) z / fy with P."""
    depth_m = np.random.default_rng(0).uniform(0.5, 4, SIZE).astype(np.float32)
    points = _points(image_camera(_info(), SIZE, "image_rect"), depth_m)
    v, u = np.mgrid[:240, :320]
    np.testing.assert_allclose(points[..., 0], (u - 161.0) * depth_m / 250.0, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(points[..., 1], (v - 121.0) * depth_m / 251.0, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", ["plumb_bob", "equidistant"])
def test_points_of_a_raw_image_project_back_onto_their_pixels(model: str) -> None:
    coefficients = D if model == "plumb_bob" else [-0.02, 0.004, -0.001, 0.0]
    camera = image_camera(_info(distortion_model=model, d=coefficients), SIZE, "image_raw")
    depth_m = np.full(SIZE, 2.0, np.float32)
    points = _points(camera, depth_m).astype(np.float64)
    seen = np.isfinite(points).all(axis=-1)
    assert seen.mean() > 0.95
    k = np.array([[300.0, 0, 160.0], [0, 301.0, 119.0], [0, 0, 1]])
    zero = np.zeros(3)
    if model == "plumb_bob":
        projected = cv2.projectPoints(points[seen], zero, zero, k, np.array(coefficients))[0][:, 0]
    else:
        projected = cv2.fisheye.projectPoints(points[seen][None], zero, zero, k, np.array(coefficients))[0][0]
    v, u = np.nonzero(seen)
    np.testing.assert_allclose(projected, np.stack([u, v], axis=-1), atol=2e-3)
    np.testing.assert_allclose(points[seen][:, 2], 2.0)


@pytest.mark.parametrize("k", [[0.0] * 9, [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0]])
def test_a_k_of_zeros_or_identity_gives_way_to_p_and_the_user_is_told(k: list[float]) -> None:
    camera = image_camera(_info(k=k), SIZE, "image")
    assert (camera.intrinsics.fx, camera.rectified) == (250.0, True)
    assert "no K" in camera.notes[0]
    with pytest.raises(CalibrationError, match="not calibrated"):
        image_camera(_info(k=k), SIZE, "image", "false")
    with pytest.raises(CalibrationError, match="not calibrated"):
        image_camera(_info(k=k, p=[0.0] * 12), SIZE, "image")


def test_a_rectified_image_without_p_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"/camera/image_rect\), but camera_info has no P"):
        image_camera(_info(p=[0.0] * 12), SIZE, "/camera/image_rect")
    assert image_camera(_info(p=[0.0] * 12, d=[0.0] * 5), SIZE, "image_rect").intrinsics.fx == 300.0


def test_binning_and_region_reduce_k_and_p_alike() -> None:
    roi = SimpleNamespace(x_offset=40, y_offset=20, width=240, height=200)
    info = _info(roi=roi, binning_x=2, binning_y=2)
    for topic, cx in (("image_raw", 160.0), ("image_rect", 161.0)):
        camera = image_camera(info, (100, 120), topic).intrinsics
        assert camera.fx == (300.0 if topic == "image_raw" else 250.0) / 2
        # Half a pixel less than image_geometry's (cx - offset) / binning: the centre of a bin is between its pixels.
        assert camera.cx == pytest.approx((cx - 40) / 2 - 0.25)


def test_binning_over_a_k_of_the_binned_image_is_not_applied_again() -> None:
    """avt_vimba_camera 82: sensor 2064 x 1544, binning 4, K measured on the 516 x 386 image."""
    k = [299.54, 0.0, 254.1, 0.0, 300.14, 183.9, 0.0, 0.0, 1.0]
    p = [299.54, 0, 1031.5, 0, 0, 299.54, 771.5, 0, 0, 0, 1, 0]
    info = _info(width=2064, height=1544, binning_x=4, binning_y=4, k=k, p=p, d=[0.0] * 5)
    camera = image_camera(info, (386, 516), "image_raw")
    assert camera.intrinsics.fx == pytest.approx(299.54)
    assert camera.intrinsics.cx == pytest.approx(254.1)
    assert "principal point (254, 184)" in camera.notes[0]
    assert "not applied again" in camera.notes[0]


def test_an_offset_over_a_k_of_the_region_is_not_applied_again() -> None:
    roi = SimpleNamespace(x_offset=1200, y_offset=900, width=400, height=300)
    k = [800.0, 0.0, 199.5, 0.0, 800.0, 149.5, 0.0, 0.0, 1.0]
    camera = image_camera(_info(width=2064, height=1544, roi=roi, k=k), (300, 400), "image_raw")
    assert camera.intrinsics.cx == pytest.approx(199.5)
    assert "offset is not applied again" in camera.notes[0]


def test_a_principal_point_far_off_is_said() -> None:
    camera = image_camera(_info(k=[300.0, 0, 20.0, 0, 301.0, 119.0, 0, 0, 1.0]), SIZE, "image_raw")
    assert camera.intrinsics.cx == 20.0
    assert "principal point (20, 119) is far from the middle of the 320 x 240 px" in camera.notes[0]


def test_other_lens_models_and_sizes_are_refused_in_words() -> None:
    with pytest.raises(CalibrationError, match="distortion_model is 'division'; expected plumb_bob"):
        image_camera(_info(distortion_model="division"), SIZE, "image_raw")
    assert image_camera(_info(distortion_model="division"), SIZE, "image_rect").intrinsics.fx == 250.0
    with pytest.raises(CalibrationError, match="is for 320x240 pixels, the image has 640x480"):
        image_camera(_info(), (480, 640), "image_raw")


def test_a_fisheye_is_used_and_its_limit_is_said() -> None:
    camera = image_camera(_info(distortion_model="equidistant", d=[0.1, 0, 0, 0]), SIZE, "image_raw")
    assert "fisheye" in camera.notes[0]


def test_a_fisheye_of_four_zeros_is_the_ideal_one_and_no_pinhole() -> None:
    """A ray at the angle theta lands at fx theta: x / z of its point is tan theta."""
    matrix = [120.0, 0, 160, 0, 120.0, 119.0, 0, 0, 1]
    camera = image_camera(_info(distortion_model="equidistant", d=[0.0] * 4, k=matrix), SIZE, "image_raw")
    points = _points(camera, np.full(SIZE, 2.0, np.float32))
    np.testing.assert_allclose(points[119, 280, 0], 2 * np.tan(120 / 120), rtol=1e-6)
    pinhole = image_camera(_info(d=[0.0] * 4, k=matrix, p=[0.0] * 12), SIZE, "image_raw")
    assert pinhole.distortion is None


def test_a_fisheye_has_no_point_kilometres_beside_the_camera() -> None:
    info = _info(distortion_model="equidistant", d=[0.0] * 4, k=[95.0, 0, 160, 0, 95.0, 119.0, 0, 0, 1])
    points = _points(image_camera(info, SIZE, "image_raw"), np.ones(SIZE, np.float32))
    assert np.isnan(points[119, 0, 0])  # at 96 degrees
    assert float(np.nanmax(np.abs(points))) < np.tan(np.radians(85.01))


@pytest.mark.parametrize(("fx", "fy"), [(300.0, 1.0), (300.0, 3010.0), (1.0, 300.0)])
def test_a_matrix_half_filled_in_is_no_calibration(fx: float, fy: float) -> None:
    matrix = [fx, 0, 160, 0, fy, 119.0, 0, 0, 1]
    with pytest.raises(CalibrationError, match=rf"fx, fy {fx:g}, {fy:g} in K.*not calibrated"):
        image_camera(_info(k=matrix, p=[0.0] * 12), SIZE, "image_raw")


@pytest.mark.parametrize("region", [(300, 0, 320, 240), (0, 0, 640, 480), (4_000_000_000, 0, 320, 240), (9, 9, 0, 0)])
def test_a_region_that_is_not_on_the_sensor_is_refused(region: tuple[int, int, int, int]) -> None:
    fields = dict(zip(("x_offset", "y_offset", "width", "height"), region, strict=True))
    size = (region[3] or 240, region[2] or 320)
    with pytest.raises(CalibrationError, match=r"region of interest .* reaches beyond its 320 x 240 px"):
        image_camera(_info(roi=SimpleNamespace(**fields)), size, "image_raw")


@pytest.mark.parametrize(
    ("d", "says"),
    [([-1.5, 0, 0, 0, 0], "no ray for 8 of 8"), ([0, 0, 0, 0, 0, -4.0, 0, 0], "no ray for"), ([1e4, 0, 0, 0], "draws")],
)
def test_a_distortion_that_no_such_lens_has_is_said(d: list[float], says: str) -> None:
    assert says in image_camera(_info(d=d), SIZE, "image_raw").notes[0]


def test_pixels_beyond_the_lens_model_have_no_point() -> None:
    wide = _info(d=[-0.9, 0.0, 0.0, 0.0, 0.0], k=[120.0, 0, 160, 0, 120.0, 119.0, 0, 0, 1])
    points = _points(image_camera(wide, SIZE, "image_raw"), np.ones(SIZE, np.float32))
    lost = np.isnan(points[..., 0])
    assert lost[0, 0]
    assert not lost[120, 160]
    np.testing.assert_array_equal(np.isnan(points[..., 2]), lost)


def test_what_is_shown_is_projected_by_the_matrix_of_its_image() -> None:
    raw = shown_camera(_info(), SIZE, "/camera/image_raw")
    rectified = shown_camera(_info(), SIZE, "/camera/image_rect")
    half = shown_camera(_info(), (120, 160), "/camera/image_rect")
    assert raw is not None
    assert rectified is not None
    assert half is not None
    assert (raw.fx, rectified.fx, half.fx) == (300.0, 250.0, 125.0)
    assert (rectified.cx, half.cx) == (161.0, 80.25)
    assert shown_camera(None, SIZE) is None
    assert shown_camera(_info(k=[0.0] * 9, p=[0.0] * 12), SIZE) is None
