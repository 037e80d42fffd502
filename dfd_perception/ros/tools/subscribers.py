# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""For programs that publish and end: nothing is sent before somebody listens, nor lost because the program is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rclpy.publisher import Publisher

SETTLE_S = 0.6
"""Both sides have to find each other, and only one of them is seen from here; further listeners may be on their way."""
DRAIN_S = 0.3
"""Reliable messages still on their way are lost when the process ends at once."""


def wait_for_subscribers(
    publishers: Iterable[Publisher], wait_s: float, going: Callable[[], bool], at_least: int = 1, each: int = 0
) -> None:
    """Wait until a publisher has as many subscribers as `at_least`, and no more have come for a moment.

    Args:
        publishers: the topics.
        wait_s: longest wait for them.
        going: the wait ends when it says no.
        at_least: subscribers of one topic. Processes find each other up to a second apart, whatever the order in which
            they were started.
        each: subscribers of every topic: two topics of the same processes need not be matched at once either.
    """
    publishers = list(publishers)
    deadline = time.monotonic() + wait_s
    before: list[int] = []
    changed_s = time.monotonic()
    while going():
        counts = [publisher.get_subscription_count() for publisher in publishers]
        now = time.monotonic()
        if counts != before:
            before, changed_s = counts, now
        enough = max(counts) >= at_least and min(counts) >= each
        if (enough and now - changed_s >= SETTLE_S) or (not enough and now >= deadline):
            return
        time.sleep(0.02)
