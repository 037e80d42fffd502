# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A node's logger as one function of severity and message, which nobody can flood.

Whoever sends images decides what a node complains about and how often. A log of thousand lines a minute hides the one
that matters and fills the robot's disk. So equal lines come once in a while, every line is short, and there is a bound
on all of them together.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node

from dfd_perception.errors import DfdPerceptionError, shortened

REPEAT_S = 10.0
"""Lines of one kind are said once in this time."""

BURST = 20
"""Lines of any kind that may come at once."""

REFILL_S = 3.0
"""Then one line in this time."""

KINDS_KEPT = 100
QUOTED_OR_NUMBER = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass
class _Kind:
    logged_s: float
    held_back: int = 0


class LineThrottle:
    """Decides which lines are said. Lines that differ in numbers or quoted words only are of one kind."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: OrderedDict[str, _Kind] = OrderedDict()
        self._left = float(BURST)
        self._refilled_s = clock()
        self._held_back = 0

    def admit(self, severity: str, text: str) -> str | None:
        """The line to say, shortened and with the number of those that were held back; None to say nothing."""
        line = shortened(text)
        now = self._clock()
        with self._lock:
            key = f"{severity} {QUOTED_OR_NUMBER.sub('#', line)}"
            kind = self._kinds.get(key)
            if kind is not None and now - kind.logged_s < REPEAT_S:
                kind.held_back += 1
                return None
            if not self._take(now):
                self._held_back += 1
                return None
            repeated = kind.held_back if kind is not None else 0
            self._kinds[key] = _Kind(now)
            self._kinds.move_to_end(key)
            while len(self._kinds) > KINDS_KEPT:
                self._kinds.popitem(last=False)
            others, self._held_back = self._held_back, 0
        if repeated:
            line += f" ({repeated} more like it since)"
        if others:
            line += f" ({others} other lines were held back)"
        return line

    def _take(self, now_s: float) -> bool:
        self._left = min(float(BURST), self._left + (now_s - self._refilled_s) / REFILL_S)
        self._refilled_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


Log = Callable[[str, str], None]
"""log(severity, message); severity is info, warning or error."""


def node_log(node: Node) -> Log:
    """The node's logger; callable from any thread. What is said again and again, or is long, is held short."""
    throttle = LineThrottle()

    def log(severity: str, message: str) -> None:
        line = throttle.admit(severity, message)
        if line is None:
            return
        logger = node.get_logger()
        # One line for each: rclpy refuses a call site that changes its severity.
        if severity == "error":
            logger.error(line)
        elif severity == "warning":
            logger.warning(line)
        else:
            logger.info(line)

    return log


def one_line(error: BaseException) -> str:
    """An error as one short line for log and diagnostics; a defect of the program says its type."""
    text = shortened(str(error))
    return text if isinstance(error, DfdPerceptionError) else f"{type(error).__name__}: {text}"
