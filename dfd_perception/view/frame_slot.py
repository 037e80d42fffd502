# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the page shows of one moment, and the slot that holds the newest: frames are dropped rather than late."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics

HISTORY = 600


@dataclass(frozen=True, kw_only=True)
class ViewFrame:
    """Images and maps of one moment; a part that is not known is missing.

    Parts show the same field of view; their sizes may differ.
    """

    stamp_ns: int
    name: str = ""
    """For people: a file's stem; empty for a topic."""
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    """`input` and `deblurred`: (H, W, 3) RGB."""
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """`depth`, `std` and `measured` [m], `blur` [px]: (H, W), NaN where there is none."""
    camera: CameraIntrinsics | None = None
    """Of the depth map; without it there is no point cloud."""
    age_s: float | None = None
    """From the image's stamp to its depth, where both clocks are one."""
    number: int = 0
    """Position in the stream; `FrameSlot` counts."""
    packed: dict[Any, Any] = field(default_factory=dict, repr=False)
    """Parts ready to send, for the second viewer."""
    lock: Any = field(default_factory=threading.Lock, repr=False)


@dataclass(frozen=True, kw_only=True)
class Status:
    """How the source is doing."""

    level: int = 0
    """As of diagnostic_msgs/DiagnosticStatus: 0 good, 1 warning, 2 error, 3 stale."""
    message: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    """Facts and figures, in the order to show."""
    series: Mapping[str, float] = field(default_factory=dict)
    """Figures to plot: `rate in`, `rate out` [1/s], `NO_DEPTH` [0, 1], and the stages' latencies [ms]."""
    time_s: float = 0.0
    """Seconds of this machine's clock since 1970."""


class FrameSlot:
    """The newest frame and status, written by the source's thread, awaited by the server's loop."""

    def __init__(self) -> None:
        self.frame: ViewFrame | None = None
        self.status = Status(message="starting")
        self.history: deque[Status] = deque(maxlen=HISTORY)
        self.status_number = 0
        self._count = 0
        self._viewers: dict[asyncio.Event, frozenset[str]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._somebody = threading.Event()

    def show(self, frame: ViewFrame) -> None:
        """Replace the newest frame (any thread)."""
        self._count += 1
        self.frame = dataclasses.replace(frame, number=self._count)
        self._wake()

    def report(self, status: Status) -> None:
        """Replace the status (any thread)."""
        self.status = status
        if status.series:
            self.history.append(status)
        self.status_number += 1
        self._wake()

    def add_viewer(self, wake: asyncio.Event) -> None:
        """Wake this event whenever something is new (the server's loop)."""
        self._loop = asyncio.get_running_loop()
        self._viewers[wake] = frozenset()
        self._somebody.set()

    def set_wanted(self, wake: asyncio.Event, parts: frozenset[str]) -> None:
        """Remember what a viewer has on its screen."""
        self._viewers[wake] = parts

    def remove_viewer(self, wake: asyncio.Event) -> None:
        """A viewer has gone."""
        self._viewers.pop(wake, None)
        if not self._viewers:
            self._somebody.clear()

    def wanted(self) -> frozenset[str]:
        """Parts that somebody has on the screen now: nothing else needs to be computed."""
        return frozenset().union(*list(self._viewers.values()))

    def wait_for_viewer(self, timeout_s: float) -> bool:
        """Wait until somebody looks (the source's thread)."""
        return self._somebody.wait(timeout_s)

    @property
    def viewer_count(self) -> int:
        """Pages that are open."""
        return len(self._viewers)

    def _wake(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for event in list(self._viewers):
            event.set()
