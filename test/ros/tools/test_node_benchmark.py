# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd benchmark` measures; the figures themselves are never asserted, a busy machine may give any."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from dfd_perception.benchmark import node_benchmark as benchmark
from dfd_perception.benchmark.processes import BenchmarkOptions
from dfd_perception.cli.benchmark import table
from dfd_perception.errors import BackendError, UsageError


@pytest.mark.slow
@pytest.mark.parametrize("echo", [False, True])
def test_every_figure_of_a_short_run_is_there(ros_environment, monkeypatch, tiny_coc_model, echo):
    monkeypatch.setattr(benchmark, "WARM_UP_S", {False: 1.5, True: 0.5})
    for name, value in ros_environment.items():
        monkeypatch.setenv(name, value)
    options = BenchmarkOptions(model=str(tiny_coc_model), num_threads=1, duration_s=1.0)
    record = benchmark.run_once(options, (96, 128), 20.0, echo)
    assert 0 < record["answered"] <= record["sent"]
    assert record["dropped"] == record["sent"] - record["answered"]
    assert 0 < record["latency_ms"]["p50"] <= record["latency_ms"]["p95"]
    assert record["memory_mb"]["first"] > 10
    assert (record["stages_ms"].get("inference", 0) > 0) is not echo


def test_a_slow_node_is_measured_at_half_of_its_rate_for_three_answers():
    options = BenchmarkOptions(model="", duration_s=8.0)
    rate_hz, lasting, echo_rate_hz = benchmark.calm_run(options, 0.24)
    assert (rate_hz, lasting.duration_s, echo_rate_hz) == pytest.approx((0.12, 25.0, 5.0))
    rate_hz, lasting, echo_rate_hz = benchmark.calm_run(options, 30.0)
    assert (rate_hz, lasting.duration_s, echo_rate_hz) == (15.0, 8.0, 15.0)


@pytest.mark.parametrize(("answered", "expected"), [(3, None), (40, 1.25)])
def test_overhead_is_stated_of_enough_answers(answered, expected):
    calm = {"answered": answered, "stages_ms": {"inference": 100.0}, "latency_ms": {"p50": 120.0, "p95": 200.0}}
    echo = {"latency_ms": {"p50": 16.0, "p95": 20.0}}
    assert benchmark.overhead(calm, echo)["overhead_over_echo"] == expected
    assert benchmark.overhead({**calm, "stages_ms": {}}, echo)["overhead_over_echo"] is None


def test_answers_count_within_the_run_alone():
    sent = {"sent": 4, "began_s": 10.0, "seconds": 2.0}
    heard = {"arrivals_s": [10.5, 11.0, 12.0, 12.4], "delays_s": [0.6, 0.5, 0.4, 0.9], "stages_ms": {}}
    record = benchmark._record(sent, heard, (0.0, 1.0), [1.0])
    assert (record["answered"], record["dropped"], record["answered_per_s"]) == (2, 2, 1.0)
    with pytest.raises(BackendError, match=r"no frame was answered in 2\.0 s"):
        benchmark._record(sent, {**heard, "arrivals_s": [13.0] * 4}, (0.0, 1.0), [1.0])


@pytest.mark.slow
def test_a_start_is_measured_to_the_first_answer(ros_environment, monkeypatch, tiny_coc_model):
    for name, value in ros_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(benchmark, "SETTLED_S", 0.5)
    options = BenchmarkOptions(model=str(tiny_coc_model), backend="onnxruntime", num_threads=1)
    record = benchmark.measure_start(options, (96, 128), repeat=1)
    assert record["size"] == "128x96"
    assert record["node_s"] > 0.3, "no Python process with rclpy is faster"
    assert record["over_echo"] == pytest.approx(record["node_s"] / record["echo_s"], abs=0.05)


def test_the_table_names_every_figure():
    run = {
        "sent": 600, "answered": 300, "dropped": 300, "sent_per_s": 60.0, "answered_per_s": 30.0, "cpu_cores": 1.5,
        "latency_ms": {"p50": 40.0, "p95": 50.0}, "memory_mb": {"first": 200.0, "last": 201.0},
    }  # fmt: skip
    node = {"size": "640x480", "throughput": run, "latency": run, "echo": run, "inference_p50_ms": 33.0,
            "overhead_p50_ms": 7.0, "overhead_over_echo": 0.18}  # fmt: skip
    slow = {**node, "inference_p50_ms": None, "overhead_p50_ms": None, "overhead_over_echo": None}
    start = {"size": "640x480", "node_s": 2.1, "echo_s": 0.9, "over_echo": 2.33, "repetitions": 3}
    result = {"model": {"name": "m"}, "precision": "fp32", "machine": {"cpu": "c"}}
    result |= {"node": [node, slow], "start": [start]}
    row, few, _, began = table(result).splitlines()[-4:]
    expected = "| 640x480 | 30.0 of 60 | 300 of 600 | 40.0 / 50.0 ms | 33.0 ms | 7.0 / 40.0 ms = 0.18 | 1.5 |"
    assert row.startswith(expected)
    assert "| 40.0 / 50.0 ms | - | - | 1.5 |" in few
    assert began == "640x480: first answer 2.1 s after the start of the process; the echo node's 0.9 s (2.33 x)"


@pytest.mark.parametrize("wrong", [{"duration_s": float("nan")}, {"rate_hz": float("nan")}, {"rate_hz": 0.0}])
def test_times_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError, match="expected above 0"):
        BenchmarkOptions(model="", **wrong)


def test_a_wrong_size_is_one_line(ros_environment, tiny_coc_model):
    command = [sys.executable, "-m", "dfd_perception.cli", "benchmark"]
    command += ["--model", str(tiny_coc_model), "--size", "big"]
    result = subprocess.run(command, env=ros_environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "expected HEIGHTxWIDTH" in result.stderr
