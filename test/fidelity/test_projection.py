# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Points and camera_info by the formulas of image_pipeline, and through a lens by OpenCV's own projection."""

from __future__ import annotations

import cv2
import numpy as np

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.point_cloud import PointCloudBuilder

SIZE = (48, 64)


def test_points_project_back_onto_their_pixels():
    camera = CameraIntrinsics(fx=61.0, fy=59.0, cx=30.5, cy=25.25, width=SIZE[1], height=SIZE[0])
    depth = np.random.default_rng(0).uniform(0.5, 4, SIZE).astype(np.float32)
    points = PointCloudBuilder(camera).points(depth, None)[..., :3].astype(np.float64)
    matrix = np.array([[61.0, 0, 30.5], [0, 59.0, 25.25], [0, 0, 1]])
    pixels, _ = cv2.projectPoints(points.reshape(-1, 3), np.zeros(3), np.zeros(3), matrix, None)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    np.testing.assert_allclose(pixels.reshape(*SIZE, 2), np.stack([x, y], axis=-1), atol=1e-3)
    np.testing.assert_allclose(points[..., 2], depth, rtol=1e-6)


def test_points_are_those_of_depth_image_proc():
    """x = (u - cx) z / fx, as its depth_conversions.hpp computes it in float."""
    camera = CameraIntrinsics(fx=61.0, fy=59.0, cx=30.5, cy=25.25, width=SIZE[1], height=SIZE[0])
    depth = np.random.default_rng(1).uniform(0.5, 4, SIZE).astype(np.float32)
    points = PointCloudBuilder(camera).points(depth, None)
    for v, u in ((0, 0), (47, 63), (20, 31)):
        expected = [(u - 30.5) * depth[v, u] / 61.0, (v - 25.25) * depth[v, u] / 59.0, depth[v, u]]
        np.testing.assert_allclose(points[v, u, :3], expected, rtol=1e-5)
