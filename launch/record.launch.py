# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Starts ground_truth_recorder, and a session at once if asked for (record:=true).

Arguments that set a parameter win over params_file where they are given; left empty, the file decides.
"""

from __future__ import annotations

from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from dfd_perception.ros.shared.launch_arguments import AUTOSTART, CLOCK, LOG_LEVEL, SIM_TIME, declared, environment
from dfd_perception.ros.shared.launch_nodes import node_with
from dfd_perception.ros.shared.launch_processes import exists, first_check, may_be_new
from launch import LaunchDescription

PACKAGE = "dfd_perception"
OPTIONAL = ("", "true", "false")
SOURCES = ("azure_kinect", "recording", "rgbd_topics")
ARGUMENTS = (
    ("image_topic", "image", "Image of the robot camera (with its focus and aperture as in use)"),
    ("camera_info_topic", "camera_info", "Its camera_info; for extrinsic_from_tf:=true"),
    ("depth_topic", "depth/image", "Depth of the sensor, 16UC1 [mm] or 32FC1 [m]; for source:=rgbd_topics"),
    ("depth_camera_info_topic", "depth/camera_info", "Its camera_info"),
    ("colour_topic", "colour/image", "Colour image of the sensor; for source:=rgbd_topics"),
    ("colour_camera_info_topic", "colour/camera_info", "Its camera_info"),
    ("namespace", "", "Namespace of the node"),
    ("params_file", PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "recorder.yaml"]), "Parameters"),
    ("source", "", "Where depth comes from; recording: name the file in params_file", ("", *SOURCES)),
    ("session_dir", "", "Folder in which sessions are made (~/dfd_sessions)"),
    ("calibration", "", "calibration.yaml of dfd calibrate, kept in the sessions"),
    ("extrinsic_from_tf", "", "T_camera_kinect from TF and camera_info instead of calibration; needs tf2", OPTIONAL),
    ("record", "", "Start a session as soon as the sensor is known, instead of waiting for ~/start", OPTIONAL),
    AUTOSTART,
    SIM_TIME,
    LOG_LEVEL,
)

PARAMETERS = {
    **CLOCK,
    "source": ("source", str),
    "session_dir": ("session.dir", str),
    "calibration": ("calibration", str),
    "extrinsic_from_tf": ("camera.extrinsic_from_tf", bool),
    "record": ("record_at_start", bool),
    "autostart": ("autostart", bool),
}
"""Arguments that set parameters."""


def generate_launch_description() -> LaunchDescription:
    """One node; every argument is explained by `ros2 launch dfd_perception record.launch.py -s`."""
    value = LaunchConfiguration
    recorder = node_with(
        PARAMETERS,
        (value("params_file"),),
        executable="ground_truth_recorder",
        name="ground_truth_recorder",
        namespace=value("namespace"),
        remappings=[
            ("image", value("image_topic")),
            ("image/compressed", [value("image_topic"), "/compressed"]),
            ("camera_info", value("camera_info_topic")),
            ("depth/image", value("depth_topic")),
            ("depth/image/compressedDepth", [value("depth_topic"), "/compressedDepth"]),
            ("depth/camera_info", value("depth_camera_info_topic")),
            ("colour/image", value("colour_topic")),
            ("colour/image/compressed", [value("colour_topic"), "/compressed"]),
            ("colour/camera_info", value("colour_camera_info_topic")),
        ],
    )
    check = first_check(
        exists("params_file", "a YAML file of parameters"),
        exists("calibration", "the calibration.yaml of dfd calibrate"),
        may_be_new("session_dir"),
    )
    return LaunchDescription([*declared(ARGUMENTS), *environment(), check, recorder])
