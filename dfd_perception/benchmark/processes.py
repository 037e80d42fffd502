# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The processes of a measurement: camera, node or echo node, listener; how they start, end and are watched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfd_perception.core.durations import require_duration, require_rate
from dfd_perception.core.size import Size
from dfd_perception.errors import BackendError

NODE = "dfd_perception.ros.depth_node.dfd_node"
PROCESSES = "dfd_perception.ros.tools.benchmark_processes"
APERTURE_MM, FOCUS_M = 25.0, 0.6
START_LIMIT_S = 120.0
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
    rate_hz: float = 60.0
    """Frames a second of the throughput run."""
    duration_s: float = 10.0
    topics: Sequence[str] = ("depth", "deblurred")

    def __post_init__(self) -> None:
        require_rate("rate", self.rate_hz)
        require_duration("length of a run", self.duration_s)


def started_node(options: BenchmarkOptions, echo: bool, command: Sequence[str] | None) -> subprocess.Popen[bytes]:
    """Our node, the echo node, or `command`: script and arguments of another node of the same topics."""
    if echo:
        return start(PROCESSES, "echo")
    if command is not None:
        return subprocess.Popen([sys.executable, *command])
    parameters = {
        "model": options.model,
        "backend": options.backend,
        "precision": options.precision,
        "num_threads": options.num_threads,
        "lens.aperture_diameter_mm": APERTURE_MM,
        "lens.focus_distance_m": FOCUS_M,
        "diagnostics.period_s": 0.5,
    }
    return start(NODE, "--ros-args", "--log-level", "warn", *parameter_arguments(parameters))


def parameter_arguments(parameters: Mapping[str, Any]) -> list[str]:
    """Parameters of a node as it takes them after --ros-args."""
    return [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]


def start_camera(out: Path, size: Size, rate_hz: float, duration_s: float, *more: str) -> subprocess.Popen[bytes]:
    """The camera for so long, with more options of it; what it sent goes to `out`."""
    numbers = {"--height": size[0], "--width": size[1], "--rate": rate_hz, "--seconds": duration_s}
    return start(PROCESSES, "camera", "--out", str(out), *(str(x) for pair in numbers.items() for x in pair), *more)


def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A module of the package in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", module, *arguments])


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait for a file that a process makes.

    Raises:
        BackendError: it ended before, or took too long.
    """
    deadline = time.monotonic() + START_LIMIT_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BackendError("a process did not start or answer; its message is above")
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> int:
    """End a process by SIGINT, as Ctrl-C would, or by SIGKILL where that does not help; returns its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def usage_s(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_mb(pid: int) -> float:
    """Resident memory of a process [MB]."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
