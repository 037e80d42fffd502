# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the node says about itself on /diagnostics: rates, drops, ages, latencies, what runs, the last error."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfd_perception.ros.shared.node_log import node_log
from dfd_perception.ros.shared.sim_time import SimTimeWatch

RATE_WINDOW_S = 5.0
LATENCY_WINDOW_S = 10.0
Filled = tuple[bytes, str, dict[str, str]]
ERROR_MEMORY_S = 10.0
SILENCE_S = 3.0


class Rate:
    """Events a second over the last seconds of the monotonic clock: a paused or jumping ROS clock does not matter."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1000)
        self.total = 0

    def tick(self) -> None:
        """Count one event now."""
        self._times.append(time.monotonic())
        self.total += 1

    def per_second(self) -> float:
        """Events a second; 0 when there were fewer than two."""
        now = time.monotonic()
        recent = [t for t in tuple(self._times) if now - t <= RATE_WINDOW_S]
        return (len(recent) - 1) / max(now - recent[0], 1e-6) if len(recent) > 1 else 0.0

    def age_s(self) -> float:
        """Seconds since the last event; infinite before the first."""
        return time.monotonic() - self._times[-1] if self._times else float("inf")


ALL_INVALID = (
    "no pixel of the last image has depth: all of it lies outside depth.min_m to depth.max_m, is blurred more than "
    "what is infinitely far, or is less certain than depth.max_rel_std"
)


class Statistics:
    """Counters that the executor's thread and the worker's thread both write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.received = Rate()
        self.answered = Rate()
        self.refused = 0
        """Frames that could not be read or run."""
        self.too_old = Rate()
        self.age_s = float("nan")
        self.invalid_fraction = float("nan")
        """Of the pixels of the last depth; NaN where there was none."""
        self.depth_problem = ""
        """Why depth that somebody subscribes to is not published; empty while it is, or nobody does."""
        self.running: dict[str, str] = {}
        """Backend, precision, device: what ran the last frame."""
        self._latencies: deque[tuple[float, Mapping[str, float]]] = deque()
        self._error = ""
        self._error_at = -float("inf")

    def add_latencies(self, latency_s: Mapping[str, float]) -> None:
        """Remember how long the stages of one frame took, and forget frames of LATENCY_WINDOW_S before it."""
        now = time.monotonic()
        with self._lock:
            self._latencies.append((now, latency_s))
            while now - self._latencies[0][0] > LATENCY_WINDOW_S:
                self._latencies.popleft()

    def percentiles_ms(self) -> dict[str, tuple[float, float]]:
        """p50 and p95 of each stage [ms], over the last LATENCY_WINDOW_S in which frames came."""
        with self._lock:
            frames = [latency_s for _, latency_s in self._latencies]
        stages = dict.fromkeys(stage for frame in frames for stage in frame)
        values = {stage: [frame[stage] for frame in frames if stage in frame] for stage in stages}
        return {s: (float(np.percentile(v, 50)) * 1e3, float(np.percentile(v, 95)) * 1e3) for s, v in values.items()}

    def note_error(self, message: str) -> None:
        """Remember the last error."""
        with self._lock:
            self._error, self._error_at = message, time.monotonic()

    def last_error(self) -> tuple[str, bool]:
        """The last error ('' for none), and whether it is recent."""
        with self._lock:
            return self._error, time.monotonic() - self._error_at < ERROR_MEMORY_S


