# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How a model does on the images of a scene: rates, latencies, share without depth."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.prediction import Prediction
from dfd_perception.core.size import Size
from dfd_perception.inference.estimator import DepthEstimator
from dfd_perception.view.frame_slot import FrameSlot, Status

REPORT_S = 1.0
RATE_WINDOW_S = 5.0
WINDOW = 500
"""Images that latencies are taken over, at most; enough for the rate of any camera."""


class Telemetry:
    """Figures of the model at work."""

    def __init__(self, estimator: DepthEstimator | None) -> None:
        self.timed = True
        """The images have a rate, and reports are worth plotting; else every image is reported."""
        self.every_image = False
        """Report every image of a scene, not one a second."""
        self.dropped = 0
        self._estimator = estimator
        self.notes: list[str] = []
        """What the person should know; stands before every message."""
        self._in: deque[float] = deque(maxlen=WINDOW)
        self._out: deque[float] = deque(maxlen=WINDOW)
        self._latency_s: dict[str, deque[float]] = {}
        self._unknown_share: float | None = None
        self._facts: dict[str, str] = {}
        self._reported_s = -np.inf

    def received(self) -> None:
        """An image came."""
        self._in.append(time.monotonic())

    def answered(self, size: Size, prediction: Prediction, backend: str, curve: DefocusCurve | None) -> None:
        """The model ran on an image of (height, width)."""
        self._out.append(time.monotonic())
        for stage, seconds in prediction.latency_s.items():
            self._latency_s.setdefault(stage, deque(maxlen=WINDOW)).append(seconds)
        depth = prediction.depth_m
        self._unknown_share = None if depth is None else float(1 - np.isfinite(depth).mean())
        self._facts = {"backend": backend, "size": f"{size[1]} x {size[0]}"}
        if curve is not None:
            self._facts["lens"] = (
                f"{curve.gain_px_per_dioptre:.1f} px per dioptre, focused at {curve.focus_distance_m:g} m"
            )

    def report(self, slot: FrameSlot, message: str) -> None:
        """Report, at most once a second if timed; standing notes come before the message."""
        now_s = time.monotonic()
        if self.timed and not self.every_image and now_s - self._reported_s < REPORT_S:
            return
        self._reported_s = now_s
        series, values = self._figures()
        level, message = (1, "; ".join(self.notes)) if self.notes else (0, message)
        series = series if self.timed else {}
        slot.report(Status(level=level, message=message, values=values, series=series, time_s=time.time()))

    def end(self, slot: FrameSlot) -> None:
        """Say that nothing more will come."""
        slot.report(Status(level=3, message="the source has ended", values=self._figures()[1], time_s=time.time()))

    def _figures(self) -> tuple[dict[str, float], dict[str, str]]:
        series: dict[str, float] = {}
        values = dict(self._facts)
        if self._estimator is not None:
            values = {"model": f"{self._estimator.model.name} ({self._estimator.model.short_hash})", **values}
        for name, times in (("rate in", self._in), ("rate out", self._out)):
            recent = [t for t in times if time.monotonic() - t <= RATE_WINDOW_S]
            if self.timed and recent:
                series[name] = len(recent) / RATE_WINDOW_S
                values[f"{name} [1/s]"] = f"{series[name]:.1f}"
        for stage, seconds in self._latency_s.items():
            series[stage] = float(np.percentile(list(seconds), 50)) * 1e3
            worst_ms = float(np.percentile(list(seconds), 95)) * 1e3
            values[f"{stage} p50, p95 [ms]"] = f"{series[stage]:.1f}, {worst_ms:.1f}"
        if self._unknown_share is not None:
            series["without depth"] = self._unknown_share
            values["without depth"] = f"{self._unknown_share:.1%}"
        if self.timed:
            values["frames dropped (overdue)"] = str(self.dropped)
        return series, values
