# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Starts dfd_node and depthimage_to_laserscan on its depth: a laser scan (topic scan) for what knows only lasers.

ros2 launch dfd_perception laserscan.launch.py image_topic:=/camera/image_raw camera_info_topic:=/camera/camera_info \
    params_file:=my_lens.yaml
"""

from __future__ import annotations

from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from dfd_perception.ros.shared.launch_arguments import (
    CAMERA,
    CLOCK,
    LOG_LEVEL,
    NETWORK,
    SIM_TIME,
    declared,
    environment,
)
from dfd_perception.ros.shared.launch_nodes import depth_node, node_with
from dfd_perception.ros.shared.launch_processes import exists, first_check, is_installed
from launch import LaunchDescription

DEFAULTS = PathJoinSubstitution([FindPackageShare("dfd_perception"), "config", "laserscan.yaml"])
ARGUMENTS = (
    *CAMERA,
    ("params_file", DEFAULTS, "Parameters of both nodes that win over config/laserscan.yaml; the lens goes here"),
    *NETWORK,
    SIM_TIME,
    LOG_LEVEL,
)


def generate_launch_description() -> LaunchDescription:
    """The two nodes."""
    value = LaunchConfiguration
    files = (DEFAULTS, value("params_file"))
    scan = node_with(
        CLOCK,
        files,
        package="depthimage_to_laserscan",
        executable="depthimage_to_laserscan_node",
        name="depthimage_to_laserscan",
        remappings=[("depth", "depth/image"), ("depth_camera_info", "depth/camera_info")],
    )
    check = first_check(is_installed("depthimage_to_laserscan"), exists("params_file", "a YAML file of parameters"))
    return LaunchDescription([*declared(ARGUMENTS), *environment(), check, depth_node(*files), scan])
