# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The camera of an image, out of sensor_msgs/CameraInfo: K and distortion for raw images, P for rectified ones.

Works on any object with the message's fields, of rclpy or of a bag. Following REP 104 and sensor_msgs/CameraInfo:
K and D describe the raw image, P the rectified one, both at the sensor's full size; the region of interest cuts, then
binning reduces. A bin of b pixels has its centre between them: c' = (c - offset + 1/2) / b - 1/2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import DistortedCamera, Distortion, EquidistantDistortion
from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError

Rectified = Literal["auto", "true", "false"]
RECTIFIED_CHOICES: tuple[Rectified, ...] = ("auto", "true", "false")

BROWN_CONRADY = ("", "plumb_bob", "rational_polynomial")
EQUIDISTANT = ("equidistant", "fisheye")
RECTIFIED_TOPIC = re.compile(r"(?:^|[/_])rect", re.IGNORECASE)
"""image_rect, image_rect_color, rectified/image; not direct/image."""
MIDDLE = (0.25, 0.75)
"""Where a principal point lies, as fractions of width and height; lens shift and stereo rectification included."""
FX_OVER_WIDTH = (0.05, 200.0)
"""Fields of view from a fisheye's to a telescope's; K of an uncalibrated driver (zeros, identity) lies outside."""


