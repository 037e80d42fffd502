# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""QoS by named profile, overridable per topic, and a warning when a peer asks for what is not offered.

Images are taken as their publisher offers them, and given reliable, which any subscriber accepts (RViz asks for
reliable). Each topic takes overrides: qos_overrides./depth/image.publisher.reliability: best_effort.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSPolicyKind, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

PROFILES = ("best_effort", "reliable", "latched")
INPUT_PROFILES = ("auto", *PROFILES)
"""auto: reliable where the publisher offers it, else best effort."""


def qos_profile(name: str, depth: int) -> QoSProfile:
    """best_effort (sensor data), reliable, or latched (reliable, and a late subscriber gets the last message)."""
    latched = name == "latched"
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=QoSReliabilityPolicy.BEST_EFFORT if name == "best_effort" else QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE,
    )


def overridable() -> QoSOverridingOptions:
    """Parameters qos_overrides.TOPIC.(publisher|subscription).POLICY for these policies."""
    kinds = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
    return QoSOverridingOptions(kinds)


def subscription_events(node: Node, topic: str) -> SubscriptionEventCallbacks:
    """Warn when a publisher offers less than this subscription asks for: no message of it will ever arrive."""
    return SubscriptionEventCallbacks(incompatible_qos=_warning(node, topic, "a publisher offers", "asks for more"))


def publisher_events(node: Node, topic: str) -> PublisherEventCallbacks:
    """Warn when a subscriber asks for more than this publisher offers."""
    return PublisherEventCallbacks(incompatible_qos=_warning(node, topic, "a subscriber asks for", "offers less"))


def _warning(node: Node, topic: str, peer: str, own: str) -> Callable[[Any], None]:
    resolved = node.resolve_topic_name(topic)

    def warn(event: Any) -> None:
        kind = event.last_policy_kind
        policy = getattr(kind, "name", None) or QoSPolicyKind(int(kind)).name
        node.get_logger().warning(
            f"incompatible QoS on {resolved}: {peer} another {policy.lower()} and this node {own}; nothing passes. "
            f"Set parameter qos.input or qos.output, or qos_overrides.{resolved}"
        )

    return warn
