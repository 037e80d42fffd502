# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The topics of a running node for the page of `dfd view`.

Topics are subscribed to while somebody has them on the screen, and no longer: the node computes what is subscribed to.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.exceptions import InvalidNamespaceException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSReliabilityPolicy
from rclpy.validate_namespace import validate_namespace
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dfd_perception.core.camera_info import shown_camera
from dfd_perception.core.image_encoding import depth_m_from_image, float_map_from_image, rgb_of
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.environment import fastdds_setting
from dfd_perception.errors import DfdPerceptionError, UsageError
from dfd_perception.ros.shared.camera_infos import CameraInfoBuffer
from dfd_perception.ros.shared.own_node import own_node
from dfd_perception.ros.shared.qos import qos_profile
from dfd_perception.ros.tools.node_topics import NodeTopics, wait_for_node
from dfd_perception.view.assembly import ENDINGS, FrameAssembler
from dfd_perception.view.frame_slot import FrameSlot, Status, ViewFrame
from dfd_perception.view.node_status import status_of

MAPS = {"depth": depth_m_from_image, "std": depth_m_from_image, "blur": float_map_from_image}
LINGER_S = 5.0
"""How long a topic that went off the screen stays subscribed: people scroll back."""
LOOK_S = 2.0
QUEUE = 5
CLOCKS_AGREE_S = 10.0


