# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Lens distortion: Brown-Conrady with a rational radial part, as in OpenCV (`rational_polynomial`) and Azure Kinect.

With r^2 = x^2 + y^2 of the undistorted point (x, y) on the plane z = 1,

    radial = (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6)
    x_d = x radial + 2 p1 x y + p2 (r^2 + 2 x^2)
    y_d = y radial + 2 p2 x y + p1 (r^2 + 2 y^2)

The polynomial is a fit inside the image; farther out it folds back, so that points outside the field of view land
inside the image. Every function here is NaN beyond the radius where that begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError

FloatArray = NDArray[np.floating]

PLUMB_BOB_TERMS = 5
RATIONAL_TERMS = 8
EQUIDISTANT_TERMS = 4
NEWTON_STEPS = 20
LARGEST_ANGLE_RAD = np.radians(85)
"""Of a ray of a fisheye to its axis. At 85 degrees a tenth of a degree moves a point by 2 %; at 90 it is infinitely
far, and one step before it kilometres beside the robot."""
CONVERGED = 1e-10
"""Largest residual of an undistorted point, on the plane z = 1: far below a millionth of a pixel."""


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """Coefficients without unit, and the radius on the plane z = 1 within which they were fitted (inf: not known)."""

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    k5: float = 0.0
    k6: float = 0.0
    fitted_radius: float = np.inf

    @classmethod
    def from_coefficients(cls, coefficients: ArrayLike, fitted_radius: float = np.inf) -> Distortion:
        """From OpenCV's and camera_info's order k1 k2 p1 p2 [k3 [k4 k5 k6]]; empty is none.

        Raises:
            CalibrationError: another number of terms, or thin-prism and tilt terms that are not zero.
        """
        values = np.asarray(coefficients, np.float64).ravel()
        if values.size > RATIONAL_TERMS and np.any(values[RATIONAL_TERMS:]):
            raise CalibrationError(
                f"distortion has {values.size} terms, thin-prism or tilt among them; "
                "expected plumb_bob (5) or rational_polynomial (8). Calibrate with one of these models"
            )
        values = values[:RATIONAL_TERMS]
        if values.size not in (0, 4, PLUMB_BOB_TERMS, RATIONAL_TERMS) or not np.isfinite(values).all():
            raise CalibrationError(
                f"distortion is {values.tolist()}; expected 0, 4, 5 or 8 finite numbers k1 k2 p1 p2 k3 k4 k5 k6"
            )
        names = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
        return cls(fitted_radius=fitted_radius, **dict(zip(names, values.tolist(), strict=False)))

    def coefficients(self) -> NDArray[np.float64]:
        """k1 k2 p1 p2 k3 k4 k5 k6, (8,) float64: what OpenCV takes."""
        return np.array([self.k1, self.k2, self.p1, self.p2, self.k3, self.k4, self.k5, self.k6], np.float64)

    @property
    def is_none(self) -> bool:
        """No distortion at all."""
        return not self.coefficients().any()

    @cached_property
    def largest_radius(self) -> float:
        """Radius on the plane z = 1 up to which the model is one to one (and was fitted)."""
        if self.is_none:
            return float(self.fitted_radius)
        radius = np.linspace(0.0, min(10.0, self.fitted_radius), 4001)
        # A pole of the rational part ends the model as a fold does.
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.diff(radius * self._radial(radius**2))
        folds = np.flatnonzero(~((growth > 0) & np.isfinite(growth)))
        return float(radius[folds[0]]) if folds.size else float(self.fitted_radius)

    def _radial(self, r2: FloatArray) -> FloatArray:
        return (1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))) / (
            1 + r2 * (self.k4 + r2 * (self.k5 + r2 * self.k6))
        )

    def distort(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distorted point of an undistorted one, both on the plane z = 1; shape and dtype kept.

        NaN beyond `largest_radius`.
        """
        if self.is_none and np.isinf(self.fitted_radius):
            return x, y
        r2 = x * x + y * y
        radial = self._radial(r2)
        if np.isfinite(self.largest_radius):
            radial = np.where(r2 > self.largest_radius**2, radial.dtype.type(np.nan), radial)
        xy2 = 2 * x * y
        x_d = x * radial + self.p1 * xy2 + self.p2 * (r2 + 2 * x * x)
        y_d = y * radial + self.p2 * xy2 + self.p1 * (r2 + 2 * y * y)
        return x_d, y_d

    def undistort(self, x_d: FloatArray, y_d: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Undistorted point of a distorted one by Newton's method; any shape, float64.

        NaN where no point within `largest_radius` distorts to it.
        """
        x_d, y_d = np.asarray(x_d, np.float64), np.asarray(y_d, np.float64)
        x, y = x_d, y_d
        for _ in range(NEWTON_STEPS):
            residual_x, residual_y, (j_xx, j_xy, j_yy) = self._residual(x, y, x_d, y_d)
            if max(np.abs(residual_x).max(initial=0), np.abs(residual_y).max(initial=0)) < CONVERGED:
                break
            determinant = j_xx * j_yy - j_xy * j_xy
            determinant = np.where(np.abs(determinant) < 1e-9, 1e-9, determinant)
            # A step longer than the field itself has overshot a fold: shorten it instead of leaving for ever.
            x = x - np.clip((j_yy * residual_x - j_xy * residual_y) / determinant, -0.5, 0.5)
            y = y - np.clip((j_xx * residual_y - j_xy * residual_x) / determinant, -0.5, 0.5)
        residual_x, residual_y, _ = self._residual(x, y, x_d, y_d)
        lost = (np.hypot(residual_x, residual_y) > 10 * CONVERGED) | (np.hypot(x, y) > self.largest_radius)
        return np.where(lost, np.nan, x), np.where(lost, np.nan, y)

    def _residual(
        self, x: FloatArray, y: FloatArray, x_d: FloatArray, y_d: FloatArray
    ) -> tuple[FloatArray, FloatArray, tuple[FloatArray, FloatArray, FloatArray]]:
        """Model minus wanted, and the Jacobian's three distinct entries (it is symmetric)."""
        r2 = x * x + y * y
        above = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        below = 1 + r2 * (self.k4 + r2 * (self.k5 + r2 * self.k6))
        radial = above / below
        above_slope = self.k1 + r2 * (2 * self.k2 + 3 * r2 * self.k3)
        below_slope = self.k4 + r2 * (2 * self.k5 + 3 * r2 * self.k6)
        slope = (above_slope - radial * below_slope) / below
        residual_x = x * radial + 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x) - x_d
        residual_y = y * radial + 2 * self.p2 * x * y + self.p1 * (r2 + 2 * y * y) - y_d
        j_xx = radial + 2 * x * x * slope + 2 * self.p1 * y + 6 * self.p2 * x
        j_yy = radial + 2 * y * y * slope + 2 * self.p2 * x + 6 * self.p1 * y
        j_xy = 2 * x * y * slope + 2 * self.p1 * x + 2 * self.p2 * y
        return residual_x, residual_y, (j_xx, j_xy, j_yy)


