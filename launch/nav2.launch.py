# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Starts dfd_node and a local costmap of Nav2 that sees its points: obstacles from one camera, to look at in RViz.

ros2 launch dfd_perception nav2.launch.py image_topic:=/camera/image_raw camera_info_topic:=/camera/camera_info \
    params_file:=my_lens.yaml

TF has to hold odom, base_link and the camera's frame. docs/nav2.md says how it goes into a robot's own Nav2.
"""

from __future__ import annotations

from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from dfd_perception.ros.shared.launch_arguments import CAMERA, LOG_LEVEL, NETWORK, declared, environment, typed
from dfd_perception.ros.shared.launch_nodes import depth_node
from dfd_perception.ros.shared.launch_processes import ends_all, exists, first_check, is_installed
from launch import LaunchDescription

CONFIG = PathJoinSubstitution([FindPackageShare("dfd_perception"), "config", "nav2"])
COSTMAP = "costmap/costmap"
"""Name of the node nav2_costmap_2d, in the namespace that it gives itself."""

ARGUMENTS = (
    *CAMERA,
    ("params_file", PathJoinSubstitution([CONFIG, "depth.yaml"]), "Parameters of dfd_node; the lens goes here"),
    ("costmap_file", PathJoinSubstitution([CONFIG, "costmap.yaml"]), "Parameters of the costmap"),
    *NETWORK,
    ("use_sim_time", "false", "Follow /clock", ("true", "false")),
    LOG_LEVEL,
)


def generate_launch_description() -> LaunchDescription:
    """The node, the costmap, and the manager that activates the costmap."""
    value = LaunchConfiguration
    clock = {"use_sim_time": typed("use_sim_time", bool)}
    node = depth_node(PathJoinSubstitution([CONFIG, "depth.yaml"]), value("params_file"), clock)
    costmap = Node(
        package="nav2_costmap_2d",
        executable="nav2_costmap_2d",
        output="screen",
        parameters=[value("costmap_file"), clock],
    )
    manager = Node(
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name="lifecycle_manager_costmap",
        output="screen",
        parameters=[{"autostart": True, "node_names": [COSTMAP], "bond_timeout": 0.0}, clock],
    )
    check = first_check(
        is_installed("nav2_costmap_2d"),
        is_installed("nav2_lifecycle_manager"),
        exists("params_file", "a YAML file of parameters"),
        exists("costmap_file", "a YAML file of parameters"),
    )
    processes = (node, costmap, manager)
    ends = (ends_all(process, "a process has ended") for process in processes)
    return LaunchDescription([*declared(ARGUMENTS), *environment(), check, *ends, *processes])
