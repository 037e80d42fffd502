# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Records topics into a bag, as the bytes that arrive: nothing is decoded, so large images cost little."""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rclpy.executors import Executor, ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy

from dfd_perception.bags.writer import BagWriter, Compression
from dfd_perception.core.durations import require_duration
from dfd_perception.errors import DatasetError, RecordingError, reason_of
from dfd_perception.ros.shared.conversions import message_class
from dfd_perception.ros.shared.own_node import own_node, resolved_topic
from dfd_perception.ros.shared.qos import qos_profile

log = logging.getLogger(__name__)

QUEUE_LIMIT = 100
QUEUE = 10
DISCOVERY_PERIOD_S = 0.5


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    """What to record."""

    topics: Sequence[str] = ()
    """Topics, relative or absolute; none = all that appear."""
    storage: Literal["mcap", "sqlite3"] = "mcap"
    compression: Compression = "none"
    duration_s: float | None = None

    def __post_init__(self) -> None:
        require_duration("duration", self.duration_s)


@dataclass
class RecordReport:
    """What was recorded."""

    messages: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    """Messages that came faster than the disk takes them."""
    skipped: dict[str, str] = field(default_factory=dict)


class BagRecorder:
    """Subscribes to topics as they appear; one thread writes."""

    def __init__(self, node: Node, writer: BagWriter, topics: Sequence[str]) -> None:
        """Start looking for topics, by their resolved names."""
        self.report = RecordReport()
        self.problem: Exception | None = None
        self._node = node
        self._writer = writer
        self._wanted = set(topics)
        self._known: set[str] = set()
        self._queue: queue.Queue[tuple[str, str, int, bytes] | None] = queue.Queue(QUEUE_LIMIT)
        self._thread = threading.Thread(target=self._write, name="dfd_bag_writer", daemon=True)
        self._thread.start()
        self._timer = node.create_timer(DISCOVERY_PERIOD_S, self.discover)
        self.discover()

    def discover(self) -> None:
        """Subscribe to what is wanted and has appeared."""
        for topic, types in self._node.get_topic_names_and_types():
            if topic not in self._known and (topic in self._wanted or not self._wanted):
                self._known.add(topic)
                self._subscribe(topic, types[0])

    def close(self) -> None:
        """Write what waits, and end."""
        self._node.destroy_timer(self._timer)
        self._queue.put(None)
        self._thread.join()

    def _subscribe(self, topic: str, msgtype: str) -> None:
        try:
            kind = message_class(msgtype)
        except DatasetError as error:
            self.report.skipped[topic] = str(error)
            return
        offers = [i.qos_profile.durability for i in self._node.get_publishers_info_by_topic(topic)]
        latched = bool(offers) and all(offer == QoSDurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
        # Best effort takes any publisher; a latched topic would withhold what it holds.
        profile = qos_profile("latched" if latched else "best_effort", QUEUE)

        def take(content: bytes) -> None:
            try:
                self._queue.put_nowait((topic, msgtype, self._node.get_clock().now().nanoseconds, content))
            except queue.Full:
                self.report.dropped += 1

        self._node.create_subscription(kind, topic, take, profile, raw=True)

    def _write(self) -> None:
        while (item := self._queue.get()) is not None:
            topic, msgtype, stamp_ns, content = item
            if topic in self.report.skipped or self.problem is not None:
                continue
            try:
                self._writer.write(topic, msgtype, stamp_ns, content)
                self.report.messages[topic] = self.report.messages.get(topic, 0) + 1
            except DatasetError as error:
                self.report.skipped[topic] = str(error)
            except RecordingError as error:
                self.problem = error
            except Exception as error:  # whatever ends the writer ends the recording, with its words
                self.problem = RecordingError(f"{self._writer.path}: writing has stopped ({reason_of(error)})")


def record_bag(path: Path, options: RecordOptions, ros_arguments: Sequence[str] = ()) -> RecordReport:
    """Record until a signal, the end of the duration, or a disk that refuses; rclpy is started and ended here.

    Raises:
        DatasetError: the bag exists already.
        UsageError: a name that no topic can have.
        RecordingError: the disk refuses, what was written stays; or nothing came, and no bag is left.
    """
    with own_node("dfd_record_bag", ros_arguments, signals_end_it=True) as (node, executor):
        topics = [resolved_topic(node, topic) for topic in options.topics]
        writer = BagWriter(path, options.storage, options.compression)
        log.info("recording to %s", path)
        recorder = BagRecorder(node, writer, topics)
        try:
            _spin(executor, recorder, options.duration_s)
            silent = _silence(node, recorder, topics)
        finally:
            recorder.close()
            _close(writer, recorder)
    if recorder.problem is not None:
        raise recorder.problem
    if not writer.count:
        shutil.rmtree(path)
        raise RecordingError(f"nothing was recorded: {silent}; {path} is not kept")
    return recorder.report


def _spin(executor: Executor, recorder: BagRecorder, duration_s: float | None) -> None:
    end_s = None if duration_s is None else time.monotonic() + duration_s
    try:
        while executor.context.ok() and recorder.problem is None and (end_s is None or time.monotonic() < end_s):
            executor.spin_once(timeout_sec=0.1)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


def _silence(node: Node, recorder: BagRecorder, topics: Sequence[str]) -> str:
    """Why nothing came, if nothing came: said while the node still knows who publishes."""
    if recorder.report.skipped:
        return "; ".join(f"{topic}: {reason}" for topic, reason in recorder.report.skipped.items())
    if not topics:
        return "no topic has sent a message"
    if not node.context.ok():
        return f"no message came on {', '.join(topics)}"
    unpublished = [topic for topic in topics if not node.count_publishers(topic)]
    if unpublished:
        return f"nobody publishes {', '.join(unpublished)}"
    return f"no message came on {', '.join(topics)}"


def _close(writer: BagWriter, recorder: BagRecorder) -> None:
    try:
        writer.close()
    except RecordingError as error:
        recorder.problem = recorder.problem or error
