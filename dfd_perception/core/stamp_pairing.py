# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Pairs two streams by nearest time stamp: one to one, within a bound, in bounded memory, every frame accounted for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from dfd_perception.core.stamps import Guarded, StampGuard

Left = TypeVar("Left")
Right = TypeVar("Right")

HISTOGRAM_BINS = 20
MS_PER_NS = 1e-6


@dataclass(frozen=True)
class Pair(Generic[Left, Right]):
    """Two frames of one moment; offset_ns is right minus left."""

    left: Left
    right: Right
    offset_ns: int


@dataclass
class PairingCounts:
    """What became of every frame. The histogram spans -bound to +bound in HISTOGRAM_BINS even bins."""

    bound_ms: float
    pairs: int = 0
    left_unmatched: int = 0
    right_unmatched: int = 0
    left_bogus: int = 0
    """Of the unmatched: their stamps jumped, and the frames after them did not follow."""
    right_bogus: int = 0
    nearest_ms: float | None = None
    """Smallest distance of frames that were too far apart to pair."""
    histogram: list[int] = field(default_factory=lambda: [0] * HISTOGRAM_BINS)

    def add(self, offset_ns: int) -> None:
        """Count one pair."""
        self.pairs += 1
        place = (offset_ns * MS_PER_NS / self.bound_ms + 1) / 2 * HISTOGRAM_BINS
        self.histogram[int(np.clip(place, 0, HISTOGRAM_BINS - 1))] += 1

    def too_far(self, distance_ns: int) -> None:
        """Note two frames that are beyond the bound."""
        distance_ms = distance_ns * MS_PER_NS
        self.nearest_ms = distance_ms if self.nearest_ms is None else min(self.nearest_ms, distance_ms)


class StampPairing(Generic[Left, Right]):
    """Two streams, each with growing stamps, in whatever interleaving they arrive.

    A pair is given once neither frame can find a nearer partner: one frame later than it could be guessed.

    Args:
        bound_ms: largest distance in time of a pair.
        capacity: frames of one stream that wait at most; beyond, the oldest goes as unmatched.
        on_left_unmatched: told of each left frame that stays alone.
    """

    def __init__(
        self, bound_ms: float, capacity: int = 30, on_left_unmatched: Callable[[Left], None] | None = None
    ) -> None:
        self._bound_ns = round(bound_ms / MS_PER_NS)
        self._capacity = capacity
        self._on_left_unmatched = on_left_unmatched
        self._left: deque[tuple[int, Left]] = deque()
        self._right: deque[tuple[int, Right]] = deque()
        self._left_guard: StampGuard[Left] = StampGuard()
        self._right_guard: StampGuard[Right] = StampGuard()
        self.counts = PairingCounts(bound_ms)

    @property
    def waiting(self) -> int:
        """Frames of both streams whose partner may still come."""
        return len(self._left) + len(self._right)

    def add_left(self, stamp_ns: int, frame: Left) -> list[Pair[Left, Right]]:
        """Take a frame of the left stream; return the pairs that are now certain."""
        judged = self._left_guard.take(stamp_ns, frame)
        self.counts.left_bogus += len(judged.bogus)
        for bogus in judged.bogus:
            self._leave_alone(bogus)
        return self._added(self._left, judged)

    def add_right(self, stamp_ns: int, frame: Right) -> list[Pair[Left, Right]]:
        """Take a frame of the right stream; return the pairs that are now certain."""
        judged = self._right_guard.take(stamp_ns, frame)
        self.counts.right_bogus += len(judged.bogus)
        self.counts.right_unmatched += len(judged.bogus)
        return self._added(self._right, judged)

    def finish(self) -> list[Pair[Left, Right]]:
        """No more frames come: pair what waits, count what is left."""
        self._append(self._left, self._left_guard.release())
        self._append(self._right, self._right_guard.release())
        pairs = list(self._certain(final=True))
        for stream in (self._left, self._right):
            while stream:
                self._discard(stream)
        return pairs

    def _added(self, stream: deque[Any], judged: Guarded[Any]) -> list[Pair[Left, Right]]:
        if judged.jumped:
            # What waits carries stamps of a clock that was set back since; it would make all others late.
            while stream:
                self._discard(stream)
        self._append(stream, judged.believed)
        return list(self._certain(final=False))

    def _append(self, stream: deque[Any], frames: list[tuple[int, Any]]) -> None:
        for stamp_ns, frame in frames:
            if stream and stamp_ns <= stream[-1][0]:  # a repeated or late message: its time has passed
                self._count_alone(stream, frame)
            else:
                stream.append((stamp_ns, frame))

    def _certain(self, final: bool) -> Iterator[Pair[Left, Right]]:
        while self._left and self._right:
            left_ns, right_ns = self._left[0][0], self._right[0][0]
            offset_ns = right_ns - left_ns
            earlier, later_ns = (self._left, right_ns) if offset_ns >= 0 else (self._right, left_ns)
            if abs(offset_ns) > self._bound_ns:
                self.counts.too_far(abs(offset_ns))
                self._discard(earlier)
                continue
            if offset_ns and len(earlier) > 1 and abs(earlier[1][0] - later_ns) < abs(offset_ns):
                self._discard(earlier)  # its successor is nearer to the other's frame
                continue
            if offset_ns and len(earlier) == 1 and not final:
                break  # its successor may be nearer
            self.counts.add(offset_ns)
            yield Pair(self._left.popleft()[1], self._right.popleft()[1], offset_ns)
        for waiting in (self._left, self._right):
            while len(waiting) > self._capacity:
                self._discard(waiting)

    def _discard(self, stream: deque[Any]) -> None:
        self._count_alone(stream, stream.popleft()[1])

    def _count_alone(self, stream: deque[Any], frame: Any) -> None:
        if stream is self._left:
            self._leave_alone(frame)
        else:
            self.counts.right_unmatched += 1

    def _leave_alone(self, frame: Left) -> None:
        self.counts.left_unmatched += 1
        if self._on_left_unmatched is not None:
            self._on_left_unmatched(frame)
