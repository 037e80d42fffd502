# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How the recorder comes to know its rig: by a calibration file, or by camera_info and TF."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.core.registration import RigidTransform
from dfd_perception.errors import CalibrationError, ConfigError, DfdPerceptionError
from dfd_perception.groundtruth.recording_control import SENSOR_SILENT
from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration
from dfd_perception.ros.recorder_node.fixed_transform import FixedTransform
from dfd_perception.ros.recorder_node.recorder_parameters import RecorderParameters
from dfd_perception.ros.recorder_node.robot_camera import RobotCamera
from dfd_perception.ros.shared.node_log import Log

PATIENCE_S = 3.0
"""What is missing for so long is said in the log."""


def read_calibration(parameters: RecorderParameters) -> RigCalibration | None:
    """The calibration file of the parameters; None without one.

    Raises:
        CalibrationError: it cannot be read.
        ConfigError: it knows T_camera_kinect, and TF is to say it too.
    """
    if not parameters.calibration:
        return None
    path = Path(parameters.calibration).expanduser()
    calibration = RigCalibration.read(path)
    if parameters.extrinsic_from_tf and calibration.camera is not None:
        raise ConfigError(
            f"parameter camera.extrinsic_from_tf is true, and {path} has a T_camera_kinect of its own; set the "
            "parameter to false to use the file's, or calibration to '' to use TF's"
        )
    return calibration


class SameFrame:
    """Stands for TF where depth is registered to the robot camera already: both are in one frame."""

    def lookup(self, camera_frame: str, depth_frame: str) -> tuple[RigidTransform, bool]:
        """No movement between them.

        Raises:
            CalibrationError: they are in different frames.
        """
        if camera_frame != depth_frame:
            raise CalibrationError(
                f"depth is in frame {depth_frame!r}, the images are in {camera_frame!r}, so that depth is not "
                "registered to them; set parameter camera.depth_is_registered to false, or take the registered "
                "depth of its driver"
            )
        return RigidTransform.identity(), True


class RigFromFile:
    """The sensor's own calibration, and the robot camera of a calibration file if there is one."""

    missing = SENSOR_SILENT

    def __init__(self, calibration: RigCalibration | None, on_rig: Callable[[RigCalibration], None]) -> None:
        self._calibration, self._on_rig = calibration, on_rig

    def add_sensor(self, sensor: RgbdCalibration, frame_id: str) -> None:
        """The depth sensor, each time it was opened."""
        known = self._calibration
        self._on_rig(RigCalibration(sensor=sensor) if known is None else dataclasses.replace(known, sensor=sensor))

    def update(self) -> None:
        """Nothing else is waited for."""


class RigFromTf:
    """The robot camera by its camera_info, and its place by TF. Once known, both are fixed until the next activation.

    Args:
        camera: its images and camera_info.
        transforms: TF.
        quality: figures of a calibration of the sensor alone.
        on_rig: called by `update` when all is known, and again when the sensor was opened again.
    """

    def __init__(
        self,
        camera: RobotCamera,
        transforms: FixedTransform | SameFrame,
        quality: dict[str, Any],
        on_rig: Callable[[RigCalibration], None],
        log: Log,
    ) -> None:
        self._camera, self._transforms, self._on_rig, self._log = camera, transforms, on_rig, log
        self._quality = dict(quality)
        self._sensor: tuple[RgbdCalibration, str] | None = None
        self._reported: tuple[RgbdCalibration, str] | None = None
        self._fixed: tuple[DistortedCamera, RigidTransform] | None = None
        self.missing = SENSOR_SILENT
        """What is not known yet, in one line; empty when all is."""
        self._missing_since_s = time.monotonic()
        self._logged = ""

    def add_sensor(self, sensor: RgbdCalibration, frame_id: str) -> None:
        """The depth sensor, from any thread; `update` does the rest."""
        self._sensor = (sensor, frame_id)

    def update(self) -> None:
        """See whether all is known by now; to be called now and then by the thread that takes the messages."""
        sensor = self._sensor
        if sensor is None or sensor is self._reported:
            return
        try:
            if self._fixed is None:
                self._fixed = self._look_up(sensor[1])
        except DfdPerceptionError as error:
            self._wait_for(str(error))
            return
        camera, camera_from_depth = self._fixed
        self._reported, self.missing = sensor, ""
        self._on_rig(
            RigCalibration(sensor=sensor[0], camera=camera, camera_from_depth=camera_from_depth, quality=self._quality)
        )

    def _look_up(self, depth_frame: str) -> tuple[DistortedCamera, RigidTransform]:
        if not depth_frame:
            raise CalibrationError("depth/camera_info has an empty frame_id; set the frame in its driver")
        camera, camera_frame = self._camera.calibrated()
        transform, is_static = self._transforms.lookup(camera_frame, depth_frame)
        origin = f"TF, from {depth_frame!r} to {camera_frame!r}"
        if isinstance(self._transforms, SameFrame):
            origin = f"depth that is registered to {camera_frame!r} by its driver"
        self._quality |= {"T_camera_kinect": origin, "T_camera_kinect_is_static": is_static}
        self._log("info", f"T_camera_kinect is of {origin}: translation {transform.translation_m.round(4).tolist()} m")
        if not is_static:
            self._log(
                "warning",
                "a part of this transform is on /tf and may move; the recording takes it as fixed. Hold the joints "
                "between the two cameras still, or publish it on /tf_static",
            )
        return camera, transform

    def _wait_for(self, missing: str) -> None:
        now_s = time.monotonic()
        if missing != self.missing:
            self.missing, self._missing_since_s = missing, now_s
        elif missing != self._logged and now_s - self._missing_since_s > PATIENCE_S:
            self._log("warning", missing)
            self._logged = missing
