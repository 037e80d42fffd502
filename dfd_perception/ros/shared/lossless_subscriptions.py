# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Subscriptions that take what a publisher offers: reliable where it is, else best effort; and what it latched."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from dfd_perception.core.image_encoding import COMPRESSED_IMAGE_TYPE, IMAGE_TYPE
from dfd_perception.errors import counted
from dfd_perception.ros.shared.node_log import Log
from dfd_perception.ros.shared.qos import SubscriptionEventCallbacks, overridable, qos_profile, subscription_events

PATIENCE_S = 5.0
IMAGES = {IMAGE_TYPE, COMPRESSED_IMAGE_TYPE}


def silence_of(node: Node, topic: str) -> str:
    """Why nothing comes on a topic: nobody publishes, or somebody publishes the same image in another transport.

    Args:
        topic: its resolved name.
    """
    count = node.count_publishers(topic)
    if count:
        return f"nothing on {topic} yet: {counted(count, 'publisher')} known, none sends"
    return f"nothing on {topic} yet: nobody publishes{published_near(node, topic)}"


def published_near(node: Node, topic: str) -> str:
    """What to say where the same image is there in another transport: ", but /image/compressed is ..."; else empty."""
    base = topic.removesuffix("/compressed").removesuffix("/compressedDepth")
    near = [
        name
        for name, kinds in node.get_topic_names_and_types()
        if name != topic and (name == base or name.startswith(f"{base}/")) and IMAGES & set(kinds)
        if node.count_publishers(name)
    ]
    if not near:
        return ""
    return f", but {' and '.join(sorted(near))} is published: set input.transport, or the recorder's sensor.transport"


class LosslessSubscriptions:
    """Subscriptions of a node that live and end together.

    Args:
        node: on which they are made.
        profile: QoS profile of all; auto is reliable until a best-effort publisher turns up.
    """

    def __init__(self, node: Node, profile: str, log: Log) -> None:
        self._node, self._profile, self._log = node, profile, log
        self._made: list[Any] = []
        self._silent: dict[str, float] = {}
        """Topic to the monotonic time since when nothing has come on it."""

    def add(self, kind: type, topic: str, callback: Callable[[Any], None], depth: int) -> None:
        """Subscribe to a topic; `depth` is the queue. A camera_info that was latched before is taken too."""
        name = self._node.resolve_topic_name(topic)
        self._silent[name] = time.monotonic()

        def heard(message: Any) -> None:
            self._silent.pop(name, None)
            callback(message)

        if self._profile == "auto":
            self._add_auto(kind, topic, heard, depth)
        else:
            self._create(kind, topic, heard, self._profile, depth, subscription_events(self._node, topic))
        if kind is CameraInfo and self._profile != "latched":
            # Only a latched subscription gets what was said before it. Publishers that do not latch are the other's.
            ignored = SubscriptionEventCallbacks(incompatible_qos=lambda event: None)
            self._create(kind, topic, heard, "latched", depth, ignored, beside=True)

    def silences(self) -> list[str]:
        """Topics on which nothing has come for so long, each with who publishes there or near it."""
        now = time.monotonic()
        return [silence_of(self._node, topic) for topic, since in self._silent.items() if now - since > PATIENCE_S]

    def destroy(self) -> None:
        """End all of them."""
        self._silent.clear()
        for subscription in self._made:
            self._node.destroy_subscription(subscription)
        self._made.clear()

    def _add_auto(self, kind: type, topic: str, callback: Callable[[Any], None], depth: int) -> None:
        taken_over: list[str] = []

        def reliable(message: Any) -> None:
            if not taken_over:
                callback(message)

        def on_incompatible(event: Any) -> None:
            if taken_over:
                return
            # A best-effort subscription hears every publisher: from here on it alone is listened to.
            taken_over.append(topic)
            name = self._node.resolve_topic_name(topic)
            self._log("info", f"a publisher of {name} is best effort: messages may be lost before they arrive")
            events = subscription_events(self._node, topic)
            self._create(kind, topic, callback, "best_effort", depth, events, beside=True)

        events = SubscriptionEventCallbacks(incompatible_qos=on_incompatible)
        self._create(kind, topic, reliable, "reliable", depth, events)

    def _create(
        self,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        profile: str,
        depth: int,
        events: SubscriptionEventCallbacks,
        beside: bool = False,
    ) -> None:
        self._made.append(
            self._node.create_subscription(
                kind,
                topic,
                callback,
                qos_profile(profile, depth),
                event_callbacks=events,
                # The overrides are of the topic's first subscription; one beside it is made to differ.
                qos_overriding_options=None if beside else overridable(),
            )
        )
