# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""For programs that publish and end: nothing is sent before somebody listens, nor lost because the program is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rclpy.publisher import Publisher

SETTLE_S = 0.3
"""Both sides have to find each other, and only one of them is seen from here."""
DRAIN_S = 0.3
"""Reliable messages still on their way are lost when the process ends at once."""


def wait_for_subscriber(publishers: Iterable[Publisher], wait_s: float, going: Callable[[], bool]) -> None:
    """Wait until one of the publishers has a subscriber, at most wait_s, and not after `going` says no."""
    publishers = list(publishers)
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and going():
        if any(publisher.get_subscription_count() for publisher in publishers):
            time.sleep(SETTLE_S)
            return
        time.sleep(0.02)
