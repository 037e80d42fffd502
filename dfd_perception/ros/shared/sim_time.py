# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A node that was told to take its time from /clock where nobody gives it one."""

from __future__ import annotations

import time

from rclpy.node import Node

GRACE_S = 3.0
"""Once time has come: a bag that is played again leaves a gap."""

FIRST_GRACE_S = 10.0
"""Before any time has come: a simulator or a bag player is often started together with the node, and takes longer."""

ADVICE = "play the bag with --clock, start the simulator, or set use_sim_time to false"


class SimTimeWatch:
    """Asked once in a while; a time that stands still because its publisher is paused is no problem."""

    def __init__(self, node: Node, grace_s: float = GRACE_S, first_grace_s: float = FIRST_GRACE_S) -> None:
        self._node = node
        self._later_grace_s = grace_s
        self._grace_s = first_grace_s
        self._well_s = time.monotonic()
        self.had_time = False
        """Time has come once: without a publisher it has ended, as after a bag, and was not forgotten."""

    def problem(self) -> str | None:
        """What is wrong, once it has been for some seconds; None if nothing is."""
        wrong = self._wrong()
        if wrong is None:
            self._well_s = time.monotonic()
            if self._node.get_parameter("use_sim_time").value:
                self.had_time, self._grace_s = True, self._later_grace_s
            return None
        return wrong if time.monotonic() - self._well_s >= self._grace_s else None

    def _wrong(self) -> str | None:
        node = self._node
        if not node.get_parameter("use_sim_time").value:
            return None
        topic = node.resolve_topic_name("/clock")
        if node.count_publishers(topic) == 0 and self.had_time:
            return f"{topic} has ended: nobody publishes it any more, and this node's time stands still"
        if node.count_publishers(topic) == 0:
            return f"use_sim_time is true, but nobody publishes {topic}: this node's time stands still; {ADVICE}"
        if node.get_clock().now().nanoseconds == 0:
            return f"use_sim_time is true, but no time has come on {topic}; {ADVICE}"
        return None
