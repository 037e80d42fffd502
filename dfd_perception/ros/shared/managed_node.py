# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A lifecycle node that releases what it holds, and leaves the ROS graph when it is destroyed."""

from __future__ import annotations

from abc import abstractmethod

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn


class ManagedNode(LifecycleNode):
    """What our nodes have in common. Subclasses configure, activate, and say how to release."""

    @abstractmethod
    def release(self) -> None:
        """Let go of all that configuring and activating made; threads end."""

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        result = super().on_cleanup(state)
        self.release()
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        result = super().on_shutdown(state)
        self.release()
        return result

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything; the node can be configured again."""
        self.release()
        return super().on_error(state)

    def stop(self) -> None:
        """End the threads; before the node is destroyed."""
        self.release()

    def destroy_node(self) -> None:
        """Leave the graph.

        rclpy's own node stays in it until the garbage collector finds it, as its state machine holds the node's
        handle. Another node of that name, started meanwhile in the same process, would not be told from it.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()
