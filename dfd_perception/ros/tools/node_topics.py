# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The topics of a running node, read off the ROS graph."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

from dfd_perception.core.camera_info import CAMERA_INFO_TYPE
from dfd_perception.core.image_encoding import COMPRESSED_IMAGE_TYPE, IMAGE_TYPE
from dfd_perception.errors import DfdPerceptionError

IMAGES = {IMAGE_TYPE, COMPRESSED_IMAGE_TYPE}


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
        topics = _topics_of(node, base, namespace or "/", endings)
        if topics is not None:
            return topics
        if time.monotonic() > deadline:
            others = [f"{s.rstrip('/')}/{n}" for n, s in node.get_node_names_and_namespaces() if n != node.get_name()]
            raise DfdPerceptionError(
                f"no node /{name.lstrip('/')} that takes images and publishes depth/image within {wait_s:g} s; "
                f"running: {', '.join(sorted(others)) or 'none'}. Start it (dfd_node), or name it with --node"
            )
        time.sleep(0.1)


def _topics_of(node: Node, name: str, namespace: str, endings: Sequence[str]) -> NodeTopics | None:
    """By the ends of topics, not by node: of two nodes of one name, rmw tells the topics of the first that it knows.

    The first may be the one that was killed before the other started, which the graph holds for some seconds more.
    """

    def of_the_node(end: TopicEndpointInfo) -> bool:
        return (end.node_name, end.node_namespace) == (name, namespace)

    images: dict[str, str] = {}
    infos: list[str] = []
    answers: dict[str, str] = {}
    for topic, types in node.get_topic_names_and_types():
        if set(types) & (IMAGES | {CAMERA_INFO_TYPE}):
            taken = [end.topic_type for end in node.get_subscriptions_info_by_topic(topic) if of_the_node(end)]
            images.update((topic, kind) for kind in taken if kind in IMAGES)
            infos += [topic] if CAMERA_INFO_TYPE in taken else []
        ending = next((ending for ending in endings if topic.endswith(ending)), None)
        if ending is not None and any(map(of_the_node, node.get_publishers_info_by_topic(topic))):
            answers[ending] = topic
    if not images or not answers:
        return None
    image = next(iter(images))
    return NodeTopics(image, images[image], infos[0] if infos else None, answers)
