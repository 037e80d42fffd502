"""Subscriptions that take what a publisher offers: reliable where it is, else best effort; and what it latched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from dfd_perception.ros.shared.node_log import Log
from dfd_perception.ros.shared.qos import SubscriptionEventCallbacks, overridable, qos_profile, subscription_events


class LosslessSubscriptions:
    """Subscriptions of a node that live and end together.

    Args:
        node: on which they are made.
        profile: QoS profile of all; auto is reliable until a best-effort publisher turns up.
    """

    def __init__(self, node: Node, profile: str, log: Log) -> None:
        self._node, self._profile, self._log = node, profile, log
        self._made: list[Any] = []

    def add(self, kind: type, topic: str, callback: Callable[[Any], None], depth: int) -> None:
        """Subscribe to a topic; `depth` is the queue. A camera_info that was latched before is taken too."""
        if self._profile == "auto":
            self._add_auto(kind, topic, callback, depth)
        else:
            self._create(kind, topic, callback, self._profile, depth, subscription_events(self._node, topic))
        if kind is CameraInfo and self._profile != "latched":
            # Only a latched subscription gets what was said before it. Publishers that do not latch are the other's.
            ignored = SubscriptionEventCallbacks(incompatible_qos=lambda event: None)
            self._create(kind, topic, callback, "latched", depth, ignored, beside=True)

    def destroy(self) -> None:
        """End all of them."""
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
