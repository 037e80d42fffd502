# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The depth node as every launch file starts it."""

from __future__ import annotations

from typing import Any

from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from dfd_perception.ros.shared.launch_arguments import log_level, network_parameters

PACKAGE = "dfd_perception"


def depth_node(*parameters: Any) -> Node:
    """dfd_node on the topics of CAMERA; later parameters win, and the arguments of NETWORK over all of them."""
    value = LaunchConfiguration
    return Node(
        package=PACKAGE,
        executable="dfd_node",
        name="dfd",
        output="screen",
        parameters=[*parameters, network_parameters()],
        remappings=[
            ("image", value("image_topic")),
            ("image/compressed", [value("image_topic"), "/compressed"]),
            ("camera_info", value("camera_info_topic")),
        ],
        arguments=log_level(),
    )
