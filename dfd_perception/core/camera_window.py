# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From the full sensor of a camera_info to its image: the region of interest cuts, then binning reduces.

A bin of b pixels has its centre between them: c' = (c - offset + 1/2) / b - 1/2.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError

MIDDLE = (0.25, 0.75)
"""Where a principal point lies, as fractions of width and height; lens shift and stereo rectification included."""


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


class ReducedCamera(NamedTuple):
    """The pinhole part of an image's camera."""

    intrinsics: CameraIntrinsics
    notes: tuple[str, ...] = ()
    """What a user should be told: a principal point where no lens has it, and what was made of it."""


def stated_size(info: CameraInfoLike) -> Size:
    """(height, width) of the images that a camera_info describes: of its region of interest, binned."""
    binning_x, binning_y = max(1, info.binning_x), max(1, info.binning_y)
    return (info.roi.height or info.height) // binning_y, (info.roi.width or info.width) // binning_x


class _Window(NamedTuple):
    """What cuts and reduces the full image."""

    x_offset: float
    y_offset: float
    binning_x: int
    binning_y: int


def reduced(info: CameraInfoLike, matrix: NDArray[np.float64], image_size: Size) -> ReducedCamera:
    """The intrinsics of an image, out of a matrix of the full sensor.

    Args:
        info: camera_info of the image.
        matrix: (3, 3), of K or P.
        image_size: (height, width) of the image.

    Raises:
        CalibrationError: camera_info is for another size, or for a region that is not on its sensor.
    """
    stated = stated_size(info)
    if stated != image_size:
        raise CalibrationError(
            f"camera_info is for {stated[1]}x{stated[0]} pixels, the image has {image_size[1]}x{image_size[0]}; "
            "calibrate at the size in use, or remap camera_info"
        )
    full = _Window(info.roi.x_offset, info.roi.y_offset, max(1, info.binning_x), max(1, info.binning_y))
    window, note = full, None
    if not is_in_the_middle(matrix, (info.height, info.width)):
        window, note = _window_of_misplaced(matrix, info, full, image_size)
    intrinsics = CameraIntrinsics(
        width=image_size[1],
        height=image_size[0],
        fx=float(matrix[0, 0]) / window.binning_x,
        fy=float(matrix[1, 1]) / window.binning_y,
        cx=(float(matrix[0, 2]) - window.x_offset + 0.5) / window.binning_x - 0.5,
        cy=(float(matrix[1, 2]) - window.y_offset + 0.5) / window.binning_y - 0.5,
    )
    _require_region_on_sensor(info, intrinsics, explained=note is not None)
    return ReducedCamera(intrinsics, () if note is None else (note,))


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
    if is_binned and is_in_the_middle(matrix, image_size):
        return _Window(0, 0, 1, 1), (
            f"{where}, but in that of the binned image: K and P are taken as those of the image, binning "
            f"{full.binning_x} x {full.binning_y} is not applied again; correct camera_info (K of the full sensor)"
        )
    if region != (info.height, info.width) and is_in_the_middle(matrix, region):
        return full._replace(x_offset=0, y_offset=0), (
            f"{where}, but in that of the region of interest: its offset is not applied again; correct camera_info "
            "(K of the full sensor)"
        )
    return full, (
        f"{where}: no lens looks so. Is it the camera_info of this image? Was the image cropped without saying so "
        "(region of interest)? Points and blur are computed with it all the same"
    )


def _require_region_on_sensor(info: CameraInfoLike, intrinsics: CameraIntrinsics, explained: bool) -> None:
    """Refuse a region of interest that is not on the sensor, unless K tells that it is (a sensor stated too small)."""
    roi = info.roi
    right, bottom = roi.x_offset + (roi.width or info.width), roi.y_offset + (roi.height or info.height)
    if right <= info.width and bottom <= info.height:
        return
    if not (explained and is_in_the_middle(intrinsics.matrix(), (intrinsics.height, intrinsics.width))):
        raise CalibrationError(
            f"camera_info's region of interest ({roi.width} x {roi.height} px at {roi.x_offset}, {roi.y_offset}) "
            f"reaches beyond its {info.width} x {info.height} px; width and height are the full sensor's, and a region "
            "of 0 throughout is no region"
        )


def is_in_the_middle(matrix: NDArray[np.float64], size: Size) -> bool:
    """Whether the principal point of a (3, 3) matrix lies where a lens has it in an image of (height, width)."""
    height, width = size
    x, y = (matrix[0, 2] + 0.5) / max(width, 1), (matrix[1, 2] + 0.5) / max(height, 1)
    return bool(MIDDLE[0] <= x <= MIDDLE[1] and MIDDLE[0] <= y <= MIDDLE[1])
