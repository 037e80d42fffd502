# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""When a node says that nobody gives it the time."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

import rclpy
import rclpy.executors
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from dfd_perception.ros.shared.sim_time import SimTimeWatch


def test_who_is_started_with_the_node_has_longer_than_who_stops(ros_domain_id):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    node = rclpy.create_node(
        "patient", context=context, parameter_overrides=[Parameter("use_sim_time", Parameter.Type.BOOL, True)]
    )
    try:
        watch = SimTimeWatch(node, grace_s=0.2, first_grace_s=2.0)
        began_s = time.monotonic()
        while (problem := watch.problem()) is None:
            time.sleep(0.01)
        assert 2.0 <= time.monotonic() - began_s < 10.0
        assert "nobody publishes /clock" in problem

        publisher = node.create_publisher(Clock, "/clock", 1)
        now = Clock()
        now.clock.sec = 1000
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(node)
        assert not watch.had_time
        while watch.problem() is not None:
            publisher.publish(now)
            executor.spin_once(timeout_sec=0.05)
        assert watch.had_time
        node.destroy_publisher(publisher)
        began_s = time.monotonic()
        while (problem := watch.problem()) is None:
            time.sleep(0.01)
        assert problem.startswith("/clock has ended")
        assert time.monotonic() - began_s < 2.0
        executor.shutdown()
    finally:
        rclpy.shutdown(context=context)
        node.destroy_node()
