# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How long the node takes from the start of its process to its first depth, beside a bare echo node."""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dfd_perception.benchmark.processes import (
    PROCESSES,
    START_LIMIT_S,
    BenchmarkOptions,
    start,
    start_camera,
    started_node,
    stop,
    wait_for,
)
from dfd_perception.core.size import Size

START_RATE = 15.0
"""Images a second while a node starts: none is waited for long, and they cost little."""
SETTLED_S = 2.0
"""Camera and listener have found each other."""


def measure_start(options: BenchmarkOptions, size: Size, repeat: int = 3) -> dict[str, Any]:
    """Seconds from the start of the process to its first answer, of our node and of the echo node: medians of `repeat`.

    A camera publishes already and a listener listens. The first start of all fills the caches and does not count.

    Raises:
        BackendError: nothing was answered.
    """
    _start_once(options, size, echo=False)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(repeat):
        for echo, values in seconds.items():
            values.append(_start_once(options, size, echo))
    node_s, echo_s = (float(np.median(seconds[echo])) for echo in (False, True))
    return {
        "size": f"{size[1]}x{size[0]}",
        "node_s": round(node_s, 2),
        "echo_s": round(echo_s, 2),
        "over_echo": round(node_s / echo_s, 2),
        "repetitions": repeat,
    }


def _start_once(options: BenchmarkOptions, size: Size, echo: bool) -> float:
    with TemporaryDirectory(prefix="dfd_benchmark_") as scratch:
        heard = Path(scratch) / "heard.json"
        listener = start(PROCESSES, "listener", "--out", str(heard), "--topics", *options.topics)
        camera = start_camera(Path(scratch) / "sent.json", size, START_RATE, START_LIMIT_S, "--at-once")
        node = None
        try:
            wait_for(heard.with_suffix(".ready"), listener)
            time.sleep(SETTLED_S)
            began = time.monotonic()
            node = started_node(options, echo, None)
            wait_for(heard.with_suffix(".first"), node)
        finally:
            for process in (node, camera, listener):
                if process is not None:
                    stop(process)
        arrivals_s = json.loads(heard.read_text("utf-8"))["arrivals_s"]
    # Monotonic clocks of processes of one machine agree.
    return float(arrivals_s[0] - began)
