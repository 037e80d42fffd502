# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Registration of analytic scenes: planes with known depth, a box before a wall, and the way back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import DistortedCamera, Distortion
from dfd_perception.core.registration import DepthRegistration, RigidTransform, register_image
from dfd_perception.errors import CalibrationError

SOURCE = DistortedCamera(
    intrinsics=CameraIntrinsics(width=160, height=144, fx=126.0, fy=127.0, cx=83.0, cy=70.0),
    distortion=Distortion.from_coefficients([0.05, -0.02, 0.001, -0.0005, 0.0]),
)
ROTATION = cv2.Rodrigues(np.array([0.05, -0.03, 0.02]))[0]
TARGET_FROM_SOURCE = RigidTransform(ROTATION, np.array([0.06, -0.01, 0.02]))


def target_camera(magnification: float) -> DistortedCamera:
    """A camera with another shape, its own distortion, and so many pixels for one of the source."""
    return DistortedCamera(
        intrinsics=CameraIntrinsics(
            width=200, height=120, fx=126 * magnification, fy=124 * magnification, cx=96.0, cy=63.0
        ),
        distortion=Distortion.from_coefficients([-0.1, 0.03, -0.0007, 0.0009, 0.0]),
    )


def plane_depth_m(camera: DistortedCamera, normal: NDArray[np.float64], distance_m: float) -> NDArray[np.float64]:
    """z-depth of the plane normal . p = distance at every pixel, analytically."""
    return distance_m / (camera.ray_map() @ normal)


@pytest.mark.parametrize("magnification", [0.6, 1.2, 3.1])
@pytest.mark.parametrize("slant", [[0.0, 0.0, 1.0], [0.35, -0.2, 1.0]])
def test_plane_keeps_its_depth_and_has_no_holes(magnification: float, slant: list[float]) -> None:
    target = target_camera(magnification)
    normal = np.array(slant) / np.linalg.norm(slant)
    depth_m = plane_depth_m(SOURCE, normal, 1.5)
    registered_m = DepthRegistration(SOURCE, target, TARGET_FROM_SOURCE).register(depth_m)
    normal_target = ROTATION @ normal
    expected_m = plane_depth_m(target, normal_target, 1.5 + float(normal_target @ TARGET_FROM_SOURCE.translation_m))
    covered = np.isfinite(registered_m)
    error_mm = np.abs(registered_m - expected_m)[covered] * 1e3
    assert np.median(error_mm) < 1.0
    assert np.percentile(error_mm, 99) < 8.0  # one-sided averages along the border of what the source saw
    # Every pixel whose surroundings the source sees is filled.
    points = target.ray_map() * expected_m[..., None] - TARGET_FROM_SOURCE.translation_m
    pixels = SOURCE.project(points @ ROTATION)
    inner = (pixels > 2).all(-1) & (pixels[..., 0] < 157) & (pixels[..., 1] < 141)
    assert inner.sum() > 1000
    assert covered[inner].mean() > 0.9999


def test_box_hides_the_wall_and_nothing_is_mixed() -> None:
    target = target_camera(1.2)
    depth_m = np.full(SOURCE.size, 2.0)
    depth_m[50:100, 60:100] = 0.8
    shift = RigidTransform(np.eye(3), np.array([0.1, 0.0, 0.0]))
    registered_m = DepthRegistration(SOURCE, target, shift).register(depth_m)
    values = registered_m[np.isfinite(registered_m)]
    assert np.all((np.abs(values - 0.8) < 1e-4) | (np.abs(values - 2.0) < 1e-4))
    row = registered_m[60]
    box = np.flatnonzero(np.abs(row - 0.8) < 1e-3)
    assert np.all(np.diff(box) == 1), "the wall must not shine through the box"
    # To the left of the box the wall was hidden from the source: the disparity's difference, and no invention.
    shadow = np.isnan(row[box[0] - 30 : box[0]]).sum()
    assert shadow == pytest.approx(126 * 1.2 * 0.1 * (1 / 0.8 - 1 / 2.0), abs=2.5)


