# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A node that was destroyed is gone from the ROS graph, whether or not something still refers to it."""

from __future__ import annotations

import gc

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 in this environment")
pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")


def test_a_destroyed_node_leaves_the_graph_at_once(start_node, peer, eventually):
    started = start_node()
    eventually(lambda: "dfd" in peer.node.get_node_names(), "the node is in the graph")
    gc.disable()
    try:
        started.close()
        eventually(lambda: "dfd" not in peer.node.get_node_names(), "it has left", seconds=5)
    finally:
        gc.enable()
