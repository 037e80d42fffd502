# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The parameters of `ground_truth_recorder`, each declared here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfd_perception.errors import ConfigError
from dfd_perception.groundtruth.sensors.factory_calibration import COLOUR_MODES, DEPTH_MODES
from dfd_perception.ros.shared.parameters import NodeParameters, parameter
from dfd_perception.ros.shared.qos import INPUT_PROFILES


@dataclass(frozen=True, kw_only=True)
class RecorderParameters(NodeParameters):
    """Values of one configuration of the node."""

    session_dir: str = parameter("session.dir", "~/dfd_sessions", "Folder in which sessions are made")
    session_name: str = parameter("session.name", "", "Name of the session; empty = date and time of the start")
    source: str = parameter(
        "source", "rgbd_topics", "Where depth comes from", choices=("azure_kinect", "recording", "rgbd_topics")
    )
    recording: str = parameter("recording", "", "Azure Kinect recording (.mkv), for source: recording")
    kinect_device: int = parameter("kinect.device", 0, "Which Azure Kinect of several", low=0, high=15)
    kinect_depth_mode: str = parameter(
        "kinect.depth_mode", "NFOV_UNBINNED", "Depth mode of the Azure Kinect", choices=tuple(DEPTH_MODES)
    )
    kinect_colour_mode: str = parameter(
        "kinect.colour_mode", "720P", "Colour mode of the Azure Kinect", choices=tuple(COLOUR_MODES)
    )
    kinect_frames_per_second: int = parameter(
        "kinect.frames_per_second", 15, "Rate of the Azure Kinect: 5, 15 or 30", low=5, high=30
    )
    kinect_frame_id: str = parameter(
        "kinect.frame_id", "depth_camera_link", "Optical frame of the Azure Kinect's depth camera on TF"
    )
    retry_s: float = parameter("retry_s", 3.0, "Wait before a lost sensor is opened again [s]", low=0.1, high=600.0)
    calibration: str = parameter(
        "calibration", "", "calibration.yaml of dfd calibrate, kept in the session; empty = the depth sensor's own"
    )
    extrinsic_from_tf: bool = parameter(
        "camera.extrinsic_from_tf",
        False,
        "T_camera_kinect from TF and the robot camera from camera_info, instead of calibration; needs tf2",
    )
    depth_is_registered: bool = parameter(
        "camera.depth_is_registered",
        False,
        "Source rgbd_topics: depth is registered to the robot camera by its driver, so that no board is needed",
    )
    input_transport: str = parameter(
        "input.transport", "raw", "Robot camera on image (raw), image/compressed, or none to record the sensor alone",
        choices=("raw", "compressed", "none"),
    )  # fmt: skip
    sensor_transport: str = parameter(
        "sensor.transport", "raw",
        "Source rgbd_topics: depth/image and colour/image (raw), or depth/image/compressedDepth and "
        "colour/image/compressed (compressed)",
        choices=("raw", "compressed"),
    )  # fmt: skip
    sensor_depth_unit_m: float = parameter(
        "sensor.depth_unit_m", 0.001, "Source rgbd_topics: metres per count of 16UC1 depth (REP 118: 0.001)",
        low=1e-7, high=1.0,
    )  # fmt: skip
    record_colour: bool = parameter("record_colour", True, "Record the depth sensor's colour image too")
    lossless: bool = parameter("lossless", True, "Images as PNG; false: JPEG at quality 98, a third of the work")
    pairing_bound_ms: float = parameter(
        "pairing.bound_ms", 20.0, "Largest time between the two frames of a pair [ms]", low=0.1, high=1000.0
    )
    queue_size: int = parameter("queue_size", 30, "Moments that may wait for the disk", low=1, high=1000)
    least_free_mb: float = parameter("least_free_mb", 500.0, "Recording stops with less free space [MB]", low=0.0)
    record_at_start: bool = parameter("record_at_start", False, "Start a session as soon as the sensor is known")
    capture_frames: int = parameter(
        "capture.frames", 40, "Depth frames whose mode becomes the depth of a static pair", low=1, high=200
    )
    capture_max_movement_px: float = parameter(
        "capture.max_movement_px", 2.0, "Largest movement between the two images of a static pair [px]", low=0.0
    )
    qos_input: str = parameter(
        "qos.input", "auto", "QoS profile of all subscriptions; auto = reliable where the publisher offers it",
        choices=INPUT_PROFILES,
    )  # fmt: skip
    qos_input_depth: int = parameter("qos.input_depth", 15, "Queue of each subscription", low=1, high=1000)

    def __post_init__(self) -> None:
        if self.source == "recording" and not self.recording:
            raise ConfigError("parameter source is 'recording'; set parameter recording to the .mkv")
        if self.source == "recording" and self.input_transport != "none":
            raise ConfigError(
                "a recording has no time in common with a live camera: set parameter input.transport to none"
            )
        if self.extrinsic_from_tf and self.input_transport == "none":
            raise ConfigError(
                "parameter camera.extrinsic_from_tf is true, but input.transport is none, so that there is no robot "
                "camera; set input.transport to raw or compressed, or camera.extrinsic_from_tf to false"
            )
        if self.depth_is_registered and self.source != "rgbd_topics":
            raise ConfigError(
                f"parameter camera.depth_is_registered is true, and source is {self.source!r}; only depth of "
                "rgbd_topics can be registered by a driver"
            )
        if self.depth_is_registered and (self.extrinsic_from_tf or self.input_transport == "none"):
            raise ConfigError(
                "parameter camera.depth_is_registered needs the robot camera's images and nothing of TF: set "
                "camera.extrinsic_from_tf to false and input.transport to raw or compressed"
            )
        if self.extrinsic_from_tf and not self.kinect_frame_id:
            raise ConfigError("parameter kinect.frame_id is empty; expected a frame on TF, such as depth_camera_link")
        if self.kinect_frames_per_second not in (5, 15, 30):
            raise ConfigError(
                f"parameter kinect.frames_per_second is {self.kinect_frames_per_second}; expected 5, 15 or 30"
            )

    def session_folder(self, default_name: str) -> Path:
        """Where the next session goes."""
        return Path(self.session_dir).expanduser() / (self.session_name or default_name)
