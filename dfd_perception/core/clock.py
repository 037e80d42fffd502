# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A device's clock in the host's time: drift is tracked and slewed in, never stepped back.

The host sees a frame only after a delay that varies with its load, so that single arrival times say little. The least
delay of every second is nearly constant, though: the line through those is the offset of the two clocks and its drift
(373 ms in 16 minutes has been seen on an Azure Kinect). The answer moves towards that line at a limited rate. A device
that starts anew (its stamps fall, or leap) is noticed and begins a new estimate.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

SECOND_NS = 1_000_000_000
SECONDS_KEPT = 30
"""The line is fitted through the least delays of this many seconds."""

FIRST_SECONDS = 5
"""A new estimate may move fast for so long: its first frames are often late by tens of milliseconds."""

FIRST_SLEW = 0.2
LARGEST_SLEW = 2e-3
"""Correction per time: five times the worst drift seen."""

EARLIEST_NS = 250_000_000
LATEST_NS = 2_000_000_000
"""An arrival so much before, or behind, the estimate is another clock: delays are never negative, rarely seconds."""


@dataclass(frozen=True, kw_only=True)
class FrameStamps:
    """When a frame was taken, three ways [ns]; None where a clock does not exist (a recording has no arrival).

    device_ns: the sensor's own clock, from its start. arrival_ns: the host's clock when the frame arrived.
    ros_ns: the time of the image in the host's clock, by which frames are paired (of a message: its header stamp).
    """

    device_ns: int | None = None
    arrival_ns: int | None = None
    ros_ns: int | None = None


class DeviceClock:
    """Maps one device's stamps to host time, frame by frame."""

    def __init__(self) -> None:
        self.restarts = 0
        """How often the device's clock was found set anew."""
        self._last_host_ns: int | None = None
        self._last_device_ns = 0
        self._begin(0, 0)

    def _begin(self, device_ns: int, offset_ns: int) -> None:
        self._first_device_ns = device_ns
        self._base_offset_ns = offset_ns
        self._offset_ns = 0.0  # beyond the base, so that float64 keeps nanoseconds
        self._least: deque[tuple[int, float, float]] = deque(maxlen=SECONDS_KEPT)  # second, time [s], offset [ns]
        self._slope_ns_per_s = 0.0

    @property
    def drift_ppm(self) -> float:
        """How much faster the host's clock runs than the device's, in millionths; 0 until some seconds have passed."""
        return self._slope_ns_per_s * 1e-3

    def host_ns(self, device_ns: int, arrival_ns: int) -> int:
        """Host time [ns] of a device stamp; grows with every call.

        Args:
            device_ns: stamp of the frame by the device [ns].
            arrival_ns: when it reached the host, by the host's clock [ns].
        """
        observed_ns = arrival_ns - device_ns
        if self._last_host_ns is None:
            self._begin(device_ns, observed_ns)
        elif self._is_another_clock(observed_ns):
            self.restarts += 1
            self._begin(device_ns, observed_ns)
        elif device_ns > self._last_device_ns:
            self._slew_towards(self._line_at(device_ns, observed_ns), device_ns)
        host_ns = device_ns + self._base_offset_ns + round(self._offset_ns)
        if self._last_host_ns is not None:
            host_ns = max(host_ns, self._last_host_ns + 1)
        self._last_host_ns, self._last_device_ns = host_ns, device_ns
        return host_ns

    def _is_another_clock(self, observed_ns: int) -> bool:
        late_ns = observed_ns - self._base_offset_ns - self._offset_ns
        first = self._last_device_ns - self._first_device_ns < FIRST_SECONDS * SECOND_NS
        return late_ns > LATEST_NS or late_ns < -(LATEST_NS if first else EARLIEST_NS)

    def _line_at(self, device_ns: int, observed_ns: int) -> float:
        """Take one observation in; return the offset of the least delays now [ns]."""
        time_s = (device_ns - self._first_device_ns) / SECOND_NS
        offset_ns = float(observed_ns - self._base_offset_ns)
        if not self._least or self._least[-1][0] != int(time_s):
            self._least.append((int(time_s), time_s, offset_ns))
        elif offset_ns < self._least[-1][2]:
            self._least[-1] = (int(time_s), time_s, offset_ns)
        times = np.array([entry[1] for entry in self._least])
        offsets = np.array([entry[2] for entry in self._least])
        if times[-1] - times[0] < FIRST_SECONDS:
            return float(offsets.min())
        slope, level = np.polyfit(times, offsets, 1)
        # A whole second under load lies above the line: fit again through the lower half only.
        residuals = offsets - (slope * times + level)
        lower = residuals <= np.median(residuals)
        if lower.sum() > 2:
            slope, level = np.polyfit(times[lower], offsets[lower], 1)
        self._slope_ns_per_s = float(slope)
        return float(slope * time_s + level)

    def _slew_towards(self, wanted_ns: float, device_ns: int) -> None:
        passed_ns = device_ns - self._last_device_ns
        first = device_ns - self._first_device_ns < FIRST_SECONDS * SECOND_NS
        largest_ns = passed_ns * (FIRST_SLEW if first else LARGEST_SLEW)
        self._offset_ns += float(np.clip(wanted_ns - self._offset_ns, -largest_ns, largest_ns))
