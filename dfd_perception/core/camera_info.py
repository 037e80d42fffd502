# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The camera of an image, out of sensor_msgs/CameraInfo: K and distortion for raw images, P for rectified ones.

Works on any object with the message's fields, of rclpy or of a bag. Following REP 104 and sensor_msgs/CameraInfo:
K and D describe the raw image, P the rectified one, both at the sensor's full size (`camera_window` has what follows).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.camera_window import CameraInfoLike, is_in_the_middle, reduced, stated_size
from dfd_perception.core.distortion import DistortedCamera, Distortion, EquidistantDistortion
from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError

CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"

Rectified = Literal["auto", "true", "false"]
RECTIFIED_CHOICES: tuple[Rectified, ...] = ("auto", "true", "false")

BROWN_CONRADY = ("", "plumb_bob", "rational_polynomial")
EQUIDISTANT = ("equidistant", "fisheye")
RECTIFIED_TOPIC = re.compile(r"(?:^|[/_])rect", re.IGNORECASE)
"""image_rect, image_rect_color, rectified/image; not direct/image."""
FX_OVER_WIDTH = (0.05, 200.0)
"""Fields of view from a fisheye's to a telescope's; K of an uncalibrated driver (zeros, identity) lies outside."""
FX_OVER_FY = (0.25, 4.0)
"""Anamorphic lenses and binning of one side alone; a matrix half filled in lies outside."""
LEAST_RADIUS = 0.3
"""Of a ray at the border over that of a pinhole. Lenses that pull the border in so far are fisheyes, which a polynomial
of this kind does not describe: D is of another image, or of another order."""


@dataclass(frozen=True, kw_only=True)
class ImageCamera:
    """The camera of an image as it arrives.

    intrinsics: pinhole part, of K (raw) or P (rectified).
    distortion: what rays have to be freed of; None for rectified images and lenses without any.
    rectified: the image is taken as rectified.
    notes: what a user should be told, one line each.
    """

    intrinsics: CameraIntrinsics
    distortion: Distortion | EquidistantDistortion | None = None
    rectified: bool = False
    notes: tuple[str, ...] = ()

    def scaled(self, size: Size) -> ImageCamera:
        """The camera of the image resized to (height, width)."""
        return replace(self, intrinsics=self.intrinsics.scaled(size=size))

    def described(self) -> str:
        """How the image is understood, in one line."""
        fx = f"fx {self.intrinsics.fx:.1f} px"
        if self.rectified:
            return f"camera: the image is taken as rectified: {fx} of P, points by P"
        if self.distortion is None:
            return f"camera: the image is taken as raw, without distortion: {fx} of K, points by K"
        return (
            f"camera: the image is taken as raw: {fx} of K, points along rays freed of the distortion; a reader that "
            "projects by P needs the rectified image (camera.rectified)"
        )


def camera_of(info: CameraInfoLike, image_size: Size) -> CameraIntrinsics:
    """Intrinsics of a raw image of (height, width): K, cropped by the region of interest, then binned.

    Raises:
        CalibrationError: not calibrated, not finite, or of another image size.
    """
    k = _matrix(info.k, 3)
    if _calibrated(k, info.width) is None:
        raise CalibrationError(
            f"camera_info has fx {k[0, 0]:g}, fy {k[1, 1]:g}, cx {k[0, 2]:g}, cy {k[1, 2]:g}; not calibrated"
        )
    return reduced(info, k, image_size).intrinsics


def distorted_camera_of(info: CameraInfoLike, image_size: Size | None = None) -> DistortedCamera:
    """The camera that took the (not rectified) image of a camera_info, for a Brown-Conrady lens.

    Args:
        image_size: (height, width) of the image, which must be the camera_info's; None to trust the latter.

    Raises:
        CalibrationError: not calibrated, of a model that is not Brown-Conrady, or of another size.
    """
    if info.distortion_model not in BROWN_CONRADY:
        raise CalibrationError(
            f"distortion_model is {info.distortion_model!r}; expected plumb_bob or rational_polynomial. Calibrate "
            "with one of them, or record rectified images"
        )
    intrinsics = camera_of(info, image_size or stated_size(info))
    return DistortedCamera(intrinsics=intrinsics, distortion=Distortion.from_coefficients(list(info.d)))


