# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A node for a command, in a context of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from dfd_perception.errors import UsageError
from dfd_perception.ros.shared.managed_node import plain_reason


@contextmanager
def own_node(
    name: str, ros_arguments: Sequence[str] = (), domain_id: int | None = None, signals_end_it: bool = False
) -> Iterator[tuple[Node, SingleThreadedExecutor]]:
    """A node and the executor that holds it; both end with the block, and rclpy with them.

    Args:
        name: of the node.
        ros_arguments: for rclpy, such as -r from:=to.
        domain_id: None for that of the environment.
        signals_end_it: SIGINT and SIGTERM end the context, as in a node; else they are left to the command.

    Raises:
        UsageError: arguments or an environment that ROS refuses.
    """
    context = rclpy.Context()
    try:
        rclpy.init(
            args=["dfd", "--ros-args", *ros_arguments] if ros_arguments else None,
            context=context,
            domain_id=domain_id,
            signal_handler_options=SignalHandlerOptions.ALL if signals_end_it else SignalHandlerOptions.NO,
        )
    except RuntimeError as error:
        raise UsageError(f"ROS does not start: {plain_reason(error)}") from error
    node = rclpy.create_node(name, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield node, executor
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def resolved_topic(node: Node, name: str) -> str:
    """The full name of a topic or service, remapping included.

    Raises:
        UsageError: a name that ROS does not allow.
    """
    try:
        return str(node.resolve_topic_name(name))
    except RuntimeError as error:
        raise UsageError(f"{name!r} cannot be a name in ROS: {plain_reason(error)}") from error
