# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How far a build is, where TensorRT tells (10 and newer)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

REPORT_PERIOD_S = 0.25


@dataclass(frozen=True)
class Progress:
    """One state of a build."""

    stage: str
    """What is being done, in words."""
    fraction: float | None = None
    """0 to 1 within the stage; None where it is not known."""


def attach_progress_monitor(trt: Any, config: Any, on_progress: Callable[[Progress], None] | None) -> Any:
    """Forward the builder's progress; returns the monitor, which has to outlive the build, or None."""
    if on_progress is None or not hasattr(trt, "IProgressMonitor") or not hasattr(config, "progress_monitor"):
        return None
    monitor = _make_monitor(trt, on_progress)
    config.progress_monitor = monitor
    return monitor


def _make_monitor(trt: Any, on_progress: Callable[[Progress], None]) -> Any:
    class Monitor(trt.IProgressMonitor):
        """Reports the outermost phase; called from several threads."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._lock = threading.Lock()
            self._steps: dict[str, int] = {}
            self._outermost: str | None = None
            self._last_report = 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                self._steps[phase_name] = num_steps
                if not parent_phase:
                    self._outermost = phase_name

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                steps, now = self._steps.get(phase_name, 0), time.monotonic()
                due = phase_name == self._outermost and now - self._last_report >= REPORT_PERIOD_S
                if due:
                    self._last_report = now
            if due:
                on_progress(Progress(phase_name, min(1.0, (step + 1) / steps) if steps else None))
            return True

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                self._steps.pop(phase_name, None)

    return Monitor()
