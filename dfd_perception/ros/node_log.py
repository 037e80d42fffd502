"""A node's logger as one function of severity and message."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

Log = Callable[[str, str], None]
"""log(severity, message); severity is info, warning or error."""


def node_log(node: Node) -> Log:
    """The node's logger; callable from any thread."""

    def log(severity: str, message: str) -> None:
        logger = node.get_logger()
        # One line for each: rclpy refuses a call site that changes its severity.
        if severity == "error":
            logger.error(message)
        elif severity == "warning":
            logger.warning(message)
        else:
            logger.info(message)

    return log
