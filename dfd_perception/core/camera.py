# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Pinhole intrinsics of one stored image: what happens to them when it is resized or cropped.

Pixel (0, 0) is the centre of the first pixel, as in ROS and OpenCV; the image spans -0.5 to width - 0.5.
Distortion is not here: these numbers describe a rectified image, or the pinhole part of a distorted one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError


@dataclass(frozen=True, kw_only=True)
class CameraIntrinsics:
    """Size [px] of an image, its focal lengths [px] and principal point [px]."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise CalibrationError(f"camera is {self.width} x {self.height} px; both must be at least 1")
        if not (np.isfinite([self.fx, self.fy]).all() and self.fx > 0 and self.fy > 0):
            raise CalibrationError(f"fx, fy are {self.fx}, {self.fy}; they must be positive numbers [px]")
        if not np.isfinite([self.cx, self.cy]).all():
            raise CalibrationError(f"cx, cy are {self.cx}, {self.cy}; they must be finite numbers [px]")

    @classmethod
    def centred(cls, size: Size, fx_px: float) -> CameraIntrinsics:
        """The camera of which only the focal length is known: square pixels, the axis through the middle."""
        height, width = size
        return cls(width=width, height=height, fx=fx_px, fy=fx_px, cx=(width - 1) / 2, cy=(height - 1) / 2)

    @classmethod
    def from_matrix(cls, matrix_3x3: NDArray[np.floating], width: int, height: int) -> CameraIntrinsics:
        """From K [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] (flat row-major K of camera_info, or 3 x 3)."""
        k = np.asarray(matrix_3x3, np.float64).reshape(3, 3)
        return cls(
            width=width,
            height=height,
            fx=float(k[0, 0]),
            fy=float(k[1, 1]),
            cx=float(k[0, 2]),
            cy=float(k[1, 2]),
        )

    def matrix(self) -> NDArray[np.float64]:
        """K, (3, 3) float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def scaled(self, factor: float | None = None, size: Size | None = None) -> CameraIntrinsics:
        """The camera of the resized image.

        Args:
            factor: the same for both axes; the new size is rounded. Give this or `size`.
            size: new (height, width); each axis has its own factor.

        The outer borders of the image stay where they are (cv2.resize), hence the half pixels:
        cx' = (cx + 0.5) s - 0.5.

        >>> camera = CameraIntrinsics(width=640, height=480, fx=500, fy=510, cx=319.5, cy=239.5)
        >>> camera.scaled(0.5).cx
        159.5
        """
        if size is not None and factor is None:
            height, width = size
        elif factor is not None and size is None:
            height, width = max(1, round(self.height * factor)), max(1, round(self.width * factor))
        else:
            raise CalibrationError("scaled() takes a factor or a (height, width), exactly one of them")
        scale_x, scale_y = width / self.width, height / self.height
        return CameraIntrinsics(
            width=width,
            height=height,
            fx=self.fx * scale_x,
            fy=self.fy * scale_y,
            cx=(self.cx + 0.5) * scale_x - 0.5,
            cy=(self.cy + 0.5) * scale_y - 0.5,
        )

    def cropped(self, x: int, y: int, w: int, h: int) -> CameraIntrinsics:
        """The camera of the window whose upper left pixel is (x, y): the principal point moves with it."""
        if w < 1 or h < 1 or x < 0 or y < 0 or x + w > self.width or y + h > self.height:
            raise CalibrationError(
                f"crop {w} x {h} at ({x}, {y}) does not lie within the image of {self.width} x {self.height}"
            )
        return CameraIntrinsics(width=w, height=h, fx=self.fx, fy=self.fy, cx=self.cx - x, cy=self.cy - y)
