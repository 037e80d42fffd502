# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""~/start, ~/stop and ~/capture, and what log and /diagnostics say while a session runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from std_srvs.srv import Trigger

from dfd_perception.errors import DfdPerceptionError, counted
from dfd_perception.groundtruth.recording_control import RecordingControl
from dfd_perception.ros.shared.node_log import Log

PROGRESS_PERIOD_S = 10.0


class RecordingServices:
    """The services of the node, for its whole life."""

    def __init__(self, node: Node, log: Log) -> None:
        self.control: RecordingControl | None = None
        """Answers the services; None while the node is not active."""
        self.source_ended = False
        """Set, from any thread, when no more frames will come; `watch` then closes the session."""
        self._log = log
        self._last_progress_s = 0.0
        node.create_service(Trigger, "~/start", self._answering(start))
        node.create_service(Trigger, "~/stop", self._answering(stop))
        node.create_service(Trigger, "~/capture", self._answering(RecordingControl.capture))

    def watch(self) -> None:
        """Close a session that stopped by itself or whose source has ended; say now and then how far it is."""
        control = self.control
        progress = control.progress() if control is not None and control.running else None
        if control is None or progress is None:
            return
        if progress.error is not None or self.source_ended:
            self.source_ended = False
            self._log("error" if progress.error else "info", stop(control))
            return
        if time.monotonic() - self._last_progress_s >= PROGRESS_PERIOD_S:
            self._last_progress_s = time.monotonic()
            self._log(
                "info",
                f"{counted(progress.written, 'moment')}, {progress.written_bytes / 1e6:.0f} MB, {progress.dropped} "
                f"dropped, {progress.free_bytes / 1e9:.1f} GB free",
            )

    def _answering(self, work: Callable[[RecordingControl], str]) -> Callable[..., Trigger.Response]:
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            if self.control is None:
                response.success, response.message = False, "the node is not active"
                return response
            try:
                response.message = work(self.control)
                response.success = True
            except DfdPerceptionError as error:
                response.success, response.message = False, str(error)
            self._log("info" if response.success else "error", response.message)
            return response

        return answer


def start(control: RecordingControl) -> str:
    """Begin a session; says where."""
    return f"recording to {control.start()}"


def stop(control: RecordingControl) -> str:
    """End the session, if there is one; says what it holds."""
    done = control.stop()
    if done is None:
        return "nothing was being recorded"
    summary = (
        f"{control.session}: {counted(done.written, 'moment')} written, {done.dropped} dropped, {done.failed} failed"
    )
    return f"{summary}; {done.error}" if done.error else summary


LOW_DISK = 2.0
"""Free space below so many times what was written so far is worth a warning."""


def recorder_status(
    control: RecordingControl | None, sensor_problem: str, sensor_facts: dict[str, str], active: bool
) -> tuple[bytes, str, dict[str, str]]:
    """Level, message and values; the first trouble in the order of how much it costs."""
    if control is None or not active:
        return DiagnosticStatus.OK, "inactive", {}
    progress, pairing = control.progress(), control.pairing
    values = {"recording": str(control.running), "session": str(control.session or ""), **sensor_facts}
    if progress is not None:
        values |= {
            "offered": str(progress.offered),
            "written": str(progress.written),
            "dropped (queue full)": str(progress.dropped),
            "failed": str(progress.failed),
            "waiting": str(progress.waiting),
            "written [MB]": f"{progress.written_bytes / 1e6:.1f}",
            "free [GB]": f"{progress.free_bytes / 1e9:.2f}",
            "without colour": str(control.without_colour),
            "unreadable": str(control.unreadable),
            "missing before arrival (image)": str(control.image_gaps.missing),
            "missing before arrival (depth)": str(control.depth_gaps.missing),
        }
    if pairing is not None:
        values |= {
            "pairs": str(pairing.pairs),
            "unmatched (image)": str(pairing.left_unmatched),
            "unmatched (depth)": str(pairing.right_unmatched),
            "bogus stamps (image)": str(pairing.left_bogus),
            "bogus stamps (depth)": str(pairing.right_bogus),
            f"offsets -{pairing.bound_ms:g} to {pairing.bound_ms:g} ms": " ".join(map(str, pairing.histogram)),
        }
    if progress is not None and progress.error is not None:
        return DiagnosticStatus.ERROR, progress.error, values
    if sensor_problem:
        return DiagnosticStatus.ERROR, sensor_problem, values
    if not control.ready:
        return DiagnosticStatus.ERROR, control.missing(), values
    if not control.running:
        return DiagnosticStatus.OK, "ready: ~/start begins a session", values
    bogus = 0 if pairing is None else pairing.left_bogus + pairing.right_bogus
    if bogus:
        return (
            DiagnosticStatus.WARN,
            f"{counted(bogus, 'frame')} left out: their time stamps jumped away from those around them; look at the "
            "drivers' clocks. The others are recorded",
            values,
        )
    lost = control.image_gaps.missing + control.depth_gaps.missing
    if progress is not None and (progress.dropped or lost):
        losses = f"{counted(progress.dropped, 'moment')} dropped, {counted(lost, 'frame')} missing before they arrived"
        return DiagnosticStatus.WARN, f"{losses}: disk, processor or network are too slow", values
    if progress is not None and progress.free_bytes < LOW_DISK * progress.written_bytes:
        return DiagnosticStatus.WARN, f"{progress.free_bytes / 1e9:.1f} GB free: the disk fills soon", values
    return DiagnosticStatus.OK, "recording", values
