"""Subscriptions that lose nothing which their publisher would not lose anyway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from dfd_perception.ros.node_log import Log
from dfd_perception.ros.qos import SubscriptionEventCallbacks, qos_profile, subscription_events


class LosslessSubscriptions:
    """The node's subscriptions of one activation.

    Args:
        node: on which they are made.
        profile: QoS profile of all; auto is reliable, and best effort beside it once such a publisher turns up.
        depth: queue of each.
    """

    def __init__(self, node: Node, profile: str, depth: int, log: Log) -> None:
        self._node, self._profile, self._depth, self._log = node, profile, depth, log
        self._made: list[Any] = []

    def add(self, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        """Subscribe to a topic."""
        if self._profile != "auto":
            self._create(kind, topic, callback, self._profile, subscription_events(self._node, topic))
            return
        beside: list[str] = []

        def on_incompatible(event: Any) -> None:
            if not beside:
                beside.append(topic)
                self._log("info", f"a publisher of {topic} is best effort: frames may be lost before they arrive")
                self._create(kind, topic, callback, "best_effort", subscription_events(self._node, topic))

        self._create(kind, topic, callback, "reliable", SubscriptionEventCallbacks(incompatible_qos=on_incompatible))

    def destroy(self) -> None:
        """End all of them."""
        for subscription in self._made:
            self._node.destroy_subscription(subscription)
        self._made.clear()

    def _create(
        self, kind: type, topic: str, callback: Callable[[Any], None], profile: str, events: SubscriptionEventCallbacks
    ) -> None:
        self._made.append(
            self._node.create_subscription(
                kind, topic, callback, qos_profile(profile, self._depth), event_callbacks=events
            )
        )
