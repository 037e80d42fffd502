# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""~/start, ~/stop and ~/capture, and what the log says while a session runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.node import Node
from std_srvs.srv import Trigger

from dfd_perception.errors import DfdPerceptionError
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
                f"{progress.written} moments, {progress.written_bytes / 1e6:.0f} MB, {progress.dropped} dropped, "
                f"{progress.free_bytes / 1e9:.1f} GB free",
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
    summary = f"{control.session}: {done.written} moments written, {done.dropped} dropped, {done.failed} failed"
    return f"{summary}; {done.error}" if done.error else summary
