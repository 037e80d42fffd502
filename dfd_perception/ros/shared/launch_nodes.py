# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Nodes as the launch files start them: with what the command line gives over what the files of parameters say."""

from __future__ import annotations

from typing import Any

from launch.action import Action
from launch.actions import OpaqueFunction
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from dfd_perception.ros.shared.launch_arguments import CLOCK, OF_THE_NODE, Parameters, log_level, stated
from dfd_perception.ros.shared.launch_processes import ends_all

PACKAGE = "dfd_perception"
ON_THE_CAMERA = (
    ("image", LaunchConfiguration("image_topic")),
    ("image/compressed", [LaunchConfiguration("image_topic"), "/compressed"]),
    ("camera_info", LaunchConfiguration("camera_info_topic")),
)
"""Remappings by the arguments of CAMERA."""


def depth_node(
    *parameters: Any, arguments: Parameters | None = None, remappings: tuple[Any, ...] = ON_THE_CAMERA
) -> OpaqueFunction:
    """dfd_node, which ends all when it ends; later parameters win, over all of them what `arguments` give."""
    chosen = {**OF_THE_NODE, **CLOCK} if arguments is None else arguments
    return node_with(chosen, parameters, executable="dfd_node", name="dfd", remappings=remappings)


def node_with(arguments: Parameters, parameters: tuple[Any, ...], **options: Any) -> OpaqueFunction:
    """A node, which ends all when it ends: made when the launch is carried out and its arguments are known.

    Args:
        arguments: those that set parameters, where they are given.
        parameters: files and tables before them.
        options: of launch_ros' Node; the package is ours if it names none.
    """

    def started(context: LaunchContext) -> list[Action]:
        node = Node(
            output="screen",
            parameters=[*parameters, *stated(context, arguments)],
            **({"package": PACKAGE, "arguments": log_level()} if "package" not in options else {}),
            **options,
        )
        return [ends_all(node, f"{options['executable']} has ended"), node]

    return OpaqueFunction(function=started)
