# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the launch files share: the arguments of the nodes, and the environment that every process of theirs needs.

It imports nothing but ROS 2's launch and the standard library, so that `ros2 launch ... -s` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

from dfd_perception.environment import fastdds_setting
from dfd_perception.inference.backends.table import PRECISIONS, backend_names


class Argument(NamedTuple):
    """One launch argument, as `ros2 launch dfd_perception FILE -s` shows it."""

    name: str
    default: Any
    """Text or substitution; None: it has to be given."""
    text: str
    choices: tuple[str, ...] | None = None


CAMERA = (
    Argument("image_topic", "image", "Camera image (sensor_msgs/Image), or its base name for compressed transport"),
    Argument("camera_info_topic", "camera_info", "Its camera_info; without one set lens.pixel_pitch_um"),
)
"""Arguments of everything that starts the depth node on a camera."""

NETWORK = (
    Argument("model", "2hded-small", "Model: folder name or path; wins over params_file"),
    Argument(
        "backend", "auto", "What runs the network; wins over params_file",
        backend_names(),
    ),
    Argument("precision", "fp32", "Arithmetic of the network; wins over params_file", PRECISIONS),
)  # fmt: skip
"""Arguments of everything that starts dfd_node; `network_parameters` hands them over."""

LOG_LEVEL = Argument("log_level", "info", "debug, info, warn, error", ("debug", "info", "warn", "error"))
BAG_RATE = Argument("bag_rate", "1.0", "Speed of the bag")


def declared(arguments: Iterable[tuple[Any, ...]]) -> list[DeclareLaunchArgument]:
    """The arguments, in this order."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices and list(choices))
        for name, default, text, choices in (Argument(*fields) for fields in arguments)
    ]


def typed(name: str, value_type: type) -> ParameterValue:
    """An argument as the value of a parameter; without the type `model:=123` would become a number."""
    return ParameterValue(LaunchConfiguration(name), value_type=value_type)


def network_parameters() -> dict[str, ParameterValue]:
    """Parameters of dfd_node that NETWORK gives."""
    return {argument.name: typed(argument.name, str) for argument in NETWORK}


def log_level() -> list[Any]:
    """Arguments of a node that set LOG_LEVEL."""
    return ["--ros-args", "--log-level", LaunchConfiguration(LOG_LEVEL.name)]


def environment() -> list[SetEnvironmentVariable]:
    """The Fast DDS profile; without it images above 512 KiB are lost in silence."""
    return [SetEnvironmentVariable(name, value) for name, value in fastdds_setting().items()]
