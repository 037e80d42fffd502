# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How fast the node is, end to end: camera process -> node -> listener process, beside a bare echo node.

Two runs for each image size: one with more frames than can be answered (throughput, drops), one at half of that rate
(latency without queueing). The echo node runs at the same rate: what it needs is what messages of this size cost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dfd_perception.core.size import Size
from dfd_perception.errors import BackendError

NODE = "dfd_perception.ros.depth_node.dfd_node"
PROCESSES = "dfd_perception.ros.tools.benchmark_processes"
APERTURE_MM, FOCUS_M = 25.0, 0.6
START_LIMIT_S = 120.0
WARM_UP_S = {False: 4.0, True: 1.0}
MEMORY_PERIOD_S = 0.5
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """What to measure."""

    model: str
    backend: str = "auto"
    precision: str = "fp32"
    num_threads: int = 0
    sizes: Sequence[Size] = ((480, 640), (720, 1280))
    """(height, width) of the images."""
    rate: float = 60.0
    """Frames a second of the throughput run."""
    duration_s: float = 10.0
    topics: Sequence[str] = ("depth", "deblurred")


def measure_node(options: BenchmarkOptions) -> list[dict[str, Any]]:
    """One record for each image size: throughput, latency, the echo node's latency, overhead over it.

    Raises:
        BackendError: the node did not answer.
    """
    records = []
    for size in options.sizes:
        throughput = run_once(options, size, options.rate, echo=False)
        # Half of what it can: no frame waits for another.
        calm_rate = max(1.0, throughput["answered_per_s"] / 2)
        latency = run_once(options, size, calm_rate, echo=False)
        echo = run_once(options, size, calm_rate, echo=True)
        inference_ms = latency["stages_ms"].get("inference", float("nan"))
        overhead_ms = latency["latency_ms"]["p50"] - inference_ms
        records.append(
            {
                "size": f"{size[1]}x{size[0]}",
                "throughput": throughput,
                "latency": latency,
                "echo": echo,
                "inference_p50_ms": inference_ms,
                "overhead_p50_ms": round(overhead_ms, 2),
                "overhead_over_echo": round(overhead_ms / echo["latency_ms"]["p50"], 2),
            }
        )
    return records


def run_once(
    options: BenchmarkOptions, size: Size, rate: float, echo: bool, command: Sequence[str] | None = None
) -> dict[str, Any]:
    """Run camera, node (or echo) and listener once.

    Args:
        command: script and arguments of another node of the same topics, in place of ours.

    Raises:
        BackendError: nothing was answered.
    """
    with TemporaryDirectory(prefix="dfd_benchmark_") as scratch:
        folder = Path(scratch)
        node = _started_node(options, echo, command)
        listener = _start(PROCESSES, "listener", "--out", str(folder / "heard.json"), "--topics", *options.topics)
        try:
            _wait_for(folder / "heard.ready", listener)
            # The network is prepared by the first frames; they do not count.
            _camera(folder / "warm_up.json", size, min(rate, 5.0), WARM_UP_S[echo])
            before, usage_before = time.monotonic(), _usage(node.pid)
            sent, memory_mb = _camera_watched(folder / "sent.json", size, rate, options.duration_s, node.pid)
            usage = _usage(node.pid)
        finally:
            _stop(node)
            _stop(listener)
        heard = json.loads((folder / "heard.json").read_text("utf-8"))
    return _record(sent, heard, before, (usage_before, usage), memory_mb)


def _started_node(options: BenchmarkOptions, echo: bool, command: Sequence[str] | None) -> subprocess.Popen[bytes]:
    if echo:
        return _start(PROCESSES, "echo")
    if command is not None:
        return subprocess.Popen([sys.executable, *command])
    return _start(NODE, *_node_arguments(options))


def _record(
    sent: dict[str, Any],
    heard: dict[str, Any],
    before_s: float,
    cpu_s: tuple[float, float],
    memory_mb: list[float],
) -> dict[str, Any]:
    # Monotonic clocks of processes of one machine agree.
    delays = [d for d, at in zip(heard["delays_s"], heard["arrivals_s"], strict=True) if at >= before_s]
    if not delays:
        raise BackendError("no frame was answered; the node's log is above (dfd doctor checks this machine)")
    p50, p95 = np.percentile(delays, [50, 95]) * 1e3
    return {
        "sent": sent["sent"],
        "answered": len(delays),
        "dropped": max(0, sent["sent"] - len(delays)),
        "sent_per_s": round(sent["sent"] / sent["seconds"], 2),
        "answered_per_s": round(len(delays) / sent["seconds"], 2),
        "latency_ms": {"p50": round(float(p50), 2), "p95": round(float(p95), 2)},
        "cpu_cores": round((cpu_s[1] - cpu_s[0]) / sent["seconds"], 2),
        "cpu_ms_per_frame": round((cpu_s[1] - cpu_s[0]) / len(delays) * 1e3, 1),
        "memory_mb": {"first": memory_mb[0], "last": memory_mb[-1]},
        "stages_ms": heard["stages_ms"],
    }


def _node_arguments(options: BenchmarkOptions) -> list[str]:
    parameters = {
        "model": options.model,
        "backend": options.backend,
        "precision": options.precision,
        "num_threads": options.num_threads,
        "lens.aperture_diameter_mm": APERTURE_MM,
        "lens.focus_distance_m": FOCUS_M,
        "diagnostics.period_s": 0.5,
    }
    arguments = ["--ros-args", "--log-level", "warn"]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={value}"]
    return arguments


def _camera(out: Path, size: Size, rate: float, duration_s: float) -> dict[str, Any]:
    process = _start_camera(out, size, rate, duration_s)
    if process.wait(duration_s + START_LIMIT_S) != 0:
        raise BackendError("the camera process failed; its message is above")
    return dict(json.loads(out.read_text("utf-8")))


def _camera_watched(
    out: Path, size: Size, rate: float, duration_s: float, node_pid: int
) -> tuple[dict[str, Any], list[float]]:
    process = _start_camera(out, size, rate, duration_s)
    memory = [_memory_mb(node_pid)]
    while process.poll() is None:
        time.sleep(MEMORY_PERIOD_S)
        memory.append(_memory_mb(node_pid))
    return dict(json.loads(out.read_text("utf-8"))), memory


def _start_camera(out: Path, size: Size, rate: float, duration_s: float) -> subprocess.Popen[bytes]:
    numbers = {"--height": size[0], "--width": size[1], "--rate": rate, "--seconds": duration_s}
    return _start(PROCESSES, "camera", "--out", str(out), *(str(x) for pair in numbers.items() for x in pair))


def _start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", module, *arguments])


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BackendError("the listener process did not start; its message is above")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _usage(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _memory_mb(pid: int) -> float:
    """Resident memory of a process [MB]."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
