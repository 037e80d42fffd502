# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Starts dfd_node and plays a bag to it; ends with report.json and report.html of what the node answered."""

from __future__ import annotations

from launch.actions import ExecuteProcess
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from dfd_perception.ros.shared.launch_arguments import (
    BAG_RATE,
    LOG_LEVEL,
    NETWORK,
    declared,
    environment,
    log_level,
    network_parameters,
)
from dfd_perception.ros.shared.launch_processes import ends_all, exists, first_check
from launch import LaunchDescription

PACKAGE = "dfd_perception"
ARGUMENTS = (
    ("bag", None, "Bag with images, and with depth and all-in-focus images if figures are wanted"),
    ("out", None, "Folder for report.json, report.html and the answers as a bag"),
    ("lens", None, "LENS.yaml of the camera: for the figures; the node takes its lens from params_file"),
    ("params_file", PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "dfd.yaml"]), "Parameters of the node"),
    *NETWORK,
    BAG_RATE,
    LOG_LEVEL,
)


def generate_launch_description() -> LaunchDescription:
    """The node and the evaluation; `ros2 launch dfd_perception evaluate.launch.py -s` explains the arguments."""
    value = LaunchConfiguration
    node = Node(
        package=PACKAGE,
        executable="dfd_node",
        name="dfd",
        output="screen",
        parameters=[value("params_file"), {**network_parameters(), "use_sim_time": True}],
        arguments=log_level(),
    )
    # The program itself rather than `ros2 run`, which would not hand on the signal that ends it.
    evaluation = ExecuteProcess(
        cmd=[
            *(ExecutableInPackage(package=PACKAGE, executable="dfd"), "evaluate", "--live", "--overwrite"),
            *("--model", value("model"), "--bag", value("bag"), "--lens", value("lens"), "--out", value("out")),
            *("--rate", value("bag_rate")),
        ],
        output="screen",
    )
    check = first_check(
        exists("bag", "a bag folder, or an .mcap or .db3 file"),
        exists("lens", "a LENS.yaml file"),
        exists("params_file", "a YAML file of parameters"),
    )
    ends = (ends_all(node, "dfd_node has ended"), ends_all(evaluation, "the evaluation has ended"))
    return LaunchDescription([*declared(ARGUMENTS), *environment(), check, *ends, node, evaluation])
