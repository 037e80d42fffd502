# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Calls a std_srvs/Trigger service of a running node: what `ros2 service call` does, for who has no ros2."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from rclpy.node import Node
from std_srvs.srv import Trigger

from dfd_perception.core.durations import require_duration
from dfd_perception.errors import DfdPerceptionError
from dfd_perception.ros.shared.own_node import own_node, resolved_topic


class Answer(NamedTuple):
    """What the node said."""

    success: bool
    message: str


def call_trigger(node_name: str, service: str, wait_s: float, limit_s: float, ros_arguments: Sequence[str]) -> Answer:
    """Call `/NODE_NAME/SERVICE` and wait for its answer; rclpy is started and ended here.

    Args:
        node_name: name of the node, with its namespace if it has one.
        wait_s: longest wait for the node to appear.
        limit_s: longest wait for its answer.
        ros_arguments: for rclpy, such as -r from:=to.

    Raises:
        UsageError: a name that no node can have.
        DfdPerceptionError: no such node, or no answer in time; the message names the nodes that have the service.
    """
    require_duration("wait", wait_s, may_be_0=True)
    require_duration("limit", limit_s)
    with own_node("dfd_call", ros_arguments) as (node, executor):
        topic = resolved_topic(node, f"/{node_name.strip('/')}/{service}")
        client = node.create_client(Trigger, topic)
        if not client.wait_for_service(wait_s):
            raise DfdPerceptionError(f"no service {topic} within {wait_s:g} s; {_others(node, service)}")
        future = client.call_async(Trigger.Request())
        executor.spin_until_future_complete(future, timeout_sec=limit_s)
        if not future.done():
            raise DfdPerceptionError(f"{topic} did not answer within {limit_s:g} s; the node may still be at it")
        response = future.result()
        return Answer(response.success, response.message)


def _others(node: Node, service: str) -> str:
    others = []
    for name, namespace in node.get_node_names_and_namespaces():
        full_name = f"{namespace.rstrip('/')}/{name}"
        # By node: a list of all services holds those that somebody only asks for, such as this one.
        with suppress(RuntimeError):  # a node that has just ended
            offered = dict(node.get_service_names_and_types_by_node(name, namespace))
            if f"{full_name}/{service}" in offered:
                others.append(full_name)
    if not others:
        return "no node that runs has it: start it"
    return f"nodes that have it: {', '.join(sorted(others))} (--node)"
