# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Starts ground_truth_recorder, and a session at once if asked for (record:=true)."""

from __future__ import annotations

from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from dfd_perception.ros.shared.launch_arguments import LOG_LEVEL, declared, environment, log_level, typed
from dfd_perception.ros.shared.launch_processes import ends_all, exists, first_check
from launch import LaunchDescription

PACKAGE = "dfd_perception"
YES_NO = ("true", "false")
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
    ("source", "azure_kinect", "Where depth comes from; recording: name the file in params_file", SOURCES),
    ("session_dir", "~/dfd_sessions", "Folder in which sessions are made"),
    ("calibration", "", "calibration.yaml of dfd calibrate, kept in the sessions"),
    ("extrinsic_from_tf", "false", "T_camera_kinect from TF and camera_info instead of calibration; needs tf2", YES_NO),
    ("record", "false", "Start a session as soon as the sensor is known, instead of waiting for ~/start", YES_NO),
    ("autostart", "true", "Configure and activate at start", YES_NO),
    ("use_sim_time", "false", "Follow /clock", YES_NO),
    LOG_LEVEL,
)


def generate_launch_description() -> LaunchDescription:
    """One node; every argument is explained by `ros2 launch dfd_perception record.launch.py -s`."""
    value = LaunchConfiguration
    recorder = Node(
        package=PACKAGE,
        executable="ground_truth_recorder",
        name="ground_truth_recorder",
        namespace=value("namespace"),
        output="screen",
        parameters=[
            value("params_file"),
            {
                "source": value("source"),
                "session.dir": value("session_dir"),
                "calibration": typed("calibration", str),
                "camera.extrinsic_from_tf": typed("extrinsic_from_tf", bool),
                "record_at_start": typed("record", bool),
                "autostart": typed("autostart", bool),
                "use_sim_time": typed("use_sim_time", bool),
            },
        ],
        remappings=[
            ("image", value("image_topic")),
            ("image/compressed", [value("image_topic"), "/compressed"]),
            ("camera_info", value("camera_info_topic")),
            ("depth/image", value("depth_topic")),
            ("depth/camera_info", value("depth_camera_info_topic")),
            ("colour/image", value("colour_topic")),
            ("colour/camera_info", value("colour_camera_info_topic")),
        ],
        arguments=log_level(),
    )
    check = first_check(
        exists("params_file", "a YAML file of parameters"),
        exists("calibration", "the calibration.yaml of dfd calibrate"),
    )
    end = ends_all(recorder, "the recorder has ended")
    return LaunchDescription([*declared(ARGUMENTS), *environment(), check, end, recorder])
