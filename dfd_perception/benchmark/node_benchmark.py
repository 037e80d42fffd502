# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How fast the node is, end to end: camera process -> node -> listener process, beside a bare echo node.

The time from the start of its process to its first depth is measured beside the same echo node.

Two runs for each image size: one with more frames than can be answered (throughput, drops), one at half of that rate
(latency without queueing). The echo node runs at the same rate: what it needs is what messages of this size cost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dfd_perception.benchmark.processes import (
    PROCESSES,
    START_LIMIT_S,
    BenchmarkOptions,
    memory_mb,
    start,
    start_camera,
    started_node,
    stop,
    usage_s,
    wait_for,
)
from dfd_perception.core.size import Size
from dfd_perception.errors import BackendError

WARM_UP_S = {False: 4.0, True: 1.0}
MEMORY_PERIOD_S = 0.5
LEAST_ANSWERS = 3
"""Of each run: fewer say nothing of a rate."""
LEAST_FOR_OVERHEAD = 10
"""Answers: the inference of a few varies by more than the echo node's whole round trip."""
LEAST_ECHO_RATE_HZ = 5.0
"""The echo node beside a slow one is still measured on enough images."""


def measure_node(options: BenchmarkOptions) -> list[dict[str, Any]]:
    """One record for each image size: throughput, latency, the echo node's latency, overhead over it.

    Raises:
        BackendError: the node did not answer.
    """
    return [{"size": f"{size[1]}x{size[0]}", **measure_two_rates(options, size)} for size in options.sizes]


def measure_two_rates(options: BenchmarkOptions, size: Size, command: Sequence[str] | None = None) -> dict[str, Any]:
    """Throughput with more images than can be answered, latency at half of the rate reached, and the echo node's.

    A slow node is measured for as long as LEAST_ANSWERS of it take.

    Args:
        command: script and arguments of another node of the same topics, in place of ours.

    Raises:
        BackendError: nothing was answered.
    """
    throughput = run_once(options, size, options.rate_hz, echo=False, command=command)
    if throughput["answered"] < LEAST_ANSWERS:
        longer = _lasting(options, (LEAST_ANSWERS + 1) / throughput["answered_per_s"])
        throughput = run_once(longer, size, options.rate_hz, echo=False, command=command)
    rate_hz, lasting, echo_rate_hz = calm_run(options, throughput["answered_per_s"])
    calm = run_once(lasting, size, rate_hz, echo=False, command=command)
    echo = run_once(options, size, echo_rate_hz, echo=True)
    return {"throughput": throughput, "latency": calm, "echo": echo, **overhead(calm, echo)}


def calm_run(options: BenchmarkOptions, reached_hz: float) -> tuple[float, BenchmarkOptions, float]:
    """Rate [Hz] at which no frame waits, options that last LEAST_ANSWERS of it, and the rate [Hz] of the echo node."""
    rate_hz = reached_hz / 2
    return rate_hz, _lasting(options, LEAST_ANSWERS / rate_hz), max(rate_hz, LEAST_ECHO_RATE_HZ)


def overhead(calm: dict[str, Any], echo: dict[str, Any]) -> dict[str, float | None]:
    """Latency beside inference, in ms and over the echo node's: differences of medians, None of too few answers."""
    inference_ms = calm["stages_ms"].get("inference")
    if inference_ms is None or calm["answered"] < LEAST_FOR_OVERHEAD:
        return {"inference_p50_ms": inference_ms, "overhead_p50_ms": None, "overhead_over_echo": None}
    overhead_ms = calm["latency_ms"]["p50"] - inference_ms
    return {
        "inference_p50_ms": inference_ms,
        "overhead_p50_ms": round(overhead_ms, 2),
        "overhead_over_echo": round(overhead_ms / echo["latency_ms"]["p50"], 2),
    }


def _lasting(options: BenchmarkOptions, duration_s: float) -> BenchmarkOptions:
    """The options for so long at least."""
    return replace(options, duration_s=max(options.duration_s, duration_s))


def run_once(
    options: BenchmarkOptions, size: Size, rate_hz: float, echo: bool, command: Sequence[str] | None = None
) -> dict[str, Any]:
    """Run camera, node (or echo) and listener once.

    Args:
        command: script and arguments of another node of the same topics, in place of ours.

    Raises:
        BackendError: nothing was answered.
    """
    with TemporaryDirectory(prefix="dfd_benchmark_") as scratch:
        folder = Path(scratch)
        node = started_node(options, echo, command)
        listener = start(PROCESSES, "listener", "--out", str(folder / "heard.json"), "--topics", *options.topics)
        try:
            wait_for(folder / "heard.ready", listener)
            # The network is prepared by the first frames; they do not count.
            _camera(folder / "warm_up.json", size, min(rate_hz, 5.0), WARM_UP_S[echo])
            usage_before = usage_s(node.pid)
            sent, memory = _camera_watched(folder / "sent.json", size, rate_hz, options.duration_s, node.pid)
            usage = usage_s(node.pid)
        finally:
            stop(node)
            stop(listener)
        heard = json.loads((folder / "heard.json").read_text("utf-8"))
    return _record(sent, heard, (usage_before, usage), memory)


def _record(
    sent: dict[str, Any],
    heard: dict[str, Any],
    cpu_s: tuple[float, float],
    memory_mb: list[float],
) -> dict[str, Any]:
    # Monotonic clocks of processes of one machine agree. Late answers to images of the warm-up do not count, nor what a
    # slow node answers after the run.
    began_s, ended_s = sent["began_s"], sent["began_s"] + sent["seconds"]
    answers = zip(heard["delays_s"], heard["arrivals_s"], strict=True)
    delays = [delay_s for delay_s, at_s in answers if at_s - delay_s >= began_s and at_s <= ended_s]
    if not delays:
        raise BackendError(
            f"no frame was answered in {sent['seconds']:.1f} s; the node's log is above (dfd doctor checks this "
            "machine; a slower node needs more --seconds)"
        )
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


def _camera(out: Path, size: Size, rate_hz: float, duration_s: float) -> dict[str, Any]:
    process = start_camera(out, size, rate_hz, duration_s)
    if process.wait(duration_s + START_LIMIT_S) != 0:
        raise BackendError("the camera process failed; its message is above")
    return dict(json.loads(out.read_text("utf-8")))


def _camera_watched(
    out: Path, size: Size, rate_hz: float, duration_s: float, node_pid: int
) -> tuple[dict[str, Any], list[float]]:
    process = start_camera(out, size, rate_hz, duration_s)
    memory = [memory_mb(node_pid)]
    while process.poll() is None:
        time.sleep(MEMORY_PERIOD_S)
        memory.append(memory_mb(node_pid))
    return dict(json.loads(out.read_text("utf-8"))), memory


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
    node_s, echo_s = (round(float(np.median(seconds[echo])), 2) for echo in (False, True))
    return {
        "size": f"{size[1]}x{size[0]}",
        "node_s": node_s,
        "echo_s": echo_s,
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
        first_s = float(heard.with_suffix(".first").read_text("utf-8"))
    # Monotonic clocks of processes of one machine agree.
    return first_s - began