class DiagnosticsPublisher:
    """Publishes one status by a steady timer, so that a paused simulation clock does not silence it."""

    def __init__(
        self, node: Node, period_s: float, fill: Callable[[], Filled], subject: str = "depth from defocus"
    ) -> None:
        self._node = node
        self._subject = subject
        self._fill = fill
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(period_s, self.publish, clock=steady)
        self._sim_time, self._log = SimTimeWatch(node), node_log(node)
        self._without_time = False

    def publish(self) -> None:
        """Publish now."""
        name = self._node.get_fully_qualified_name()
        level, message, values = self._with_sim_time(*self._fill())
        status = DiagnosticStatus(level=level, name=f"{name}: {self._subject}", message=message, hardware_id=name)
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _with_sim_time(self, level: bytes, message: str, values: dict[str, str]) -> Filled:
        """The status, with what is wrong with the node's own time; logged when it begins."""
        problem = self._sim_time.problem()
        if problem is not None and not self._without_time:
            self._log("info" if self._sim_time.had_time else "warning", problem)
        self._without_time = problem is not None
        if problem is None:
            return level, message, values
        if level == DiagnosticStatus.OK:
            return DiagnosticStatus.WARN, problem, values
        return level, f"{message}; {problem}", values

    def destroy(self) -> None:
        """Stop and release."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)


class StatusFiller:
    """Turns statistics into level, message and values."""

    def __init__(self, statistics: Statistics, topic: str) -> None:
        self.statistics = statistics
        self.topic = topic
        self.state = "inactive"
        self.dropped = lambda: 0
        self.publisher_count = lambda: 0
        self.published_near = lambda: ""
        """Same image in another transport, in words."""
        self.facts: dict[str, str] = {}
        """Model, hash, lens: what does not change from frame to frame."""
        self.warnings: dict[str, str] = {}
        """Standing warnings by subject."""

    def set_warning(self, subject: str, warning: str | None) -> None:
        """Let a warning stand, or take it back with None."""
        self.warnings.pop(subject, None)
        if warning is not None:
            self.warnings[subject] = warning

    def __call__(self) -> Filled:
        s = self.statistics
        error, recent = s.last_error()
        values = {
            "state": self.state,
            "rate in [1/s]": f"{s.received.per_second():.2f}",
            "rate out [1/s]": f"{s.answered.per_second():.2f}",
            "frames in": str(s.received.total),
            "frames out": str(s.answered.total),
            "frames dropped (newer came)": str(self.dropped()),
            "frames dropped (too old)": str(s.too_old.total),
            "frames refused": str(s.refused),
            "frame age [s]": f"{s.age_s:.3f}",
            "NaN ratio": f"{s.invalid_fraction:.4f}",
            "last error": error,
            **self.facts,
            **s.running,
        }
        for stage, (p50, p95) in s.percentiles_ms().items():
            values[f"{stage} p50 [ms]"], values[f"{stage} p95 [ms]"] = f"{p50:.2f}", f"{p95:.2f}"
        if recent:
            return DiagnosticStatus.ERROR, error, values
        if self.state == "active" and s.received.age_s() > SILENCE_S:
            count = self.publisher_count()
            who = "nobody publishes" if count == 0 else f"{count} of its publishers known, nothing arrives on"
            near = "" if count else self.published_near()
            waited = s.received.age_s()
            since = "yet" if waited == float("inf") else f"for {waited:.0f} s"
            return DiagnosticStatus.WARN, f"no image {since}: {who} {self.topic}{near}", values
        if self.state == "active" and s.too_old.age_s() < SILENCE_S < s.answered.age_s():
            return DiagnosticStatus.WARN, f"all images are too old ({s.age_s:.1f} s): see max_age_s", values
        if self.state == "active" and s.depth_problem:
            return DiagnosticStatus.WARN, f"no depth: {s.depth_problem}", values
        if self.state == "active" and s.invalid_fraction == 1:
            return DiagnosticStatus.WARN, ALL_INVALID, values
        if self.warnings:
            return DiagnosticStatus.WARN, "; ".join(self.warnings.values()), values
        return DiagnosticStatus.OK, self.state, values


def same_name_warning(node: Node) -> str | None:
    """What is wrong when another node has this one's full name: services and parameters of both answer at random."""
    same = node.get_node_names_and_namespaces().count((node.get_name(), node.get_namespace()))
    return f"{same} nodes are named {node.get_fully_qualified_name()}: rename one" if same > 1 else None
