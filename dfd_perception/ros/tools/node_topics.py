# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The topics of a running node, read off the ROS graph."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import rclpy.node
from rclpy.node import Node

from dfd_perception.errors import DfdPerceptionError

IMAGES = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


@dataclass(frozen=True)
class NodeTopics:
    """A node's topics as they are named in the running system."""

    image: str
    image_type: str
    """Such as sensor_msgs/msg/Image."""
    camera_info: str | None
    answers: dict[str, str]
    """Ending that was asked for to topic."""


def wait_for_node(node: Node, name: str, endings: Sequence[str], wait_s: float) -> NodeTopics:
    """Find the topics of a node that takes images and publishes topics with some of the endings.

    Raises:
        DfdPerceptionError: it does not show within wait_s; the message lists the nodes that run.
    """
    namespace, _, base = f"/{name.lstrip('/')}".rpartition("/")
    deadline = time.monotonic() + wait_s
    while True:
        found = _topics_of(node, base, namespace or "/", endings)
        if found is not None:
            return found
        if time.monotonic() > deadline:
            others = [f"{s.rstrip('/')}/{n}" for n, s in node.get_node_names_and_namespaces() if n != node.get_name()]
            raise DfdPerceptionError(
                f"no node /{name.lstrip('/')} that takes images and publishes depth/image within {wait_s:g} s; "
                f"running: {', '.join(sorted(others)) or 'none'}. Start it (dfd_node), or name it with --node"
            )
        time.sleep(0.1)


def _topics_of(node: Node, name: str, namespace: str, endings: Sequence[str]) -> NodeTopics | None:
    try:
        takes = dict(node.get_subscriber_names_and_types_by_node(name, namespace))
        gives = dict(node.get_publisher_names_and_types_by_node(name, namespace))
    except (rclpy.node.NodeNameNonExistentError, RuntimeError):
        return None
    images = [topic for topic, types in takes.items() if set(types) & IMAGES]
    infos = [topic for topic, types in takes.items() if CAMERA_INFO in types]
    answers = {ending: topic for topic in gives for ending in endings if topic.endswith(ending)}
    if not images or not answers:
        return None
    return NodeTopics(images[0], takes[images[0]][0], infos[0] if infos else None, answers)
