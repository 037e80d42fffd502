# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A camera calibration file as ROS tools write it (camera_calibration, camera_info_manager)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dfd_perception.errors import CalibrationError
from dfd_perception.files.configuration import read_yaml


@dataclass(frozen=True, kw_only=True)
class FullFrame:
    """No region of interest."""

    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, kw_only=True)
class CameraFile:
    """The fields of sensor_msgs/CameraInfo that a calibration file holds."""

    width: int
    height: int
    k: tuple[float, ...]
    p: tuple[float, ...] = ()
    d: tuple[float, ...] = ()
    distortion_model: str = ""
    binning_x: int = 1
    binning_y: int = 1
    roi: FullFrame = field(default_factory=FullFrame)


def read_camera_file(path: Path) -> CameraFile:
    """Read image_width, image_height, camera_matrix, distortion_model, distortion_coefficients, projection_matrix.

    Raises:
        ConfigError: not readable as YAML.
        CalibrationError: without a size or a camera matrix.
    """
    content = read_yaml(path)
    try:
        return CameraFile(
            width=int(content["image_width"]),
            height=int(content["image_height"]),
            k=_numbers(content["camera_matrix"]),
            p=_numbers(content.get("projection_matrix", {"data": ()})),
            d=_numbers(content.get("distortion_coefficients", {"data": ()})),
            distortion_model=str(content.get("distortion_model", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(
            f"{path}: not a camera calibration ({error!r}); expected image_width, image_height and camera_matrix as "
            "ROS camera_calibration writes them"
        ) from error


def _numbers(matrix: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in matrix["data"])
