# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Latencies on /diagnostics are those of the last seconds, by stage."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from dfd_perception.ros.shared import diagnostics
from dfd_perception.ros.shared.diagnostics import LATENCY_WINDOW_S, Statistics


def test_frames_of_long_ago_do_not_count_and_a_pause_forgets_nothing(monkeypatch):
    now_s = 100.0
    monkeypatch.setattr(diagnostics.time, "monotonic", lambda: now_s)
    statistics = Statistics()
    assert statistics.percentiles_ms() == {}
    statistics.add_latencies({"inference": 2.0})  # a network is prepared
    now_s += LATENCY_WINDOW_S - 1
    for latency_ms in (20, 30, 40):
        now_s += 0.5
        statistics.add_latencies({"inference": latency_ms / 1e3, "decode": 0.001})
    assert statistics.percentiles_ms()["inference"] == pytest.approx((30.0, 39.0))
    now_s += 3600
    assert statistics.percentiles_ms()["decode"] == pytest.approx((1.0, 1.0))
