# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Recording without holding anyone up: a bounded queue before threads that pack and write."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from dataclasses import dataclass

import numpy as np

from dfd_perception.core.stamps import StampGuard
from dfd_perception.errors import DfdPerceptionError, reason_of
from dfd_perception.groundtruth.session import RecordedMoment, SessionWriter

GAP = 1.5
"""Stamps farther apart than this many usual periods mean that frames were lost before they came to us."""


CLOCK_SET_NS = 5_000_000_000
"""Stamps that go on by so much more than the time that passed: the camera's clock was set, nothing was lost."""


class GapCounter:
    """Counts frames that are missing between those that arrive, from the usual time between stamps."""

    def __init__(self) -> None:
        self.missing = 0
        self._guard: StampGuard[int] = StampGuard()
        self._last_ns: int | None = None
        self._last_arrival_ns = 0
        self._periods: deque[int] = deque(maxlen=15)

    def add(self, stamp_ns: int, arrival_ns: int | None = None) -> None:
        """Take the stamp of a frame that arrived; one that jumps counts when the next confirms it.

        Args:
            stamp_ns: of the frame.
            arrival_ns: on a steady clock; None: now.
        """
        arrival_ns = time.monotonic_ns() if arrival_ns is None else arrival_ns
        for believed_ns, its_arrival_ns in self._guard.take(stamp_ns, arrival_ns).believed:
            self._count(believed_ns, its_arrival_ns)

    def _count(self, stamp_ns: int, arrival_ns: int) -> None:
        period_ns = 0 if self._last_ns is None else stamp_ns - self._last_ns
        if 0 < period_ns < arrival_ns - self._last_arrival_ns + CLOCK_SET_NS:
            if len(self._periods) >= 5:
                usual_ns = float(np.median(self._periods))
                if period_ns > GAP * usual_ns:
                    self.missing += round(period_ns / usual_ns) - 1
                elif period_ns < usual_ns / GAP and self.missing:
                    self.missing -= 1  # the frame before was late, not lost
            self._periods.append(period_ns)
        self._last_ns, self._last_arrival_ns = stamp_ns, arrival_ns


WRITERS = 2
"""OpenCV packs images outside the interpreter's lock: two threads use two cores."""


@dataclass(frozen=True)
class RecordingProgress:
    """Counts so far. offered = written + dropped + failed + waiting: nothing is lost in silence."""

    offered: int
    written: int
    dropped: int
    """The queue was full: disk or processor are too slow."""
    failed: int
    """Offered when, or after, recording had stopped on an error."""
    waiting: int
    written_bytes: int
    free_bytes: int
    error: str | None
    """Why recording has stopped by itself."""


class SessionRecorder:
    """Feeds a SessionWriter from a bounded queue.

    Args:
        writer: the open session; closed by `stop`.
        queue_size: moments that may wait; a 1280 x 720 pair takes 3.5 MB of memory.
    """

    def __init__(self, writer: SessionWriter, queue_size: int = 30) -> None:
        self.writer = writer
        self._queue: queue.Queue[RecordedMoment | None] = queue.Queue(queue_size)
        self._lock = threading.Lock()
        self._offered = self._dropped = self._failed = 0
        self._error: str | None = None
        self._threads = [threading.Thread(target=self._work, name=f"session_writer_{k}") for k in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def offer(self, moment: RecordedMoment, patiently: bool = False) -> bool:
        """Hand a moment over. False: it was dropped and counted (queue full, or stopped).

        Args:
            patiently: wait for room, for a source that can wait (a recording).
        """
        with self._lock:
            self._offered += 1
            if self._error is not None:
                self._failed += 1
                return False
        try:
            self._queue.put(moment, block=patiently)  # the writers empty it whatever happens
        except queue.Full:
            with self._lock:
                self._dropped += 1
            return False
        return True

    def _work(self) -> None:
        while (moment := self._queue.get()) is not None:
            with self._lock:
                stopped = self._error is not None
                self._failed += stopped
            if stopped:
                continue
            try:
                self.writer.write(moment)
            except Exception as error:  # whatever it is, the thread lives on: a full queue would hold everyone up
                with self._lock:
                    self._error = self._error or (
                        str(error)
                        if isinstance(error, DfdPerceptionError)
                        else f"recording has stopped: {reason_of(error)}"
                    )
                    self._failed += 1

    def progress(self) -> RecordingProgress:
        """Counts of this moment."""
        with self._lock:
            done = self.writer.written + self._dropped + self._failed
            return RecordingProgress(
                offered=self._offered,
                written=self.writer.written,
                dropped=self._dropped,
                failed=self._failed,
                waiting=max(0, self._offered - done),
                written_bytes=self.writer.written_bytes,
                free_bytes=self.writer.free_bytes(),
                error=self._error,
            )

    def stop(self, counts: dict[str, object] | None = None) -> RecordingProgress:
        """Write what waits, close the session, return the final counts."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        progress = self.progress()
        try:
            self.writer.close(
                {"offered": progress.offered, "dropped": progress.dropped, "failed": progress.failed, **(counts or {})}
            )
        except DfdPerceptionError as error:
            with self._lock:
                self._error = self._error or str(error)
            progress = self.progress()
        return progress
