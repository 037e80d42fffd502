# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Starts dfd_node on a camera's topics, or on a bag; RViz and a recording beside it if asked for.

ros2 launch dfd_perception dfd.launch.py image_topic:=/camera/image_raw camera_info_topic:=/camera/camera_info
"""

from __future__ import annotations

from launch.action import Action
from launch.actions import GroupAction, OpaqueFunction, SetLaunchConfiguration
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.substitutions import FindPackageShare

from dfd_perception.ros.shared.launch_arguments import (
    AUTOSTART,
    BAG_RATE,
    CAMERA,
    CLOCK,
    LOG_LEVEL,
    NETWORK,
    OF_THE_NODE,
    declared,
    environment,
    stated,
)
from dfd_perception.ros.shared.launch_nodes import depth_node
from dfd_perception.ros.shared.launch_processes import ends_all, exists, first_check, is_new, may_end, rviz_is_installed
from launch import LaunchContext, LaunchDescription

PACKAGE = "dfd_perception"
SHARE = FindPackageShare(PACKAGE)
YES_NO = ("true", "false")
SHOWN = ("deblurred/image", "depth/image", "depth/image_color", "depth/points")
"""Outputs in rviz/dfd.rviz, where their names are those of a node without a namespace."""

RECORDED = ("depth/image", "depth/camera_info", "deblurred/image", "deblurred/camera_info")
ARGUMENTS = (
    *CAMERA,
    ("namespace", "", "Namespace of the node and its outputs"),
    ("params_file", PathJoinSubstitution([SHARE, "config", "dfd.yaml"]), "Parameters; the lens goes here"),
    *NETWORK,
    AUTOSTART,
    ("use_sim_time", "", "Follow /clock; empty: with bag, or as params_file says", ("", *YES_NO)),
    ("rviz", "false", "Open RViz with the outputs", YES_NO),
    ("rviz_config", PathJoinSubstitution([SHARE, "rviz", "dfd.rviz"]), "What RViz shows"),
    ("fixed_frame", "", "Frame in which RViz shows the points, such as map; empty: that of rviz_config"),
    LOG_LEVEL,
    ("record", "", "Record the outputs into this bag (a folder that does not exist yet)"),
    ("bag", "", "Play this bag (with /clock) instead of a camera; all ends when it ends"),
    BAG_RATE,
)


def generate_launch_description() -> LaunchDescription:
    """The node; and a bag player, a recorder and RViz where asked for."""
    value = LaunchConfiguration
    is_set = {name: IfCondition(PythonExpression(["len('", value(name), "') > 0"])) for name in ("bag", "record")}
    clock = SetLaunchConfiguration("use_sim_time", "true", condition=is_set["bag"])
    arguments = {**OF_THE_NODE, **CLOCK, "autostart": ("autostart", bool)}
    node = depth_node(value("params_file"), arguments=arguments)
    player = Node(
        package=PACKAGE,
        executable="dfd",
        name="dfd_play",
        output="screen",
        arguments=["play", value("bag"), "--clock", "--wait", "2", "--rate", value("bag_rate")],
        condition=is_set["bag"],
    )
    topics = [topic for output in RECORDED for topic in ("--topic", output)]
    recorder = Node(
        package=PACKAGE,
        executable="dfd",
        name="dfd_record_bag",
        output="screen",
        arguments=["record-bag", value("record"), *topics],
        condition=is_set["record"],
    )
    check = first_check(
        rviz_is_installed,
        exists("params_file", "a YAML file of parameters"),
        exists("bag", "a bag folder, or an .mcap or .db3 file"),
        is_new("record", "a folder that does not exist yet"),
    )
    ends = (
        ends_all(player, "the bag has ended"),
        ends_all(recorder, "the recording has ended"),
    )
    rviz = OpaqueFunction(function=rviz_with_the_nodes_topics, condition=IfCondition(value("rviz")))
    nodes = GroupAction([PushRosNamespace(value("namespace")), node, recorder, rviz])
    return LaunchDescription([*declared(ARGUMENTS), *environment(), check, clock, *ends, nodes, player])


def rviz_with_the_nodes_topics(context: LaunchContext) -> list[Action]:
    """RViz in the node's namespace, with the camera's topic and the frame that were asked for.

    Found on the PATH, as `rviz_is_installed` has made sure; a look-up by package could fail with the node running.
    """
    value = LaunchConfiguration
    frame = value("fixed_frame").perform(context)
    rviz = Node(
        executable="rviz2",
        name="rviz",
        output="screen",
        arguments=["-d", value("rviz_config"), *(["-f", frame] if frame else [])],
        parameters=stated(context, CLOCK),
        remappings=[("/image", value("image_topic")), *((f"/{topic}", topic) for topic in SHOWN)],
    )
    return [may_end(rviz), rviz]
