# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Time stamps of message headers, of ROS and of bags alike, and those that cannot be.

One frame an hour ahead must not make every later frame of its stream a late one.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Generic, NamedTuple, Protocol, TypeVar


class Stamp(Protocol):
    """builtin_interfaces/Time."""

    sec: int
    nanosec: int


class StampedHeader(Protocol):
    """std_msgs/Header, as far as time goes."""

    stamp: Stamp


def header_stamp_ns(header: StampedHeader) -> int:
    """The header's time stamp [ns]."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


Frame = TypeVar("Frame")

SHORTEST_JUMP_NS = 2_000_000_000
PERIODS_IN_A_JUMP = 20
"""A stamp so many periods away from the one before is not believed until the next one confirms it."""

LARGEST_STEP_RATIO = 4
"""A slow stream is regular: its next step is not longer than so many of the step before."""

PERIODS_KEPT = 9


class Guarded(NamedTuple, Generic[Frame]):
    """What a new frame made certain."""

    believed: list[tuple[int, Frame]]
    """(stamp [ns], frame) in the order they came."""
    bogus: list[Frame]
    """Frames whose stamps nothing confirmed."""
    jumped: bool
    """The clock of the stream was set: the believed stamps do not go on from those before."""


class StampGuard(Generic[Frame]):
    """Holds back one frame of a stream whose stamp jumps, until the next frame tells which of them is wrong."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._held: tuple[int, Frame] | None = None
        self._periods: deque[int] = deque(maxlen=PERIODS_KEPT)

    def take(self, stamp_ns: int, frame: Frame) -> Guarded[Frame]:
        """Judge the next frame of the stream."""
        held, self._held = self._held, None
        bogus = [] if held is None else [held[1]]
        if self._last_ns is None or self._goes_on(self._last_ns, stamp_ns):
            self._believe(stamp_ns)
            return Guarded([(stamp_ns, frame)], bogus, False)
        if held is not None and self._confirms(held[0], stamp_ns):
            jumped = held[0] < self._last_ns
            self._periods.clear()
            self._last_ns = held[0]
            self._believe(stamp_ns)
            return Guarded([held, (stamp_ns, frame)], [], jumped)
        self._held = (stamp_ns, frame)
        return Guarded([], bogus, False)

    def release(self) -> list[tuple[int, Frame]]:
        """No more frames come: the one that is held, which nothing contradicts any more."""
        held, self._held = self._held, None
        return [] if held is None else [held]

    def _believe(self, stamp_ns: int) -> None:
        if self._last_ns is not None and stamp_ns > self._last_ns:
            self._periods.append(stamp_ns - self._last_ns)
        self._last_ns = stamp_ns

    def _goes_on(self, before_ns: int, stamp_ns: int) -> bool:
        """Whether a stamp may come next. Messages that overtake one another are never many periods late."""
        periods_ns = round(PERIODS_IN_A_JUMP * median(self._periods)) if self._periods else 0
        return -SHORTEST_JUMP_NS <= stamp_ns - before_ns <= max(SHORTEST_JUMP_NS, periods_ns)

    def _confirms(self, held_ns: int, stamp_ns: int) -> bool:
        """Whether the next stamp goes on from the one that is held."""
        assert self._last_ns is not None
        step_ns = stamp_ns - held_ns
        regular = held_ns > self._last_ns and 0 < step_ns <= LARGEST_STEP_RATIO * (held_ns - self._last_ns)
        return self._goes_on(held_ns, stamp_ns) or (regular and not self._periods)
