# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Registration: a depth map, or an image, of one camera as another camera would see it.

Every depth pixel is carried into the other camera and lands between four of its pixels. There, the nearest surface
wins (z-buffer), and only depths that belong to it are averaged, by their distance to the pixel: within a surface this
interpolates and closes the gaps that a finer raster opens, across a discontinuity nothing is ever mixed. What the depth
camera did not see stays NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.errors import CalibrationError

SAME_SURFACE = 0.02
"""Depths within 2 % of the nearest one are of its surface: above a time-of-flight camera's noise, below most edges."""

LEAST_COVERAGE = 0.2
"""A pixel whose nearest samples weigh less than this (1 = one sample right on it) is at a silhouette: not measured."""


@dataclass(frozen=True)
class RigidTransform:
    """p_target = rotation p_source + translation_m: maps points of the source's optical frame to the target's.

    rotation: (3, 3); translation_m: (3,) [m].
    """

    rotation: NDArray[np.float64]
    translation_m: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rotation", np.asarray(self.rotation, np.float64).reshape(3, 3))
        object.__setattr__(self, "translation_m", np.asarray(self.translation_m, np.float64).reshape(3))
        residual = np.abs(self.rotation @ self.rotation.T - np.eye(3)).max()
        if not residual < 1e-3 or np.linalg.det(self.rotation) < 0:
            raise CalibrationError(
                f"rotation is not one: R R^T differs from the identity by {residual:.3g}. Expected a right-handed "
                "rotation matrix, rows [r11 r12 r13] ..."
            )

    @classmethod
    def identity(cls) -> RigidTransform:
        """Both frames are the same."""
        return cls(np.eye(3), np.zeros(3))

    def inverse(self) -> RigidTransform:
        """From target to source."""
        return RigidTransform(self.rotation.T, -self.rotation.T @ self.translation_m)

    def after(self, first: RigidTransform) -> RigidTransform:
        """`first`, then this one."""
        return RigidTransform(self.rotation @ first.rotation, self.rotation @ first.translation_m + self.translation_m)


@dataclass(frozen=True)
class _Landing:
    """Where depth samples land in the target: flat cell index on the padded raster, place within the cell, depth."""

    cell: NDArray[np.intp]
    right: NDArray[np.float32]
    down: NDArray[np.float32]
    depth_m: NDArray[np.float32]


class DepthRegistration:
    """Registers depth maps of one camera into another; tables are made once, a map of 640 x 576 then takes 30 to 40 ms.

    Args:
        source: camera of the depth maps.
        target: camera into whose pixels they go.
        target_from_source: carries points from the source's frame to the target's.
    """

    def __init__(self, source: DistortedCamera, target: DistortedCamera, target_from_source: RigidTransform) -> None:
        self.source, self.target, self.target_from_source = source, target, target_from_source
        rays = (source.ray_map() @ target_from_source.rotation.T).astype(np.float32).reshape(-1, 3)
        self._rays = [np.ascontiguousarray(rays[:, axis]) for axis in range(3)]
        self._has_ray = np.isfinite(self._rays[0])
        scale = max(target.intrinsics.fx / source.intrinsics.fx, target.intrinsics.fy / source.intrinsics.fy, 1.0)
        # Up to 1.6 target pixels between samples, 2 x 2 pixels around a sample leave no gap on slanted surfaces either.
        self._reach = 1 if scale <= 1.6 else int(np.ceil(scale / 1.6))
        self._half_width = 1.0 if self._reach == 1 else float(self._reach)

    def register(self, depth_m: NDArray[np.floating]) -> NDArray[np.float32]:
        """z-depth [m] at every pixel of the target.

        Args:
            depth_m: (H, W) z-depth of the source [m]; NaN, 0 or negative where there is none.

        Returns:
            (H', W') float32 [m] of the target's size, NaN where the source saw nothing.

        Raises:
            CalibrationError: the map is not of the source camera's size.
        """
        if depth_m.shape != self.source.size:
            raise CalibrationError(
                f"depth map is {depth_m.shape}, its calibration is of {self.source.size} (height, width) pixels; "
                "use the calibration of this depth mode, or resize the camera"
            )
        landing = self._land(np.asarray(depth_m, np.float32).ravel())
        limit_m = self._nearest_m(landing) * np.float32(1 + SAME_SURFACE)
        registered_m = self._mean_of_nearest_surface(landing, limit_m.ravel())
        _close_gaps(registered_m)
        return registered_m

    @property
    def _padded(self) -> tuple[int, int]:
        """Raster with a margin, so that a sample's neighbours always exist."""
        margin = 2 * self._reach
        return self.target.size[0] + 2 * margin, self.target.size[1] + 2 * margin

    def _land(self, depth_m: NDArray[np.float32]) -> _Landing:
        height, width = self.target.size
        margin = self._reach
        with np.errstate(invalid="ignore"):
            measured = np.flatnonzero((depth_m > 0) & np.isfinite(depth_m) & self._has_ray)
        depth_m = depth_m[measured]
        x, y, z = (
            ray[measured] * depth_m + np.float32(offset)
            for ray, offset in zip(self._rays, self.target_from_source.translation_m, strict=True)
        )
        z[z <= 0] = np.nan  # behind the target
        x /= z
        y /= z
        x, y = self.target.distortion.distort(x, y)
        k = self.target.intrinsics
        column = x * np.float32(k.fx) + np.float32(k.cx)
        row = y * np.float32(k.fy) + np.float32(k.cy)
        with np.errstate(invalid="ignore"):
            inside = np.flatnonzero(
                (column >= -margin) & (column < width - 1 + margin) & (row >= -margin) & (row < height - 1 + margin)
            )
        column, row = column[inside], row[inside]
        left, top = np.floor(column), np.floor(row)
        cell = (top.astype(np.intp) + 2 * margin) * self._padded[1] + left.astype(np.intp) + 2 * margin
        return _Landing(cell, column - left, row - top, z[inside])

    def _nearest_m(self, landing: _Landing) -> NDArray[np.float32]:
        """Depth of the nearest surface over every padded pixel, inf where there is none."""
        millimetres = np.minimum(landing.depth_m * np.float32(1e3), np.float32(65535)).astype(np.uint16)
        far_first = np.argsort(millimetres, kind="stable")[::-1]  # 16 bits: a radix sort
        nearest = np.full(self._padded, np.inf, np.float32)
        nearest.ravel()[landing.cell[far_first]] = landing.depth_m[far_first]  # the last write, the nearest, stays
        size = 2 * self._reach
        # A cell's sample reaches from reach - 1 pixels before the cell to reach pixels after it.
        return cv2.erode(
            nearest,
            np.ones((size, size), np.uint8),
            anchor=(self._reach, self._reach),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=float("inf"),
        )

    def _mean_of_nearest_surface(self, landing: _Landing, limit_m: NDArray[np.float32]) -> NDArray[np.float32]:
        weights, weighted = np.zeros((2, limit_m.size), np.float32)
        for dy in range(1 - self._reach, self._reach + 1):
            across_y = 1 - np.abs(landing.down - np.float32(dy)) / np.float32(self._half_width)
            for dx in range(1 - self._reach, self._reach + 1):
                index = landing.cell + (dy * self._padded[1] + dx)
                weight = across_y * (1 - np.abs(landing.right - np.float32(dx)) / np.float32(self._half_width))
                weight *= landing.depth_m <= limit_m[index]
                # add.at is quick since NumPy 1.25: half the time of bincount, which counts in 64 bits.
                np.add.at(weights, index, weight)
                np.add.at(weighted, index, weight * landing.depth_m)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(weights >= LEAST_COVERAGE, weighted / weights, np.float32(np.nan))
        margin = 2 * self._reach
        return np.ascontiguousarray(mean.reshape(self._padded)[margin:-margin, margin:-margin])


