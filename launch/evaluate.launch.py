# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Starts dfd_node and plays a bag to it; ends with report.json and report.html of what the node answered."""

from __future__ import annotations

from pathlib import Path

from launch.action import Action
from launch.actions import ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from dfd_perception.ros.shared.launch_arguments import (
    BAG_RATE,
    LOG_LEVEL,
    OF_THE_NODE,
    RUNTIME,
    declared,
    environment,
)
from dfd_perception.ros.shared.launch_nodes import depth_node
from dfd_perception.ros.shared.launch_processes import ends_all, exists, first_check, may_be_new
from launch import LaunchContext, LaunchDescription

PACKAGE = "dfd_perception"
ARGUMENTS = (
    ("bag", None, "Bag with images, and with depth and all-in-focus images if figures are wanted"),
    ("out", None, "Folder for report.json, report.html and the answers as a bag"),
    ("lens", None, "LENS.yaml of the camera, for the node and for the figures"),
    ("params_file", PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "dfd.yaml"]),
     "Parameters of the node; the lens wins over its own"),
    ("model", "2hded-small", "Model: folder name or path; wins over params_file"),
    *RUNTIME,
    BAG_RATE,
    LOG_LEVEL,
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """The node and the evaluation; `ros2 launch dfd_perception evaluate.launch.py -s` explains the arguments."""
    value = LaunchConfiguration
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
        may_be_new("out"),
    )
    end = ends_all(evaluation, "the evaluation has ended")
    node = OpaqueFunction(function=node_with_the_lens)
    return LaunchDescription([*declared(ARGUMENTS), *environment(), check, end, node, evaluation])


def node_with_the_lens(context: LaunchContext) -> list[Action]:
    """The node with the lens that the figures are for, on its own topics: the evaluation plays the bag onto them.

    Raises (when launched):
        ConfigError, LensError: the file is no lens.
    """
    from dfd_perception.files.lens_file import read_lens
    from dfd_perception.ros.depth_node.dfd_parameters import parameters_of_lens

    lens = parameters_of_lens(read_lens(Path(LaunchConfiguration("lens").perform(context))))
    files = (LaunchConfiguration("params_file"), {**lens, "use_sim_time": True})
    return [depth_node(*files, arguments=OF_THE_NODE, remappings=())]
