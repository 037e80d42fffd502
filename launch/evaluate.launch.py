"""Starts dfd_node and plays a bag to it; ends with report.json and report.html of what the node answered."""

from __future__ import annotations

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from dfd_perception.environment import fastdds_setting
from launch import LaunchDescription

PACKAGE = "dfd_perception"
ARGUMENTS = (
    ("bag", None, "Bag with pictures, and with depth and all-in-focus pictures if figures are wanted"),
    ("out", None, "Folder for report.json, report.html and the answers as a bag"),
    ("lens", None, "LENS.yaml of the camera: for the figures; the node takes its lens from params_file"),
    ("params_file", PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "dfd.yaml"]), "Parameters of the node"),
    ("model", "2hded-small", "Model by name or path"),
    ("backend", "auto", "auto, tensorrt, openvino, onnxruntime, torch"),
    ("precision", "fp32", "fp32, fp16, bf16, int8"),
    ("bag_rate", "1.0", "Speed of playing"),
    ("log_level", "info", "debug, info, warn or error"),
)


def generate_launch_description() -> LaunchDescription:
    """The node and the evaluation; `ros2 launch dfd_perception evaluate.launch.py -s` explains the arguments."""
    value = LaunchConfiguration
    node = Node(
        package=PACKAGE,
        executable="dfd_node",
        name="dfd",
        output="screen",
        parameters=[
            value("params_file"),
            {
                "model": ParameterValue(value("model"), value_type=str),
                "backend": ParameterValue(value("backend"), value_type=str),
                "precision": ParameterValue(value("precision"), value_type=str),
                "use_sim_time": True,
            },
        ],
        arguments=["--ros-args", "--log-level", value("log_level")],
    )
    # Found by PATH or by the package: `dfd` is a console script that colcon installs under lib/dfd_perception.
    evaluation = ExecuteProcess(
        cmd=[
            *("ros2", "run", PACKAGE, "dfd", "evaluate", "--live", "--overwrite"),
            *("--model", value("model"), "--bag", value("bag"), "--lens", value("lens"), "--out", value("out")),
            *("--rate", value("bag_rate")),
        ],
        output="screen",
    )
    end = RegisterEventHandler(OnProcessExit(target_action=evaluation, on_exit=[EmitEvent(event=Shutdown())]))
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, default, text in ARGUMENTS
    ]
    environment = [SetEnvironmentVariable(*setting) for setting in fastdds_setting().items()]
    return LaunchDescription([*declared, *environment, node, evaluation, end])