def image_camera(info: CameraInfoLike, image_size: Size, topic: str = "", rectified: Rectified = "auto") -> ImageCamera:
    """The camera of an image, raw or rectified.

    Args:
        info: camera_info of the image.
        image_size: (height, width) of the image.
        topic: resolved name of the image's topic; for "auto".
        rectified: "true" and "false" say it; "auto" takes an image as rectified whose topic says so (image_rect), or
            whose camera has no distortion or no K, but a P.

    Raises:
        CalibrationError: not calibrated, of another size, or of a lens model that is not known.
    """
    k, p = (_calibrated(matrix, info.width) for matrix in (_matrix(info.k, 3), _matrix(info.p, 4)))
    coefficients = np.asarray(info.d, np.float64)
    # A fisheye whose four coefficients are 0 is the ideal one, no pinhole.
    undistorted = not coefficients.any() and not (info.distortion_model in EQUIDISTANT and coefficients.size)
    notes: list[str] = []
    by_name = bool(RECTIFIED_TOPIC.search(topic))
    is_rectified = rectified == "true" or (rectified == "auto" and (by_name or (p is not None and undistorted)))
    if rectified == "auto" and not by_name and k is not None and not is_in_the_middle(k, (info.height, info.width)):
        # K and P of an undistorted camera are one. Where they are not, K is what was measured, and it says so below.
        is_rectified = False
    if rectified == "auto" and k is None and p is not None and not is_rectified:
        is_rectified = True
        notes.append("camera_info has a P and no K: the image is taken as rectified (camera.rectified says otherwise)")
    if is_rectified:
        if p is None and not undistorted:
            raise CalibrationError(
                f"the image is rectified ({topic if rectified == 'auto' else 'camera.rectified'}), but camera_info has "
                "no P; publish camera_info with P, or set camera.rectified to false if the image is raw"
            )
        matrix = k if p is None else p
    else:
        matrix = k
    if matrix is None:
        (k_fx, k_fy), (p_fx, p_fy) = (np.diag(_matrix(*m))[:2] for m in ((info.k, 3), (info.p, 4)))
        raise CalibrationError(
            f"camera_info has fx, fy {k_fx:g}, {k_fy:g} in K and {p_fx:g}, {p_fy:g} in P for {info.width} px; "
            "not calibrated"
        )
    window = reduced(info, matrix, image_size)
    distortion = None if is_rectified or undistorted else _distortion(info.distortion_model, coefficients)
    if isinstance(distortion, EquidistantDistortion):
        notes.append(
            "fisheye lens (equidistant): points are right everywhere; blur is turned into depth by fx of the middle, "
            "which holds less and less away from it. Rectified images do not have this error"
        )
    elif distortion is not None:
        notes += _border_notes(window.intrinsics, distortion)
    return ImageCamera(
        intrinsics=window.intrinsics, distortion=distortion, rectified=is_rectified, notes=(*notes, *window.notes)
    )


def shown_camera(info: CameraInfoLike | None, image_size: Size, topic: str = "") -> CameraIntrinsics | None:
    """Intrinsics to project an image or a map by that may be smaller than what camera_info describes; None: unknown.

    Args:
        info: camera_info, of the image or of the depth map that was computed from it.
        image_size: (height, width) of what is shown.
        topic: resolved name of the image's topic, see `image_camera`.
    """
    try:
        camera = None if info is None else image_camera(info, stated_size(info), topic)
    except CalibrationError:
        return None
    return None if camera is None else camera.scaled(image_size).intrinsics


def _matrix(values: Any, columns: int) -> NDArray[np.float64]:
    """The left 3 x 3 of a flat row-major matrix; of zeros where it has another size."""
    flat = np.asarray(values, np.float64).ravel()
    return flat.reshape(3, columns)[:, :3] if flat.size == 3 * columns else np.zeros((3, 3))


def _calibrated(matrix: NDArray[np.float64], width: int) -> NDArray[np.float64] | None:
    """The matrix, or None of one that no calibration gives."""
    if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        return None
    plausible = width <= 0 or FX_OVER_WIDTH[0] <= matrix[0, 0] / width <= FX_OVER_WIDTH[1]
    return matrix if plausible and FX_OVER_FY[0] <= matrix[0, 0] / matrix[1, 1] <= FX_OVER_FY[1] else None


def _distortion(model: str, coefficients: NDArray[np.float64]) -> Distortion | EquidistantDistortion:
    if model in EQUIDISTANT:
        return EquidistantDistortion.from_coefficients(coefficients)
    if model not in BROWN_CONRADY:
        raise CalibrationError(
            f"distortion_model is {model!r}; expected plumb_bob, rational_polynomial or equidistant. Calibrate with "
            "one of them, or use rectified images (camera.rectified)"
        )
    return Distortion.from_coefficients(coefficients)


@lru_cache(maxsize=8)
def _border_notes(intrinsics: CameraIntrinsics, distortion: Distortion) -> tuple[str, ...]:
    """What to say where the lens model fails inside the image: tried at the corners and in the middle of each side."""
    columns, rows = (np.array([0.0, (side - 1) / 2, side - 1.0]) for side in (intrinsics.width, intrinsics.height))
    x, y = np.meshgrid((columns - intrinsics.cx) / intrinsics.fx, (rows - intrinsics.cy) / intrinsics.fy)
    ray_x, ray_y = distortion.undistort(x, y)
    border = np.arange(9) != 4
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = (np.hypot(ray_x, ray_y) / np.hypot(x, y)).ravel()[border]
    lost = int(np.isnan(growth).sum())
    if lost:
        return (
            f"the distortion of camera_info has no ray for {lost} of 8 pixels tried around the border: such pixels "
            "have depth and no point. Is D that of this image?",
        )
    if growth.min() < LEAST_RADIUS:
        return (
            f"the distortion of camera_info draws the border to {growth.min():.0%} of its distance from the middle, "
            "which no such lens does. Is D that of this image?",
        )
    return ()
