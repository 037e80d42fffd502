# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Frames that a stream lacks, counted from the stamps of those that came."""

from __future__ import annotations

from collections import deque

import numpy as np

from dfd_perception.core.stamp_guard import StampGuard

GAP = 1.5
"""Stamps farther apart than this many usual periods mean that frames were lost before they came to us."""


class GapCounter:
    """Counts frames that are missing between those that arrive, from the usual time between stamps."""

    def __init__(self) -> None:
        self.missing = 0
        self._guard: StampGuard[None] = StampGuard()
        self._last_ns: int | None = None
        self._periods: deque[int] = deque(maxlen=15)

    def add(self, stamp_ns: int) -> None:
        """Take the stamp of a frame that arrived; one that jumps counts when the next confirms it."""
        for believed_ns, _ in self._guard.take(stamp_ns, None).believed:
            self._count(believed_ns)

    def _count(self, stamp_ns: int) -> None:
        if self._last_ns is not None and stamp_ns > self._last_ns:
            period_ns = stamp_ns - self._last_ns
            if len(self._periods) >= 5:
                usual_ns = float(np.median(self._periods))
                if period_ns > GAP * usual_ns:
                    self.missing += round(period_ns / usual_ns) - 1
                elif period_ns < usual_ns / GAP and self.missing:
                    self.missing -= 1  # the frame before was late, not lost
            self._periods.append(period_ns)
        self._last_ns = stamp_ns
