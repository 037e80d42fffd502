# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Starts dfd_node and a local costmap of Nav2 that sees its points: obstacles from one camera, to look at in RViz.

ros2 launch dfd_perception nav2.launch.py image_topic:=/camera/image_raw camera_info_topic:=/camera/camera_info \
    params_file:=my_lens.yaml

TF has to hold odom, base_link and the camera's frame. docs/nav2.md says how it goes into a robot's own Nav2.
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

CONFIG = PathJoinSubstitution([FindPackageShare("dfd_perception"), "config", "nav2"])
COSTMAP = "costmap/costmap"
"""Name of the node nav2_costmap_2d, in the namespace that it gives itself."""

ARGUMENTS = (
    *CAMERA,
    ("params_file", PathJoinSubstitution([CONFIG, "depth.yaml"]), "Parameters of dfd_node; the lens goes here"),
    ("costmap_file", PathJoinSubstitution([CONFIG, "costmap.yaml"]), "Parameters of the costmap"),
    *NETWORK,
    SIM_TIME,
    LOG_LEVEL,
)


def generate_launch_description() -> LaunchDescription:
    """The node, the costmap, and the manager that activates the costmap."""
    value = LaunchConfiguration
    node = depth_node(PathJoinSubstitution([CONFIG, "depth.yaml"]), value("params_file"))
    costmap = node_with(CLOCK, (value("costmap_file"),), package="nav2_costmap_2d", executable="nav2_costmap_2d")
    manager = node_with(
        CLOCK,
        ({"autostart": True, "node_names": [COSTMAP], "bond_timeout": 0.0},),
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name="lifecycle_manager_costmap",
    )
    check = first_check(
        is_installed("nav2_costmap_2d"),
        is_installed("nav2_lifecycle_manager"),
        exists("params_file", "a YAML file of parameters"),
        exists("costmap_file", "a YAML file of parameters"),
    )
    return LaunchDescription([*declared(ARGUMENTS), *environment(), check, node, costmap, manager])
