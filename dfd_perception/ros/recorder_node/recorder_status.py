# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the recorder says on /diagnostics."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from dfd_perception.groundtruth.recording_control import RecordingControl

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
            f"{bogus} frames left out: their time stamps jumped away from those around them; look at the drivers' "
            "clocks. The others are recorded",
            values,
        )
    lost = control.image_gaps.missing + control.depth_gaps.missing
    if progress is not None and (progress.dropped or lost):
        losses = f"{progress.dropped} moments dropped, {lost} frames missing before they arrived"
        return DiagnosticStatus.WARN, f"{losses}: disk, processor or network are too slow", values
    if progress is not None and progress.free_bytes < LOW_DISK * progress.written_bytes:
        return DiagnosticStatus.WARN, f"{progress.free_bytes / 1e9:.1f} GB free: the disk fills soon", values
    return DiagnosticStatus.OK, "recording", values
