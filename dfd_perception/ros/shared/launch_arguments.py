# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the launch files share: the arguments of the nodes, and the environment that every process of theirs needs.

It imports nothing but ROS 2's launch and the standard library, so that `ros2 launch ... -s` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

from dfd_perception.environment import fastdds_setting
from dfd_perception.inference.backends.table import PRECISIONS, backend_names


class Argument(NamedTuple):
    """One launch argument, as `ros2 launch dfd_perception FILE -s` shows it."""

    name: str
    default: Any
    """Text or substitution; None: it has to be given. Empty, of a parameter of a node: as params_file says."""
    text: str
    choices: tuple[str, ...] | None = None


CAMERA = (
    Argument("image_topic", "image", "Camera image (sensor_msgs/Image), or its base name for compressed transport"),
    Argument("camera_info_topic", "camera_info", "Its camera_info; without one set lens.pixel_pitch_um"),
)
"""Arguments of everything that starts the depth node on a camera."""

MODEL = Argument("model", "", "Model: folder name or path; empty: that of params_file (default 2hded-small)")
RUNTIME = (
    Argument("backend", "", "What runs the network; empty: that of params_file", ("", *backend_names())),
    Argument("precision", "", "Arithmetic of the network; empty: that of params_file", ("", *PRECISIONS)),
)
NETWORK = (MODEL, *RUNTIME)
SIM_TIME = Argument("use_sim_time", "", "Follow /clock; empty: as params_file says", ("", "true", "false"))
AUTOSTART = Argument("autostart", "", "Configure and activate at start; empty: as params_file says, or true",
                     ("", "true", "false"))  # fmt: skip

Parameters = Mapping[str, tuple[str, type]]
"""Launch argument to the parameter of a node that it sets, and its type."""

CLOCK: Parameters = {"use_sim_time": ("use_sim_time", bool)}
OF_THE_NODE: Parameters = {argument.name: (argument.name, str) for argument in NETWORK}

LOG_LEVEL = Argument("log_level", "info", "debug, info, warn, error", ("debug", "info", "warn", "error"))
BAG_RATE = Argument("bag_rate", "1.0", "Speed of the bag")


def declared(arguments: Iterable[tuple[Any, ...]]) -> list[DeclareLaunchArgument]:
    """The arguments, in this order."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices and list(choices))
        for name, default, text, choices in (Argument(*fields) for fields in arguments)
    ]


def stated(context: LaunchContext, parameters: Parameters) -> list[dict[str, ParameterValue]]:
    """What was given on the command line, to come after a file of parameters; what was not stays as the file says.

    With the type: without it `model:=123` would become a number.
    """
    values = {}
    for argument, (name, kind) in parameters.items():
        if LaunchConfiguration(argument).perform(context):
            values[name] = ParameterValue(LaunchConfiguration(argument), value_type=kind)
    return [values] if values else []


def log_level() -> list[Any]:
    """Arguments of a node that set LOG_LEVEL."""
    return ["--ros-args", "--log-level", LaunchConfiguration(LOG_LEVEL.name)]


def environment() -> list[SetEnvironmentVariable]:
    """The Fast DDS profile; without it images above 512 KiB are lost in silence."""
    return [SetEnvironmentVariable(name, value) for name, value in fastdds_setting().items()]
