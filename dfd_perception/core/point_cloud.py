# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth and colour as an organised point cloud: one point a pixel, rows and columns kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import Distortion, EquidistantDistortion
from dfd_perception.errors import ImageError

POINT_STEP_BYTES = 16
BLOCK_ROWS = 64


class PointCloudBuilder:
    """Points of one camera; its rays are computed once.

    Without distortion x = (u - cx) z / fx and y = (v - cy) z / fy, as depth_image_proc and image_geometry have it.

    Args:
        camera: pinhole part.
        distortion: what the rays of a raw image are freed of.
    """

    def __init__(self, camera: CameraIntrinsics, distortion: Distortion | EquidistantDistortion | None = None) -> None:
        self.camera, self.distortion = camera, distortion
        x: NDArray[np.float64] = (np.arange(camera.width, dtype=np.float64) - camera.cx) / camera.fx
        y: NDArray[np.float64] = (np.arange(camera.height, dtype=np.float64) - camera.cy) / camera.fy
        self._x, self._y = x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]
        self._without_ray: NDArray[np.bool_] | None = None
        if distortion is not None:
            self._x, self._y = _undistorted(distortion, x, y)
            without_ray = np.isnan(self._x)
            self._without_ray = without_ray if without_ray.any() else None

    def points(self, depth_m: NDArray[np.float32], image_rgb: NDArray[np.uint8] | None) -> NDArray[np.float32]:
        """(H, W, 4) float32: x, y, z [m] in the optical frame (x right, y down, z forward), and packed colour.

        Args:
            depth_m: (H, W) z-depth; NaN, or a pixel beyond the lens model, gives a point of NaN.
            image_rgb: (H, W, 3) colours, or None for mid grey.

        The fourth number is not a number: its bits are 0x00RRGGBB, as RViz and PCL read field `rgb`.

        Raises:
            ImageError: sizes other than the camera's.
        """
        size = (self.camera.height, self.camera.width)
        if depth_m.shape != size or (image_rgb is not None and image_rgb.shape[:2] != size):
            raise ImageError(f"depth is {depth_m.shape}, camera {size} (height, width); they must be alike")
        points = np.empty((*size, 4), np.float32)
        np.multiply(self._x, depth_m, out=points[..., 0])
        np.multiply(self._y, depth_m, out=points[..., 1])
        points[..., 2] = depth_m
        if self._without_ray is not None:
            points[self._without_ray, 2] = np.nan
        colours = points.view(np.uint8).reshape(*size, POINT_STEP_BYTES)[..., 12:]
        # Little-endian 0x00RRGGBB: blue comes first.
        colours[..., :3] = 128 if image_rgb is None else image_rgb[..., ::-1]
        colours[..., 3] = 0
        return points


def _undistorted(
    distortion: Distortion | EquidistantDistortion, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rays (H, W) of the columns x and rows y of an image, by blocks of rows: each needs memory of many maps."""
    rays = np.empty((2, y.size, x.size), np.float32)
    for start in range(0, y.size, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        rays[0, rows], rays[1, rows] = distortion.undistort(*np.meshgrid(x, y[rows]))
    return rays[0], rays[1]
