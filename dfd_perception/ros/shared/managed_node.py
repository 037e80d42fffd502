# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A lifecycle node that releases what it holds, and its process.

Signals end the process with exit code 0, wrong arguments with 2, and nothing else ends it.
"""

from __future__ import annotations

import re
import sys
import traceback
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from dfd_perception.errors import shortened
from dfd_perception.ros.shared.node_log import Log, node_log
from dfd_perception.ros.shared.process_memory import keep_freed_memory

EXIT_FAILED = 1
EXIT_USAGE = 2
FAILURES_IN_A_ROW = 100
"""So many without one callback that ends well: the executor itself is broken."""

LOOK_AGAIN_S = 1.0
"""Longest wait for work before the context is looked at: a shutdown that comes between two waits wakes neither."""

SOURCE_PLACE = re.compile(r",? at \S+:\d+")


def spin_node(create: Callable[[], Any], arguments: Sequence[str] | None = None) -> int:
    """Start rclpy, create the node, spin until a signal ends it; returns the exit code.

    A lifecycle node with parameter autostart, and `stop()`, which ends its threads.

    SIGINT raises KeyboardInterrupt; SIGTERM raises ExternalShutdownException up to Jazzy, from Kilted spin() returns.
    """
    node: Any = None
    keep_freed_memory()
    try:
        if not _initialised(arguments):
            return EXIT_USAGE
        node = create()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        autostart(node)
        spin(executor, node_log(node))
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception as error:
        # The signal handler ends the context under a callback that is publishing: that fails, and nothing is wrong.
        if rclpy.ok():
            print(f"{_program()}: {plain_reason(error)}", file=sys.stderr)
            return EXIT_FAILED
    finally:
        _end(node)
    return 0


def spin(executor: Executor, log: Log) -> None:
    """Execute callbacks until the context ends; what one raises is logged and the next has its turn.

    rclpy's own callbacks raise too, and anybody may cause it: a time stamp before 1970 on /clock is enough.

    Raises:
        ExternalShutdownException: the context ended (up to Jazzy).
        RuntimeError: nothing succeeds any more.
    """
    failures = 0
    while executor.context.ok():
        try:
            executor.spin_once(timeout_sec=LOOK_AGAIN_S)
            failures = 0
        except ExternalShutdownException:
            raise
        except Exception as error:
            if not executor.context.ok():
                return
            failures += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            log("error", f"a callback failed: {type(error).__name__}: {error} ({place.name}, line {place.lineno})")
            if failures >= FAILURES_IN_A_ROW:
                raise RuntimeError(f"no callback succeeds any more: {error}") from error


def autostart(node: LifecycleNode) -> None:
    """Configure and activate if parameter autostart says so; what fails is logged and the node stays up."""
    if node.get_parameter("autostart").value and node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()


def _initialised(arguments: Sequence[str] | None) -> bool:
    """Start rclpy; false, and the reason on stderr, where the arguments or the environment are wrong."""
    try:
        rclpy.init(args=None if arguments is None else [sys.argv[0], *arguments])
    except RuntimeError as error:
        print(f"{_program()}: {plain_reason(error)}", file=sys.stderr)
        return False
    return True


def _program() -> str:
    return sys.argv[0].rpartition("/")[2]


def plain_reason(error: Exception) -> str:
    """What rcl says, without the places in its source."""
    if type(error).__name__ == "UnknownROSArgsError":
        return f"unknown arguments after --ros-args: {error}"
    text = SOURCE_PLACE.sub("", str(error)).removeprefix("failed to initialize rcl: ")
    return shortened(text.replace(" Error: error not set", "")) or type(error).__name__


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
