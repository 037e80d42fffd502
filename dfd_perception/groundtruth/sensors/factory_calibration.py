# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""An Azure Kinect's factory calibration, for the modes that it runs in.

The factory file describes each sensor whole, in fractions of its width and height. A mode bins the sensor, then crops:
the numbers below are those of the Azure Kinect Sensor SDK (src/transformation/mode_specific_calibration.c).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import DistortedCamera, Distortion
from dfd_perception.core.registration import RigidTransform
from dfd_perception.errors import CalibrationError
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration

BROWN_CONRADY = "CALIBRATION_LensDistortionModelBrownConrady"
DEFAULT_FITTED_RADIUS = 1.7
"""What the SDK takes when the file says 0."""


class SensorMode(NamedTuple):
    """Whole sensor after binning, upper left corner of the crop, and the image; all (width, height) [px]."""

    binned: tuple[int, int]
    offset: tuple[int, int]
    image: tuple[int, int]


DEPTH_MODES = {
    "NFOV_2X2BINNED": SensorMode((512, 512), (96, 90), (320, 288)),
    "NFOV_UNBINNED": SensorMode((1024, 1024), (192, 180), (640, 576)),
    "WFOV_2X2BINNED": SensorMode((512, 512), (0, 0), (512, 512)),
    "WFOV_UNBINNED": SensorMode((1024, 1024), (0, 0), (1024, 1024)),
}
COLOUR_MODES = {
    "720P": SensorMode((1280, 960), (0, 120), (1280, 720)),
    "1080P": SensorMode((1920, 1440), (0, 180), (1920, 1080)),
    "1440P": SensorMode((2560, 1920), (0, 240), (2560, 1440)),
    "1536P": SensorMode((2048, 1536), (0, 0), (2048, 1536)),
    "2160P": SensorMode((3840, 2880), (0, 360), (3840, 2160)),
    "3072P": SensorMode((4096, 3072), (0, 0), (4096, 3072)),
}


def calibration_of_modes(factory_json: str, depth_mode: str, colour_mode: str | None) -> RgbdCalibration:
    """Calibration of an Azure Kinect in its modes.

    Args:
        factory_json: text of the device's calibration (`PyK4A.calibration_raw`, or calibration.json of a recording).
        depth_mode: a key of DEPTH_MODES.
        colour_mode: a key of COLOUR_MODES, None when the colour camera is off.

    Raises:
        CalibrationError: not such a file, or a mode or lens model that is not known.
    """
    try:
        cameras = {
            camera["Purpose"].removeprefix("CALIBRATION_CameraPurpose"): camera
            for camera in json.loads(factory_json.rstrip("\0"))["CalibrationInformation"]["Cameras"]
        }
        depth = _camera(cameras["Depth"], _mode(DEPTH_MODES, depth_mode, "depth"))
        if colour_mode is None:
            return RgbdCalibration(depth, None, RigidTransform.identity())
        colour = _camera(cameras["PhotoVideo"], _mode(COLOUR_MODES, colour_mode, "colour"))
        place = cameras["PhotoVideo"]["Rt"]
        transform = RigidTransform(np.array(place["Rotation"]), np.array(place["Translation"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CalibrationError(
            f"this is not an Azure Kinect calibration ({type(error).__name__}: {error}); expected the JSON with "
            "CalibrationInformation.Cameras that the device or the recording holds"
        ) from error
    return RgbdCalibration(depth, colour, transform)


def _mode(modes: dict[str, SensorMode], name: str, camera: str) -> SensorMode:
    if name not in modes:
        raise CalibrationError(f"{camera} mode is {name!r}; expected one of {', '.join(modes)}")
    return modes[name]


def _camera(description: dict[str, Any], mode: SensorMode) -> DistortedCamera:
    lens = description["Intrinsics"]
    cx, cy, fx, fy, k1, k2, k3, k4, k5, k6, codx, cody, p2, p1 = lens["ModelParameters"][:14]
    if lens["ModelType"] != BROWN_CONRADY or codx or cody:
        raise CalibrationError(
            f"lens model is {lens['ModelType']} with centre of distortion ({codx}, {cody}); expected {BROWN_CONRADY} "
            "about the principal point. Devices before the release need their firmware updated"
        )
    (binned_width, binned_height), (left, top), (width, height) = mode
    intrinsics = CameraIntrinsics(
        width=width,
        height=height,
        fx=fx * binned_width,
        fy=fy * binned_height,
        cx=cx * binned_width - left - 0.5,  # the file counts from the first pixel's corner, we from its centre
        cy=cy * binned_height - top - 0.5,
    )
    radius = description["MetricRadius"]
    return DistortedCamera(
        intrinsics=intrinsics,
        distortion=Distortion.from_coefficients(
            [k1, k2, p1, p2, k3, k4, k5, k6], fitted_radius=radius if radius > 1e-4 else DEFAULT_FITTED_RADIUS
        ),
    )
