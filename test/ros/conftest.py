# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A running `dfd` node with a peer that publishes images to it and collects what it says."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WAIT_S = 45.0


class Peer:
    """A node of its own context beside the one under test: publishes, subscribes, calls services."""

    def __init__(self, domain_id: int) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("peer", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()
        self.received: dict[str, list[Any]] = {}
        self._clients: dict[str, Any] = {}
        self._image = None
        self._info = None
        self.number = 0
        self.wall_clock = False
        """Stamp with the time of day, as a camera does; else with a number of its own for each frame."""

    def _spin(self) -> None:
        from rclpy.executors import ExternalShutdownException

        try:
            while self.context.ok():
                self.executor.spin_once(timeout_sec=0.05)
        except ExternalShutdownException:
            pass
        except Exception:  # the end of the context invalidates what a spin is about to wait for
            if self.context.ok():
                raise

    def subscribe(self, topic: str, kind: type | None = None, qos: Any = 10) -> list[Any]:
        from sensor_msgs.msg import Image

        messages = self.received.setdefault(topic, [])
        self.node.create_subscription(kind or Image, topic, messages.append, qos)
        return messages

    def publish(self, image: np.ndarray | None = None, fx: float | None = None, **changes: Any) -> Any:
        """Publish an rgb8 image with a stamp of its own, and a camera_info with it when fx is given."""
        from sensor_msgs.msg import CameraInfo, Image

        from dfd_perception.ros.shared.conversions import image_message

        if self._image is None:
            self._image = self.node.create_publisher(Image, "image", 5)
            self._info = self.node.create_publisher(CameraInfo, "camera_info", 5)
            wait_for(lambda: self._image.get_subscription_count() > 0, "the node subscribes to image")
        if image is None:
            image = np.random.default_rng(abs(self.number)).integers(0, 256, (48, 80, 3), np.uint8)
        header = self.header()
        if fx is not None:
            height, width = image.shape[:2]
            k = [fx, 0.0, width / 2, 0.0, fx, height / 2, 0.0, 0.0, 1.0]
            p = [fx, 0.0, width / 2, 0.0, 0.0, fx, height / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
            self._info.publish(CameraInfo(header=header, height=height, width=width, k=k, p=p))
        message = image_message(image, "rgb8", header)
        for name, value in changes.items():
            setattr(message, name, value)
        self._image.publish(message)
        return message

    def header(self) -> Any:
        from std_msgs.msg import Header

        self.number += 1
        header = Header(frame_id="camera_optical")
        header.stamp.sec, header.stamp.nanosec = 1000 + self.number, 7
        if self.wall_clock:
            header.stamp.sec, header.stamp.nanosec = divmod(time.time_ns(), 1_000_000_000)
        return header

    def publish_until(self, condition: Callable[[], Any], what: str, **options: Any) -> None:
        """Publish frames until the condition holds."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"in {WAIT_S} s it did not happen that {what}"
            self.publish(**options)
            time.sleep(0.05)

    def call(self, kind: type, name: str, request: Any) -> Any:
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
        assert self._clients[name].wait_for_service(WAIT_S), f"no service {name}"
        # On a busy machine a node may answer before its answers' way to us is known; that answer is lost. What only
        # asks can be asked again.
        tries = 4 if kind.__name__.startswith(("Get", "List", "Describe")) else 1
        for left in reversed(range(tries)):
            future = self._clients[name].call_async(request)
            try:
                wait_for(future.done, f"{name} answers", WAIT_S / tries)
                break
            except AssertionError:
                if not left:
                    raise
        return future.result()

    def close(self) -> None:
        import rclpy

        rclpy.shutdown(context=self.context)
        self.thread.join(5)
        self.executor.shutdown()
        self.node.destroy_node()


def wait_for(condition: Callable[[], Any], what: str, seconds: float = WAIT_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in {seconds} s it did not happen that {what}"
        time.sleep(0.01)


@contextlib.contextmanager
def stderr_in(path: Path) -> Iterator[Callable[[], str]]:
    """Write stderr to a file and give a function that reads all of it so far, as often as one likes.

    capfd cuts its file at each reading, and a line that another thread writes meanwhile is lost (1 of 100 was).
    """
    kept = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield lambda: path.read_text(errors="replace")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        sys.stderr.write(path.read_text(errors="replace"))


class RunningNode:
    """The node under test, spun by a thread of this process, with everything that it logs."""

    def __init__(self, domain_id: int, model: Any, autostart: bool = True, **parameters: Any) -> None:
        import rclpy
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
        from rclpy.parameter import Parameter

        from dfd_perception.ros.depth_node.dfd_node import DfdNode
        from dfd_perception.ros.shared import managed_node
        from dfd_perception.ros.shared.node_log import node_log

        values = {"model": str(model), "num_threads": 1, "backend": "onnxruntime", "diagnostics.period_s": 0.1}
        values.update({name.replace("__", "."): value for name, value in parameters.items()})
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.node = DfdNode(context=self.context, parameter_overrides=overrides)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        if autostart:
            managed_node.autostart(self.node)

        def spin() -> None:
            with contextlib.suppress(ExternalShutdownException):
                managed_node.spin(self.executor, node_log(self.node))

        self.thread = threading.Thread(target=spin, daemon=True)
        self.thread.start()

    def close(self) -> None:
        import rclpy

        if not self.context.ok():
            return
        rclpy.shutdown(context=self.context)
        self.thread.join(10)
        self.node.stop()
        self.executor.shutdown()
        self.node.destroy_node()


@pytest.fixture
def peer(ros_domain_id: int) -> Iterator[Peer]:
    made = Peer(ros_domain_id)
    yield made
    made.close()


@pytest.fixture
def start_node(ros_domain_id: int, tiny_coc_model: Any) -> Iterator[Callable[..., RunningNode]]:
    """Start the node with parameters as keywords (dots written as __)."""
    started = []

    def start(**parameters: Any) -> RunningNode:
        model = parameters.pop("model", tiny_coc_model)
        started.append(RunningNode(ros_domain_id, model, **parameters))
        return started[-1]

    yield start
    for node in started:
        node.close()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait for a condition."""
    return wait_for


@pytest.fixture
def stderr_log(tmp_path: Path) -> Callable[[], contextlib.AbstractContextManager[Callable[[], str]]]:
    """`with stderr_log() as logged:` and logged() is all that was written to stderr since."""
    return lambda: stderr_in(tmp_path / "stderr")