@dataclass(frozen=True, kw_only=True)
class EquidistantDistortion:
    """A fisheye lens (`equidistant` of camera_info, cv2.fisheye): the angle to the axis grows with the radius.

    With theta the angle of a ray to the axis, its image lies at theta_d = theta (1 + k1 theta^2 + k2 theta^4 +
    k3 theta^6 + k4 theta^8) from the principal point (Kannala and Brandt 2006).
    """

    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0

    @classmethod
    def from_coefficients(cls, coefficients: ArrayLike) -> EquidistantDistortion:
        """From camera_info's k1 k2 k3 k4.

        Raises:
            CalibrationError: another number of terms.
        """
        values = np.asarray(coefficients, np.float64).ravel()
        if values.size != EQUIDISTANT_TERMS or not np.isfinite(values).all():
            raise CalibrationError(
                f"equidistant distortion is {values.tolist()}; expected 4 finite numbers k1 k2 k3 k4"
            )
        return cls(**dict(zip(("k1", "k2", "k3", "k4"), values.tolist(), strict=True)))

    def undistort(self, x_d: FloatArray, y_d: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Point on the plane z = 1 of a distorted one; any shape, float64. NaN beyond LARGEST_ANGLE_RAD to the axis."""
        x: NDArray[np.float64] = np.asarray(x_d, np.float64)
        y: NDArray[np.float64] = np.asarray(y_d, np.float64)
        radius = np.hypot(x, y)
        theta = np.minimum(radius, np.pi / 2)
        for _ in range(NEWTON_STEPS):
            t2 = theta * theta
            residual = theta * (1 + t2 * (self.k1 + t2 * (self.k2 + t2 * (self.k3 + t2 * self.k4)))) - radius
            if np.abs(residual).max(initial=0) < CONVERGED:
                break
            slope = 1 + t2 * (3 * self.k1 + t2 * (5 * self.k2 + t2 * (7 * self.k3 + t2 * 9 * self.k4)))
            theta = np.clip(theta - residual / np.where(np.abs(slope) < 1e-6, 1e-6, slope), 0, np.pi)
        lost = (np.abs(residual) > 10 * CONVERGED) | (theta > LARGEST_ANGLE_RAD)
        scale = np.where(radius < 1e-12, 1.0, np.tan(theta) / np.where(radius < 1e-12, 1.0, radius))
        scale = np.where(lost, np.nan, scale)
        return x * scale, y * scale


@dataclass(frozen=True, kw_only=True)
class DistortedCamera:
    """A camera as it takes its images: pinhole and distortion. Points are in its optical frame, metres, z forward."""

    intrinsics: CameraIntrinsics
    distortion: Distortion = field(default_factory=Distortion)

    @property
    def size(self) -> Size:
        """(height, width) of its images [px]."""
        return self.intrinsics.height, self.intrinsics.width

    def project(self, points_m: FloatArray) -> FloatArray:
        """Pixels (..., 2), x right, y down, of points (..., 3) [m]; NaN behind the camera or beyond the model."""
        z = np.where(points_m[..., 2] > 0, points_m[..., 2], np.nan)
        x, y = self.distortion.distort(points_m[..., 0] / z, points_m[..., 1] / z)
        k = self.intrinsics
        return np.stack([x * k.fx + k.cx, y * k.fy + k.cy], axis=-1)

    def rays(self, pixels_px: FloatArray) -> NDArray[np.float64]:
        """Direction (..., 3) with z = 1 through pixels (..., 2); NaN where the model has none."""
        k = self.intrinsics
        x, y = self.distortion.undistort((pixels_px[..., 0] - k.cx) / k.fx, (pixels_px[..., 1] - k.cy) / k.fy)
        return np.stack([x, y, np.where(np.isnan(x), np.nan, 1.0)], axis=-1)

    def ray_map(self) -> NDArray[np.float64]:
        """(H, W, 3): the ray of every pixel, see `rays`."""
        columns, rows = np.meshgrid(*(np.arange(length, dtype=np.float64) for length in self.size[::-1]))
        return self.rays(np.stack([columns, rows], axis=-1))
