"""Starts dfd_node on a camera's topics, or on a bag; RViz and a recording beside it if asked for.

ros2 launch dfd_perception dfd.launch.py image_topic:=/camera/image_raw camera_info_topic:=/camera/camera_info
"""

from __future__ import annotations

from launch.actions import EmitEvent, GroupAction, RegisterEventHandler
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from dfd_perception.ros.shared.launch_arguments import (
    BAG_RATE,
    LOG_LEVEL,
    NETWORK,
    declared,
    environment,
    log_level,
    network_parameters,
    typed,
)
from launch import LaunchDescription

PACKAGE = "dfd_perception"
SHARE = FindPackageShare(PACKAGE)
YES_NO = ("true", "false")
OUTPUTS = ("depth/image", "depth/camera_info", "deblurred/image", "deblurred/camera_info")
ARGUMENTS = (
    ("image_topic", "image", "Camera image (sensor_msgs/Image), or its base name for compressed transport"),
    ("camera_info_topic", "camera_info", "Its camera_info; without one set lens.pixel_pitch_um"),
    ("namespace", "", "Namespace of the node and its outputs"),
    ("params_file", PathJoinSubstitution([SHARE, "config", "dfd.yaml"]), "Parameters; the lens goes here"),
    *NETWORK,
    ("autostart", "true", "Configure and activate at start", YES_NO),
    ("use_sim_time", "false", "Follow /clock; implied by bag", YES_NO),
    ("rviz", "false", "Open RViz with the outputs", YES_NO),
    ("rviz_config", PathJoinSubstitution([SHARE, "rviz", "dfd.rviz"]), "What RViz shows"),
    LOG_LEVEL,
    ("record", "", "Record the outputs into this bag (a folder that does not exist yet)"),
    ("bag", "", "Play this bag (with /clock) instead of a camera; all ends when it ends"),
    BAG_RATE,
)


def generate_launch_description() -> LaunchDescription:
    """The node; and a bag player, a recorder and RViz where asked for."""
    value = LaunchConfiguration
    is_set = {name: IfCondition(PythonExpression(["len('", value(name), "') > 0"])) for name in ("bag", "record")}
    sim_time = PythonExpression(["'", value("use_sim_time"), "' == 'true' or len('", value("bag"), "') > 0"])
    clock = {"use_sim_time": ParameterValue(sim_time, value_type=bool)}
    node = Node(
        package=PACKAGE,
        executable="dfd_node",
        name="dfd",
        output="screen",
        parameters=[
            value("params_file"),
            {**network_parameters(), "autostart": typed("autostart", bool)},
            clock,
        ],
        remappings=[
            ("image", value("image_topic")),
            ("image/compressed", [value("image_topic"), "/compressed"]),
            ("camera_info", value("camera_info_topic")),
        ],
        arguments=log_level(),
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", value("rviz_config")],
        parameters=[clock],
        condition=IfCondition(value("rviz")),
    )
    player = Node(
        package=PACKAGE,
        executable="dfd",
        name="dfd_play",
        output="screen",
        arguments=["play", value("bag"), "--clock", "--wait", "2", "--rate", value("bag_rate")],
        condition=is_set["bag"],
    )
    topics = [topic for output in OUTPUTS for topic in ("--topic", output)]
    recorder = Node(
        package=PACKAGE,
        executable="dfd",
        name="dfd_record_bag",
        output="screen",
        arguments=["record-bag", value("record"), *topics],
        condition=is_set["record"],
    )
    end_with_bag = RegisterEventHandler(
        OnProcessExit(target_action=player, on_exit=[EmitEvent(event=Shutdown(reason="the bag has ended"))])
    )
    nodes = GroupAction([PushRosNamespace(value("namespace")), node, recorder, rviz])
    return LaunchDescription([*declared(ARGUMENTS), *environment(), nodes, player, end_with_bag])
