# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Plays a bag to a running node, with /clock, and keeps what the node answers as a bag of results.

Answers are kept as the bytes that arrived, each under its image's stamp; nothing else stays in memory.
"""

from __future__ import annotations

import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from dfd_perception.bags.reader import BagReader
from dfd_perception.core.durations import require_duration, require_rate
from dfd_perception.core.image_encoding import IMAGE_TYPE
from dfd_perception.errors import ConfigError, DfdPerceptionError, counted
from dfd_perception.evaluation.result_bag import DEBLURRED, DEFOCUS, DEPTH, DEPTH_STD, ResultBag
from dfd_perception.evaluation.run import LivePlayed
from dfd_perception.evaluation.sources.bag_options import BagOptions
from dfd_perception.evaluation.sources.bag_topics import BagTopics, choose_topics
from dfd_perception.ros.shared.conversions import message_class
from dfd_perception.ros.shared.own_node import own_node
from dfd_perception.ros.tools.node_topics import NodeTopics, wait_for_node
from dfd_perception.ros.tools.player import BagPlayer, PlayOptions, StandingClock

ANSWERS = (DEPTH, DEPTH_STD, DEBLURRED, DEFOCUS)
QUEUE = 50
WAITING_AT_MOST = 200
"""Images whose answers may still come."""

QUIET_S = 2.0
"""The end: nothing has arrived for so long."""

LONGEST_END_S = 60.0
MATCHING_S = 5.0


@dataclass(frozen=True, kw_only=True)
class LiveRequest:
    """What to play, to whom, and where its answers go."""

    bag: Path
    options: BagOptions
    answers: Path
    node: str = "dfd"
    """Name of the node, with its namespace if it has one."""
    rate: float = 1.0
    wait_s: float = 30.0

    def __post_init__(self) -> None:
        require_rate("rate", self.rate)
        require_duration("wait", self.wait_s, may_be_0=True)


class AnswerCollector:
    """Subscribes to the images and to everything that a node says about them.

    Args:
        node: to subscribe with.
        image_topic: what the node listens to, and its message type.
        answers: name within the result bag to topic of the node.
        bag: the results.
    """

    def __init__(self, node: Node, image_topic: tuple[str, type], answers: dict[str, str], bag: ResultBag) -> None:
        self._bag = bag
        self._lock = threading.Lock()
        self._arrived: OrderedDict[int, float] = OrderedDict()
        self._last: dict[int, float] = {}
        self.played = LivePlayed()
        self.error: DfdPerceptionError | None = None
        self.last_activity_s = time.monotonic()
        profile = QoSProfile(depth=QUEUE, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        topic, kind = image_topic
        node.create_subscription(kind, topic, self._on_image, profile, raw=True)
        for name, answer in answers.items():
            node.create_subscription(Image, answer, partial(self._on_answer, name), profile, raw=True)

    def _on_image(self, content: bytes) -> None:
        with self._lock:
            self._arrived[stamp_ns_of_bytes(content)] = time.monotonic()
            while len(self._arrived) > WAITING_AT_MOST:
                self._settle(next(iter(self._arrived)))

    def _on_answer(self, name: str, content: bytes) -> None:
        now_s = time.monotonic()
        stamp_ns = stamp_ns_of_bytes(content)
        with self._lock:
            self.last_activity_s = now_s
            self.played.messages[name] = self.played.messages.get(name, 0) + 1
            if stamp_ns not in self._last:
                self.played.answered += 1
            self._last[stamp_ns] = now_s
            self._write(name, stamp_ns, content)
            while len(self._last) > 2 * WAITING_AT_MOST:
                self._settle(next(iter(self._last)))

    def _write(self, name: str, stamp_ns: int, content: bytes) -> None:
        try:
            self._bag.add_message(name, IMAGE_TYPE, stamp_ns, bytes(content))
        except DfdPerceptionError as error:  # a full disk: told by the thread that waits
            self.error = error

    def _settle(self, stamp_ns: int) -> None:
        arrived, last = self._arrived.pop(stamp_ns, None), self._last.pop(stamp_ns, None)
        if arrived is not None and last is not None:
            self._bag.add_latency(stamp_ns, max(0.0, last - arrived))

    def finish(self) -> LivePlayed:
        """No more comes: settle what waits."""
        with self._lock:
            for stamp_ns in list(self._last):
                self._settle(stamp_ns)
            return self.played


def play_and_collect(request: LiveRequest, progress: Callable[[int, int], None] | None = None) -> LivePlayed:
    """Play the bag's images to the node and keep its answers.

    Raises:
        DatasetError: no such bag or topics.
        DfdPerceptionError: no such node, or it gives no depth, blur or deblurred image.
    """
    with BagReader(request.bag) as bag:
        options = request.options
        topics = choose_topics(bag, options.image_topic, options.depth_topic, options.aif_topic)
        with own_node("dfd_evaluation") as (collecting, executor):
            return _played(request, bag, topics, collecting, executor, progress)


def _played(
    request: LiveRequest,
    bag: BagReader,
    topics: BagTopics,
    collecting: Node,
    executor: SingleThreadedExecutor,
    progress: Callable[[int, int], None] | None,
) -> LivePlayed:
    results: ResultBag | None = None
    thread = threading.Thread(target=_spin, args=(executor,), name="dfd_evaluation", daemon=True)
    try:
        clock = StandingClock(collecting, bag.start_ns)
        thread.start()
        node_topics = wait_for_node(collecting, request.node, ANSWERS, request.wait_s)
        check_transport(node_topics, topics.image, bag.topics[topics.image].msgtype)
        kind = message_class(bag.topics[topics.image].msgtype)
        results = ResultBag(request.answers)
        collector = AnswerCollector(collecting, (node_topics.image, kind), node_topics.answers, results)
        _play(request, bag, topics, node_topics, collecting.context, collector, clock, progress)
        _wait_for_the_end(collector)
        played = collector.finish()
        if played.sent and not played.answered:
            raise DfdPerceptionError(
                f"{request.node} answered none of {counted(played.sent, 'image')}; its log and /diagnostics say why"
            )
        return played
    finally:
        executor.shutdown(timeout_sec=2)
        if thread.ident is not None:
            thread.join(timeout=2)
        if results is not None:
            results.close()


def _play(
    request: LiveRequest,
    bag: BagReader,
    topics: BagTopics,
    node_topics: NodeTopics,
    context: rclpy.Context,
    collector: AnswerCollector,
    clock: StandingClock,
    progress: Callable[[int, int], None] | None,
) -> None:
    remapped = [(topics.image, node_topics.image), (topics.camera_info, node_topics.camera_info)]
    rules = [rule for a, b in remapped if a and b and a != b for rule in ("-r", f"{a}:={b}")]
    node = rclpy.create_node(
        "dfd_player", context=context, cli_args=["--ros-args", *rules] if rules else None, use_global_arguments=False
    )
    total = bag.topics[topics.image].message_count

    def count(topic: str, _: int) -> None:
        if topic == topics.image:
            collector.played.sent += 1
            if progress is not None:
                progress(collector.played.sent, total)
        if collector.error is not None:
            raise collector.error
        if request.options.max_frames is not None and collector.played.sent >= request.options.max_frames:
            raise _Enough

    played = [topics.image, *([topics.camera_info] if topics.camera_info else [])]
    try:
        # The collector is one of two subscribers of the images; the node is the other, and needs camera_info from the
        # first image on: without it there is no depth.
        how = PlayOptions(
            topics=played,
            rate=request.rate,
            clock=True,
            wait_s=MATCHING_S,
            subscribers=2,
            every_topic=node_topics.camera_info is not None,
        )
        player = BagPlayer(node, bag, how)
        clock.close()
        with suppress(_Enough):
            player.play(count)
    finally:
        node.destroy_node()


def check_transport(node: NodeTopics, topic: str, msgtype: str) -> None:
    """Refuse to play images of a type that the node does not take.

    Raises:
        ConfigError: the bag's are compressed and the node takes raw ones, or the other way round.
    """
    if msgtype != node.image_type:
        wanted = "compressed" if msgtype.endswith("CompressedImage") else "raw"
        raise ConfigError(
            f"{topic} of the bag is {msgtype}, and the node takes {node.image_type} on {node.image}; "
            f"set input.transport: {wanted} in its parameters"
        )


class _Enough(Exception):
    """As many images were played as were asked for."""


def stamp_ns_of_bytes(content: bytes) -> int:
    """Stamp of a serialised message that begins with a header: it follows the four bytes that name the byte order."""
    order = "<" if content[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", content, 4)
    return seconds * 1_000_000_000 + nanoseconds


def _wait_for_the_end(collector: AnswerCollector) -> None:
    started_s = time.monotonic()
    collector.last_activity_s = max(collector.last_activity_s, started_s)
    while True:
        now_s = time.monotonic()
        if now_s - collector.last_activity_s > QUIET_S or now_s - started_s > LONGEST_END_S:
            break
        time.sleep(0.05)
    if collector.error is not None:
        raise collector.error


def _spin(executor: SingleThreadedExecutor) -> None:
    with suppress(ExternalShutdownException):
        executor.spin()