class LiveTopics:
    """A Feed of a node's topics."""

    controls: tuple[str, ...] = ("pause",)

    def __init__(self, node_name: str, ros_arguments: Sequence[str] = (), domain_id: int | None = None) -> None:
        """Prepare; ROS starts with `run`.

        Args:
            node_name: of the running node, with its namespace.
            ros_arguments: for rclpy.
            domain_id: None for that of the environment.

        Raises:
            UsageError: a name that ROS does not allow.
        """
        self._name = node_name.strip("/")
        self.title = f"/{self._name}"
        try:
            validate_namespace(self.title)
        except InvalidNamespaceException as error:
            raise UsageError(
                f"--node is {node_name!r}, which cannot be a name in ROS; expected one like dfd or robot1/dfd"
            ) from error
        self._arguments, self._domain_id = list(ros_arguments), domain_id
        self._image_topic = ""
        self._image_type: type = Image
        self._looked_s = 0.0
        self._paused = False
        self._assembler = FrameAssembler()
        self._infos = CameraInfoBuffer()
        self._subscriptions: dict[str, Any] = {}
        self._wanted_s: dict[str, float] = {}
        self._complete: dict[str, Any] | None = None

    def command(self, name: str) -> None:
        """Press a button."""
        self._paused = name == "pause"

    def run(self, slot: FrameSlot, stop: threading.Event) -> None:
        """Show the node's topics until `stop`; a node that is not there yet is waited for."""
        # Read when the first participant is made: images above 512 KiB get lost without it.
        for variable, value in fastdds_setting().items():
            os.environ.setdefault(variable, value)
        with own_node(f"dfd_view_{os.getpid()}", self._arguments, self._domain_id) as (node, executor):
            topics = self._find(node, slot, stop)
            if topics is not None:
                self._show(node, executor, topics, slot, stop)

    def run_once(self, slot: FrameSlot, stop: threading.Event) -> None:
        """Topics come once in any case."""
        self.run(slot, stop)

    def _find(self, node: Node, slot: FrameSlot, stop: threading.Event) -> NodeTopics | None:
        reported = False
        while not stop.is_set():
            try:
                return wait_for_node(node, self._name, list(ENDINGS.values()), LOOK_S)
            except DfdPerceptionError as error:
                slot.report(Status(level=3, message=f"waiting for {error}", time_s=time.time()))
                if not reported:
                    print(f"dfd view: waiting: {error}", file=sys.stderr, flush=True)
                    reported = True
        return None

    def _show(
        self, node: Node, executor: SingleThreadedExecutor, topics: NodeTopics, slot: FrameSlot, stop: threading.Event
    ) -> None:
        names = _names_of(topics)
        self._image_topic = topics.image
        # By the node, not by the camera, which may start later.
        self._image_type = CompressedImage if topics.image_type.endswith("CompressedImage") else Image
        self._looked_s = time.monotonic()
        full_name = f"/{self._name}"
        slot.report(Status(message="waiting for images", time_s=time.time()))

        def on_diagnostics(message: DiagnosticArray) -> None:
            for status in message.status:
                if status.hardware_id == full_name or status.name.partition(":")[0] == full_name:
                    values = {pair.key: pair.value for pair in status.values}
                    level = status.level if isinstance(status.level, int) else ord(status.level)
                    slot.report(status_of(level, status.message, values, time.time()))

        node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, qos_profile("reliable", 10))
        while not stop.is_set():
            self._complete_names(node, names)
            self._subscribe(node, names, slot)
            # Between two spins nothing refers to a subscription: destroying one within a callback crashes Humble.
            executor.spin_once(timeout_sec=0.1)
            if self._complete is not None and not self._paused:
                parts, self._complete = self._complete, None
                self._show_frame(node, parts, slot)

    def _complete_names(self, node: Node, names: dict[str, str]) -> None:
        """Discovery tells of a node's topics one by one: look again until all are there."""
        if len(names) > len(ENDINGS) or time.monotonic() - self._looked_s < LOOK_S:
            return
        with suppress(DfdPerceptionError):
            names.update(_names_of(wait_for_node(node, self._name, list(ENDINGS.values()), 0.0)))
        self._looked_s = time.monotonic()

    def _subscribe(self, node: Node, names: dict[str, str], slot: FrameSlot) -> None:
        """Bring the subscriptions into agreement with what is on the screens."""
        now_s = time.monotonic()
        wanted = slot.wanted() & names.keys()
        # The cloud and the range need the depth; the input tells that anything comes at all.
        if slot.viewer_count and not self._paused:
            wanted |= {"input", "depth", "camera"} & names.keys()
        self._wanted_s.update(dict.fromkeys(wanted, now_s))
        for kind in wanted - self._subscriptions.keys():
            self._subscriptions[kind] = self._subscription(node, kind, names[kind])
        for kind in [k for k in self._subscriptions if now_s - self._wanted_s[k] > LINGER_S]:
            node.destroy_subscription(self._subscriptions.pop(kind))
            self._assembler.forget(kind)

    def _subscription(self, node: Node, kind: str, topic: str) -> Any:
        infos = node.get_publishers_info_by_topic(topic)
        reliable = bool(infos) and all(i.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE for i in infos)
        message_type: Any = {"camera": CameraInfo, "input": self._image_type}.get(kind, Image)
        callback: Callable[[Any], None] = self._infos.add if kind == "camera" else self._collector(kind)
        profile = qos_profile("reliable" if reliable else "best_effort", QUEUE)
        return node.create_subscription(message_type, topic, callback, profile)

    def _collector(self, kind: str) -> Callable[[Any], None]:
        def collect(message: Any) -> None:
            complete = self._assembler.add(kind, header_stamp_ns(message.header), message, time.monotonic())
            if complete is not None:
                self._complete = complete

        return collect

    def _show_frame(self, node: Node, parts: dict[str, Any], slot: FrameSlot) -> None:
        header = next(iter(parts.values())).header
        try:
            images: dict[str, Any] = {kind: rgb_of(parts[kind]) for kind in ("input", "deblurred") if kind in parts}
            maps = {kind: read(parts[kind]) for kind, read in MAPS.items() if kind in parts}
            info = self._infos.for_image(header)
            camera = shown_camera(info, maps["depth"].shape, self._image_topic) if "depth" in maps else None
        except DfdPerceptionError as error:
            slot.report(Status(level=2, message=str(error), time_s=time.time()))
            return
        age_s = node.get_clock().now().nanoseconds * 1e-9 - header_stamp_ns(header) * 1e-9
        slot.show(
            ViewFrame(
                stamp_ns=header_stamp_ns(header),
                images=images,
                maps=maps,
                camera=camera,
                age_s=age_s if 0 <= age_s < CLOCKS_AGREE_S else None,
            )
        )


def _names_of(topics: NodeTopics) -> dict[str, str]:
    """Topics by kind: what the node takes, and those of its answers that are known."""
    answers = {kind: topics.answers[ending] for kind, ending in ENDINGS.items() if ending in topics.answers}
    return {"input": topics.image, **answers}
