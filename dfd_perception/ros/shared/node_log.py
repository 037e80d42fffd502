# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A node's logger as one function of severity and message, which nobody can flood."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

from dfd_perception.errors import DfdPerceptionError, shortened
from dfd_perception.ros.shared.log_throttle import LineThrottle

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