def _close_gaps(depth_m: NDArray[np.float32]) -> None:
    """Fill, in place, pixels between two of one surface to the left and right, or above and below.

    Where a surface turns towards the target, samples land more than two pixels apart here and there. A hole that the
    sensor had, or the shadow of a nearer object, is wider or has different depths on its sides, and stays.
    """
    width = depth_m.shape[1]
    flat = depth_m.ravel()
    for step, inner in ((1, np.s_[:, 1:-1]), (width, np.s_[1:-1, :])):
        known = np.isfinite(depth_m)
        before, after = (known[:, :-2], known[:, 2:]) if step == 1 else (known[:-2], known[2:])
        gap = np.zeros_like(known)
        gap[inner] = before & after & ~known[inner]
        holes = np.flatnonzero(gap)
        first, second = flat[holes - step], flat[holes + step]
        same = np.abs(first - second) <= SAME_SURFACE * np.minimum(first, second)
        flat[holes[same]] = (first[same] + second[same]) / 2


def register_image(
    image: NDArray[np.uint8],
    image_camera: DistortedCamera,
    target_depth_m: NDArray[np.floating],
    target: DistortedCamera,
    image_from_target: RigidTransform,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """An image of one camera as another camera, whose depth is known, would see it.

    Args:
        image: (H, W, 3) or (H, W) uint8 of `image_camera`.
        image_camera: the camera that took it.
        target_depth_m: (H', W') z-depth of the target [m], NaN where there is none.
        target: the camera into whose pixels it goes.
        image_from_target: carries points from the target's frame to the image's.

    Returns:
        The image, (H', W'[, 3]) uint8, and a (H', W') mask: True where it shows the very surface. Where it is False
        (no depth, outside the image, hidden from its camera by something nearer) the image is 0.

    Raises:
        CalibrationError: a size does not fit its camera.
    """
    if image.shape[:2] != image_camera.size or target_depth_m.shape != target.size:
        raise CalibrationError(
            f"image {image.shape[:2]} and depth {target_depth_m.shape} do not fit their cameras "
            f"{image_camera.size} and {target.size} (height, width)"
        )
    depth_m = np.asarray(target_depth_m, np.float64)
    points = target.ray_map() * np.where(depth_m > 0, depth_m, np.nan)[..., None]
    points = points @ image_from_target.rotation.T + image_from_target.translation_m
    pixels = image_camera.project(points).astype(np.float32)
    seen = DepthRegistration(target, image_camera, image_from_target).register(depth_m)
    # What the image's camera sees there: the nearest depth around the pixel, since a hidden point lies behind it.
    seen_m = cv2.remap(
        np.nan_to_num(seen, nan=np.inf), pixels[..., 0], pixels[..., 1], cv2.INTER_NEAREST, borderValue=-np.inf
    )
    with np.errstate(invalid="ignore"):
        visible = points[..., 2] <= seen_m * (1 + SAME_SURFACE)
    shown = cv2.remap(image, pixels[..., 0], pixels[..., 1], cv2.INTER_LINEAR)
    shown[~visible] = 0
    return shown, visible
