# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""calibration.yaml: the depth sensor, the robot's camera, and where they stand to each other.

Each camera is written as ROS writes camera_info files (camera_calibration_parsers reads the block of one). Transforms
are named T_TARGET_SOURCE and carry points of the source's optical frame to the target's: p_camera = T_camera_kinect p.
"Kinect" stands for the frame of the sensor's depth camera, whichever sensor it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import PLUMB_BOB_TERMS, DistortedCamera, Distortion
from dfd_perception.core.registration import RigidTransform
from dfd_perception.errors import CalibrationError, ConfigError, reading
from dfd_perception.files.configuration import read_yaml, yaml_text
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration

FORMAT = 1
FILE_NAME = "calibration.yaml"


@dataclass(frozen=True, kw_only=True)
class RigCalibration:
    """What is known of a rig. `camera` and `camera_from_depth` are None until the robot's camera was calibrated.

    quality: figures of the calibration, for people.
    """

    sensor: RgbdCalibration
    camera: DistortedCamera | None = None
    camera_from_depth: RigidTransform | None = None
    quality: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.camera is None) != (self.camera_from_depth is None):
            raise CalibrationError("a camera and T_camera_kinect belong together; give both or neither")

    @property
    def camera_from_colour(self) -> RigidTransform | None:
        """Carries points of the sensor's colour camera to the robot's camera."""
        if self.camera_from_depth is None or self.sensor.colour is None:
            return None
        return self.camera_from_depth.after(self.sensor.colour_from_depth.inverse())

    def text(self) -> str:
        """As YAML."""
        content: dict[str, Any] = {"format": FORMAT}
        if self.camera is not None and self.camera_from_depth is not None:
            content["camera"] = camera_block(self.camera, "camera")
            content["T_camera_kinect"] = transform_block(self.camera_from_depth)
        content["depth"] = camera_block(self.sensor.depth, "depth")
        if self.sensor.colour is not None:
            content["colour"] = camera_block(self.sensor.colour, "colour")
            content["T_colour_depth"] = transform_block(self.sensor.colour_from_depth)
        if self.quality:
            content["quality"] = self.quality
        return yaml_text(content)

    @classmethod
    def read(cls, path: Path) -> RigCalibration:
        """From a file.

        Raises:
            CalibrationError: absent, incomplete, or of another format; names what is wrong.
        """
        try:
            content = read_yaml(path)
        except ConfigError as error:
            raise CalibrationError(f"{error}. dfd calibrate writes such a file") from error
        if content.get("format") != FORMAT:
            raise CalibrationError(f"{path} is of format {content.get('format')}; this version reads {FORMAT}")
        with reading(path, CalibrationError, "dfd calibrate writes such a file"):
            with_colour, with_camera = "colour" in content, "camera" in content
            transform = read_transform(content["T_colour_depth"]) if with_colour else RigidTransform.identity()
            return cls(
                sensor=RgbdCalibration(
                    depth=read_camera(content["depth"]),
                    colour=read_camera(content["colour"]) if with_colour else None,
                    colour_from_depth=transform,
                ),
                camera=read_camera(content["camera"]) if with_camera else None,
                camera_from_depth=read_transform(content["T_camera_kinect"]) if with_camera else None,
                quality=content.get("quality", {}),
            )


def camera_block(camera: DistortedCamera, name: str) -> dict[str, Any]:
    """A camera in the form of ROS camera_info files."""
    k, terms = camera.intrinsics, camera.distortion.coefficients()
    rational = bool(terms[PLUMB_BOB_TERMS:].any())
    coefficients = terms if rational else terms[:PLUMB_BOB_TERMS]
    matrix = k.matrix()
    block = {
        "image_width": k.width,
        "image_height": k.height,
        "camera_name": name,
        "camera_matrix": _matrix(matrix),
        "distortion_model": "rational_polynomial" if rational else "plumb_bob",
        "distortion_coefficients": _matrix(coefficients[None]),
        "rectification_matrix": _matrix(np.eye(3)),
        "projection_matrix": _matrix(np.hstack([matrix, np.zeros((3, 1))])),
    }
    if np.isfinite(camera.distortion.fitted_radius):
        block["distortion_fitted_radius"] = float(camera.distortion.fitted_radius)
    return block


def read_camera(block: Mapping[str, Any]) -> DistortedCamera:
    """The inverse of `camera_block`; also reads camera_info files of ROS.

    Raises:
        CalibrationError: another distortion model.
    """
    model = block.get("distortion_model", "plumb_bob")
    if model not in ("plumb_bob", "rational_polynomial"):
        raise CalibrationError(
            f"distortion_model is {model!r}; expected plumb_bob or rational_polynomial. Calibrate with one of them"
        )
    intrinsics = CameraIntrinsics.from_matrix(
        np.array(block["camera_matrix"]["data"], np.float64), int(block["image_width"]), int(block["image_height"])
    )
    radius = float(block.get("distortion_fitted_radius", np.inf))
    return DistortedCamera(
        intrinsics=intrinsics,
        distortion=Distortion.from_coefficients(block["distortion_coefficients"]["data"], fitted_radius=radius),
    )


def transform_block(transform: RigidTransform) -> dict[str, Any]:
    """Rotation row by row, translation [m]."""
    return {
        "rotation": [float(value) for value in transform.rotation.ravel()],
        "translation_m": [float(value) for value in transform.translation_m],
    }


def read_transform(block: Mapping[str, Any]) -> RigidTransform:
    """The inverse of `transform_block`."""
    return RigidTransform(np.array(block["rotation"], np.float64), np.array(block["translation_m"], np.float64))


def _matrix(values: np.ndarray) -> dict[str, Any]:
    return {"rows": values.shape[0], "cols": values.shape[1], "data": [float(value) for value in values.ravel()]}
