# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A lifecycle node that leaves the ROS graph when it is destroyed."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode


class LeavingNode(LifecycleNode):
    """rclpy's own stays in the graph until the garbage collector finds it: its state machine holds the node's handle.

    Another node of that name, started meanwhile in the same process, would not be told from it.
    """

    def destroy_node(self) -> None:
        """Leave the graph."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()
