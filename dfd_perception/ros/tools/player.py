# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Plays a bag onto topics: at its own pace or another, once or in a loop, with /clock if asked for.

Messages go out as the bytes that the bag holds; stamps are never changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import rclpy
import rclpy.clock
import rclpy.executors
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock

from dfd_perception.bags.reader import BagReader
from dfd_perception.core.durations import require_duration, require_rate
from dfd_perception.errors import DatasetError, UsageError
from dfd_perception.ros.shared.conversions import message_class
from dfd_perception.ros.shared.own_node import own_node
from dfd_perception.ros.shared.qos import qos_profile
from dfd_perception.ros.tools.subscribers import DRAIN_S, wait_for_subscribers

CLOCK_PERIOD_S = 0.01
STANDING_PERIOD_S = 0.1
QUEUE = 10


@dataclass(frozen=True, kw_only=True)
class PlayOptions:
    """How to play."""

    topics: Sequence[str] = ()
    """Topics to play; none = all."""
    rate: float = 1.0
    loop: bool = False
    clock: bool = False
    start_s: float = 0.0
    """Seconds into the bag."""
    duration_s: float | None = None
    wait_s: float = 5.0
    """Longest wait for the first subscribers."""
    subscribers: int = 1
    """How many are waited for, of one topic."""
    every_topic: bool = False
    """Whether each topic has to have one at least."""

    def __post_init__(self) -> None:
        require_rate("rate", self.rate)
        require_duration("start", self.start_s, may_be_0=True)
        require_duration("duration", self.duration_s)
        require_duration("wait", self.wait_s, may_be_0=True)
        if self.subscribers < 1:
            raise UsageError(f"subscribers is {self.subscribers}; expected 1 or more")


@dataclass
class PlayReport:
    """What was played."""

    messages: dict[str, int] = field(default_factory=dict)
    """Published messages by topic."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Topics that could not be played, with the reason."""
    passes: int = 0


class BagPlayer:
    """Publishes the messages of an open bag."""

    def __init__(self, node: Node, bag: BagReader, options: PlayOptions) -> None:
        """Create a publisher for each topic.

        Raises:
            DatasetError: a topic that the bag does not have, or no topic that can be played.
        """
        self._node = node
        self._bag = bag
        self._options = options
        self.report = PlayReport()
        wanted = options.topics or [t.name for t in bag.topics.values() if t.message_count]
        unknown = [topic for topic in wanted if topic not in bag.topics]
        if unknown:
            raise DatasetError(f"{bag.path}: no topic {', '.join(unknown)}; it has {', '.join(bag.topics)}")
        self._publishers: dict[str, Publisher] = {}
        for topic in wanted:
            self._add(topic)
        if not self._publishers:
            why = "; ".join(self.report.skipped.values()) or "it is empty"
            raise DatasetError(f"{bag.path}: nothing to play ({why})")
        self._clock = node.create_publisher(Clock, "/clock", QUEUE) if options.clock else None

    def play(self, on_message: Callable[[str, int], None] | None = None) -> PlayReport:
        """Play until the end, or with loop until the context ends.

        Args:
            on_message: called with topic and recorded stamp [ns] after each message.
        """
        options = self._options
        publishers, each = self._publishers.values(), int(options.every_topic)
        wait_for_subscribers(publishers, options.wait_s, self._alive, options.subscribers, each)
        start_ns = self._bag.start_ns + round(self._options.start_s * 1e9)
        seconds = self._options.duration_s
        stop_ns = None if seconds is None else start_ns + round(seconds * 1e9)
        while self._alive():
            before = sum(self.report.messages.values())
            self._play_once(start_ns, stop_ns, on_message)
            self.report.passes += 1
            if sum(self.report.messages.values()) == before and self._alive():
                until = "" if seconds is None else f" to {self._options.start_s + seconds:g} s"
                raise DatasetError(
                    f"{self._bag.path}: nothing to play from {self._options.start_s:g} s{until or ' on'}"
                )
            if not self._options.loop:
                break
        if self._alive():
            time.sleep(DRAIN_S)
        return self.report

    def _add(self, topic: str) -> None:
        described = self._bag.topics[topic]
        try:
            kind = message_class(described.msgtype)
        except DatasetError as error:
            self.report.skipped[topic] = f"{topic}: {error}"
            return
        latched = described.latched or topic.endswith("/tf_static")
        profile = qos_profile("latched" if latched else "reliable", QUEUE)
        self._publishers[topic] = self._node.create_publisher(kind, topic, profile)

    def _play_once(self, start_ns: int, stop_ns: int | None, on_message: Callable[[str, int], None] | None) -> None:
        began_s = time.monotonic()
        for message in self._bag.raw_messages(list(self._publishers), start_ns, stop_ns):
            due_s = began_s + (message.stamp_ns - start_ns) * 1e-9 / self._options.rate
            self._sleep_until(due_s, message.stamp_ns)
            if not self._alive():
                return
            self._publishers[message.topic].publish(message.content)
            self.report.messages[message.topic] = self.report.messages.get(message.topic, 0) + 1
            if on_message is not None:
                on_message(message.topic, message.stamp_ns)

    def _sleep_until(self, due_s: float, stamp_ns: int) -> None:
        while self._alive():
            left_s = due_s - time.monotonic()
            if self._clock is not None:
                now_ns = stamp_ns - round(max(left_s, 0.0) * self._options.rate * 1e9)
                self._clock.publish(_clock_message(now_ns))
            if left_s <= 0:
                return
            time.sleep(min(left_s, CLOCK_PERIOD_S if self._clock is not None else 0.1))

    def _alive(self) -> bool:
        return bool(self._node.context.ok())


class StandingClock:
    """Publishes one time on /clock until it is closed: for a node that waits for its time before a bag is played."""

    def __init__(self, node: Node, now_ns: int) -> None:
        """Begin; the node has to be spun."""
        self._node = node
        self._publisher = node.create_publisher(Clock, "/clock", QUEUE)
        message = _clock_message(now_ns)
        steady = rclpy.clock.Clock(clock_type=rclpy.clock.ClockType.STEADY_TIME)
        self._timer = node.create_timer(STANDING_PERIOD_S, lambda: self._publisher.publish(message), clock=steady)

    def close(self) -> None:
        """Leave /clock to the player."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)


def _clock_message(now_ns: int) -> Clock:
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(now_ns, 1_000_000_000)
    return message


def play_bag(path: str, options: PlayOptions, ros_arguments: Sequence[str] = ()) -> PlayReport:
    """Play a bag as a process of its own: rclpy is started and ended here; signals end it early.

    Raises:
        DatasetError: no such bag or topic.
    """
    with BagReader(path) as bag:
        for problem in bag.problems:
            print(f"note: {problem}", flush=True)
        with own_node("dfd_play", ros_arguments, signals_end_it=True) as (node, _):
            player = None
            try:
                player = BagPlayer(node, bag, options)
                return player.play()
            except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
                return player.report if player else PlayReport()
            except Exception:
                # A signal ends the context under a publisher.
                if node.context.ok() or player is None:
                    raise
                return player.report
