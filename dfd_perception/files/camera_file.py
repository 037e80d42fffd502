# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A camera calibration file as ROS tools write it (camera_calibration, camera_info_manager)."""

from __future__ import annotations

import math
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
    r: tuple[float, ...] = ()
    p: tuple[float, ...] = ()
    d: tuple[float, ...] = ()
    distortion_model: str = ""
    binning_x: int = 1
    binning_y: int = 1
    roi: FullFrame = field(default_factory=FullFrame)


def read_camera_file(path: Path) -> CameraFile:
    """Read image size and camera_matrix, and distortion, rectification and projection where they are there.

    Raises:
        ConfigError: not readable as YAML.
        CalibrationError: without a size or a camera matrix, or with a matrix of another length.
    """
    content = read_yaml(path)
    try:
        return CameraFile(
            width=int(content["image_width"]),
            height=int(content["image_height"]),
            k=_numbers(content, "camera_matrix", 9),
            r=_numbers(content, "rectification_matrix", 9) if "rectification_matrix" in content else (),
            p=_numbers(content, "projection_matrix", 12) if "projection_matrix" in content else (),
            d=_numbers(content, "distortion_coefficients") if "distortion_coefficients" in content else (),
            distortion_model=str(content.get("distortion_model", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise CalibrationError(
            f"{path}: not a camera calibration: {what}; expected image_width, image_height and camera_matrix as "
            "ROS camera_calibration writes them"
        ) from error


def _numbers(content: Any, name: str, count: int | None = None) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in content[name]["data"])
    if count not in (None, len(numbers)) or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} has {len(numbers)} numbers; expected {count or 'only'} finite ones")
    return numbers