class CameraInfoLike(Protocol):
    """The fields of sensor_msgs/CameraInfo that matter here."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def distortion_model(self) -> str: ...
    @property
    def d(self) -> Any: ...
    @property
    def k(self) -> Any: ...
    @property
    def p(self) -> Any: ...
    @property
    def binning_x(self) -> int: ...
    @property
    def binning_y(self) -> int: ...
    @property
    def roi(self) -> Any: ...


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
    return _reduced(info, k, image_size).intrinsics


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


def image_camera(
    info: CameraInfoLike, image_size: Size, topic: str = "", rectified: Rectified = "auto"
) -> ImageCamera:
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
    undistorted = not coefficients.any()
    notes: list[str] = []
    by_name = bool(RECTIFIED_TOPIC.search(topic))
    is_rectified = rectified == "true" or (rectified == "auto" and (by_name or (p is not None and undistorted)))
    if rectified == "auto" and not by_name and k is not None and not _is_in_the_middle(k, (info.height, info.width)):
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
        raise CalibrationError(
            f"camera_info has fx {_matrix(info.k, 3)[0, 0]:g} in K and {_matrix(info.p, 4)[0, 0]:g} in P for "
            f"{info.width} px; not calibrated"
        )
    reduced = _reduced(info, matrix, image_size)
    distortion = None if is_rectified or undistorted else _distortion(info.distortion_model, coefficients)
    if isinstance(distortion, EquidistantDistortion):
        notes.append(
            "fisheye lens (equidistant): points are right everywhere; blur is turned into depth by fx of the middle, "
            "which holds less and less away from it. Rectified images do not have this error"
        )
    return replace(reduced, distortion=distortion, rectified=is_rectified, notes=(*notes, *reduced.notes))


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


def stated_size(info: CameraInfoLike) -> Size:
    """(height, width) of the images that a camera_info describes: of its region of interest, binned."""
    binning_x, binning_y = max(1, info.binning_x), max(1, info.binning_y)
    return (info.roi.height or info.height) // binning_y, (info.roi.width or info.width) // binning_x


def _matrix(values: Any, columns: int) -> NDArray[np.float64]:
    """The left 3 x 3 of a flat row-major matrix; of zeros where it has another size."""
    flat = np.asarray(values, np.float64).ravel()
    return flat.reshape(3, columns)[:, :3] if flat.size == 3 * columns else np.zeros((3, 3))


def _calibrated(matrix: NDArray[np.float64], width: int) -> NDArray[np.float64] | None:
    """The matrix, or None of one that no calibration gives."""
    if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        return None
    plausible = width <= 0 or FX_OVER_WIDTH[0] <= matrix[0, 0] / width <= FX_OVER_WIDTH[1]
    return matrix if plausible else None


class _Window(NamedTuple):
    """What cuts and reduces the full image."""

    x_offset: float
    y_offset: float
    binning_x: int
    binning_y: int


def _reduced(info: CameraInfoLike, matrix: NDArray[np.float64], image_size: Size) -> ImageCamera:
    """The intrinsics of the image, with a note where the principal point lies where no lens has it."""
    stated = stated_size(info)
    if stated != image_size:
        raise CalibrationError(
            f"camera_info is for {stated[1]}x{stated[0]} pixels, the image has {image_size[1]}x{image_size[0]}; "
            "calibrate at the size in use, or remap camera_info"
        )
    full = _Window(info.roi.x_offset, info.roi.y_offset, max(1, info.binning_x), max(1, info.binning_y))
    window, note = full, None
    if not _is_in_the_middle(matrix, (info.height, info.width)):
        window, note = _window_of_misplaced(matrix, info, full, image_size)
    intrinsics = CameraIntrinsics(
        width=image_size[1],
        height=image_size[0],
        fx=float(matrix[0, 0]) / window.binning_x,
        fy=float(matrix[1, 1]) / window.binning_y,
        cx=(float(matrix[0, 2]) - window.x_offset + 0.5) / window.binning_x - 0.5,
        cy=(float(matrix[1, 2]) - window.y_offset + 0.5) / window.binning_y - 0.5,
    )
    return ImageCamera(intrinsics=intrinsics, notes=() if note is None else (note,))


def _window_of_misplaced(
    matrix: NDArray[np.float64], info: CameraInfoLike, full: _Window, image_size: Size
) -> tuple[_Window, str]:
    """What probably cuts and reduces the image of a camera_info whose principal point is far off the sensor's middle.

    Drivers are known that state binning or a region of interest beside a K that was measured on the reduced image.
    """
    where = (
        f"the principal point ({matrix[0, 2]:.0f}, {matrix[1, 2]:.0f}) is far from the middle of the {info.width} x "
        f"{info.height} px of camera_info"
    )
    region = (info.roi.height or info.height, info.roi.width or info.width)
    is_binned = full.binning_x > 1 or full.binning_y > 1
    if is_binned and _is_in_the_middle(matrix, image_size):
        return _Window(0, 0, 1, 1), (
            f"{where}, but in that of the binned image: K and P are taken as those of the image, binning "
            f"{full.binning_x} x {full.binning_y} is not applied again; correct camera_info (K of the full sensor)"
        )
    if region != (info.height, info.width) and _is_in_the_middle(matrix, region):
        return full._replace(x_offset=0, y_offset=0), (
            f"{where}, but in that of the region of interest: its offset is not applied again; correct camera_info "
            "(K of the full sensor)"
        )
    return full, (
        f"{where}: no lens looks so. Is it the camera_info of this image? Was the image cropped without saying so "
        "(region of interest)? Points and blur are computed with it all the same"
    )


def _is_in_the_middle(matrix: NDArray[np.float64], size: Size) -> bool:
    height, width = size
    x, y = (matrix[0, 2] + 0.5) / max(width, 1), (matrix[1, 2] + 0.5) / max(height, 1)
    return bool(MIDDLE[0] <= x <= MIDDLE[1] and MIDDLE[0] <= y <= MIDDLE[1])


def _distortion(model: str, coefficients: NDArray[np.float64]) -> Distortion | EquidistantDistortion:
    if model in EQUIDISTANT:
        return EquidistantDistortion.from_coefficients(coefficients)
    if model not in BROWN_CONRADY:
        raise CalibrationError(
            f"distortion_model is {model!r}; expected plumb_bob, rational_polynomial or equidistant. Calibrate with "
            "one of them, or use rectified images (camera.rectified)"
        )
    return Distortion.from_coefficients(coefficients)
