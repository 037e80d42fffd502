"""Running one node as a process: SIGINT and SIGTERM end it with exit code 0 and no traceback, on every distribution."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn


def spin_node(create: Callable[[], Any], arguments: Sequence[str] | None = None) -> int:
    """Start rclpy, create the node, spin until a signal ends it; returns the exit code.

    A lifecycle node with parameter autostart, and `stop()`, which ends its threads.

    SIGINT raises KeyboardInterrupt; SIGTERM raises ExternalShutdownException up to Jazzy, from Kilted spin() returns.
    """
    node: Any = None
    try:
        rclpy.init(args=None if arguments is None else [sys.argv[0], *arguments])
        node = create()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        autostart(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        # The signal handler ends the context under a callback that is publishing: that fails, and nothing is wrong.
        if rclpy.ok():
            raise
    finally:
        _end(node)
    return 0


def autostart(node: LifecycleNode) -> None:
    """Configure and activate if parameter autostart says so; what fails is logged and the node stays up."""
    if node.get_parameter("autostart").value and node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()


def _end(node: Any) -> None:
    # A second Ctrl-C while this runs must not leave a traceback either.
    try:
        if node is not None:
            node.stop()
            node.destroy_node()
        if rclpy.ok():
            rclpy.shutdown()
    except KeyboardInterrupt:
        pass