def test_nearer_surface_wins_whatever_the_order() -> None:
    depth_m = np.full(SOURCE.size, 2.0)
    depth_m[:, 80:] = 0.8
    flipped = depth_m[:, ::-1].copy()
    plain = DistortedCamera(intrinsics=SOURCE.intrinsics)
    for baseline, scene in ((0.1, flipped), (-0.1, depth_m)):
        shift = RigidTransform(np.eye(3), np.array([baseline, 0.0, 0.0]))
        registered_m = DepthRegistration(plain, plain, shift).register(scene)
        near = np.abs(registered_m[70] - 0.8) < 1e-3
        assert near.sum() > 60
        assert np.all(np.diff(np.flatnonzero(near)) == 1)


def test_no_depth_gives_no_depth() -> None:
    target = target_camera(1.2)
    registration = DepthRegistration(SOURCE, target, TARGET_FROM_SOURCE)
    nothing = np.full(SOURCE.size, np.nan)
    assert np.isnan(registration.register(nothing)).all()
    assert np.isnan(registration.register(np.zeros(SOURCE.size))).all()
    one = nothing.copy()
    one[70, 80] = 1.0
    assert 1 <= np.isfinite(registration.register(one)).sum() <= 4


def test_same_camera_returns_the_same_map() -> None:
    depth_m = np.random.default_rng(0).uniform(1.0, 1.01, SOURCE.size)
    same = DepthRegistration(SOURCE, SOURCE, RigidTransform.identity()).register(depth_m)
    np.testing.assert_allclose(same, depth_m, atol=1e-5)


def test_map_of_another_size_is_refused() -> None:
    registration = DepthRegistration(SOURCE, target_camera(1.0), TARGET_FROM_SOURCE)
    with pytest.raises(CalibrationError, match="144, 160"):
        registration.register(np.ones((10, 10)))


def test_transform_goes_there_and_back() -> None:
    there_and_back = TARGET_FROM_SOURCE.inverse().after(TARGET_FROM_SOURCE)
    np.testing.assert_allclose(there_and_back.rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(there_and_back.translation_m, 0, atol=1e-12)
    with pytest.raises(CalibrationError, match="rotation"):
        RigidTransform(np.diag([1.0, 1.0, -1.0]), np.zeros(3))
    with pytest.raises(CalibrationError, match="rotation"):
        RigidTransform(2 * np.eye(3), np.zeros(3))


def test_image_lands_on_the_surface_that_it_shows() -> None:
    """The image is painted with the wall's own coordinates, so that every registered pixel can be checked."""
    target = target_camera(1.2)
    wall_m, box_m = 2.0, 1.0
    shift = RigidTransform(np.eye(3), np.array([-0.2, 0.0, 0.0]))  # image from target
    depth_m = np.full(target.size, wall_m)
    rays = target.ray_map()
    box = (np.abs(rays[..., 0]) < 0.15) & (np.abs(rays[..., 1]) < 0.2)
    depth_m[box] = box_m
    image_rays = SOURCE.ray_map()
    points = image_rays * wall_m - shift.translation_m
    image = np.clip(128 + 60 * points, 0, 255).astype(np.uint8)
    in_box = image_rays * box_m - shift.translation_m
    image[(np.abs(in_box[..., 0]) < 0.15) & (np.abs(in_box[..., 1]) < 0.2)] = 255
    shown, visible = register_image(image, SOURCE, depth_m, target, shift)
    expected = 128 + 60 * rays * wall_m
    inside = cv2.erode((visible & ~box).astype(np.uint8), np.ones((7, 7))) > 0
    assert inside.mean() > 0.3
    assert np.abs(shown[inside].astype(float) - expected[inside])[:, :2].max() < 2.0
    assert np.median(shown[box & visible]) == 255
    # Right of the box the image's camera sees the box, not the wall: hidden, and not painted with the box.
    hidden = ~visible & ~box
    row = hidden[60, 60:190]
    assert row.sum() == pytest.approx(126 * 1.2 * 0.2 * (1 / box_m - 1 / wall_m), abs=4)
    assert not shown[hidden].any()
