"""Depth and colour as an organised point cloud: one point a pixel, rows and columns kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.errors import ImageError

POINT_STEP_BYTES = 16


class PointCloudBuilder:
    """Points of one camera; its rays are computed once."""

    def __init__(self, camera: CameraIntrinsics) -> None:
        self.camera = camera
        self._x = ((np.arange(camera.width) - camera.cx) / camera.fx).astype(np.float32)[None, :]
        self._y = ((np.arange(camera.height) - camera.cy) / camera.fy).astype(np.float32)[:, None]

    def points(self, depth_m: NDArray[np.float32], image_rgb: NDArray[np.uint8] | None) -> NDArray[np.float32]:
        """(H, W, 4) float32: x, y, z [m] in the optical frame (x right, y down, z forward), and packed colour.

        Args:
            depth_m: (H, W) z-depth; NaN gives a point of NaN.
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
        colours = points.view(np.uint8).reshape(*size, POINT_STEP_BYTES)[..., 12:]
        # Little-endian 0x00RRGGBB: blue comes first.
        colours[..., :3] = 128 if image_rgb is None else image_rgb[..., ::-1]
        colours[..., 3] = 0
        return points
