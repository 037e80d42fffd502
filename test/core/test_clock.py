# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The device clock under the drift, load and restarts that were seen on real Azure Kinects."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.clock import DeviceClock

MS = 1_000_000
PERIOD_NS = 66_666_667


def run(seconds: float, drift: float, seed: int = 0, first_delay_ms: float = 0.0):
    """Map a stream with 5 ms of least delay, jitter and load spikes; return device stamps, truth and answers [ns]."""
    rng = np.random.default_rng(seed)
    count = int(seconds * 15)
    device_ns = 336_277_000 + np.arange(count) * PERIOD_NS
    truth_ns = 1_700_000_000_000_000_000 + np.rint(device_ns * (1 + drift)).astype(np.int64)
    delay_ms = 5 + rng.exponential(4, count) + (rng.random(count) < 0.02) * rng.uniform(50, 400, count)
    delay_ms[0] += first_delay_ms
    clock = DeviceClock()
    arrivals = truth_ns + (delay_ms * MS).astype(np.int64)
    answers = np.array([clock.host_ns(int(d), int(a)) for d, a in zip(device_ns, arrivals, strict=True)])
    return clock, truth_ns, answers


@pytest.mark.parametrize("drift", [0.0, 3.9e-4, -3.9e-4])
def test_drift_and_load_do_not_move_the_answer(drift):
    clock, truth_ns, answers = run(240, drift)
    error_ms = (answers - truth_ns)[15 * 20 :] / MS
    # The least delay (5 ms) cannot be told from the offset; what matters is that it stays the same.
    assert np.all(np.abs(error_ms - 5.3) < 1.0)
    assert clock.drift_ppm == pytest.approx(drift * 1e6, abs=30)
    assert clock.restarts == 0


def test_answer_always_grows_and_is_never_stepped():
    _, truth_ns, answers = run(120, 1e-4, first_delay_ms=80)
    steps = np.diff(answers)
    assert steps.min() > 0.75 * PERIOD_NS
    assert steps[15 * 5 :].max() < 1.01 * PERIOD_NS
    assert abs((answers - truth_ns)[-1] / MS - 5.3) < 1.0


def test_late_first_frame_is_forgotten_within_a_second():
    _, truth_ns, answers = run(10, 0.0, first_delay_ms=80)
    assert np.abs((answers - truth_ns)[15:75] / MS - 5).max() < 6.0


def test_device_that_starts_anew_is_noticed():
    clock = DeviceClock()
    for frame in range(100):
        clock.host_ns(frame * PERIOD_NS, 10**18 + frame * PERIOD_NS)
    before = clock.host_ns(100 * PERIOD_NS, 10**18 + 100 * PERIOD_NS)
    after = clock.host_ns(0, 10**18 + 103 * PERIOD_NS)
    assert clock.restarts == 1
    assert after > before
    assert after == 10**18 + 103 * PERIOD_NS


def test_frame_out_of_order_changes_nothing():
    clock = DeviceClock()
    for frame in range(20):
        clock.host_ns(frame * PERIOD_NS, 10**18 + frame * PERIOD_NS)
    clock.host_ns(18 * PERIOD_NS, 10**18 + 20 * PERIOD_NS)
    assert clock.restarts == 0
    assert clock.host_ns(21 * PERIOD_NS, 10**18 + 21 * PERIOD_NS) == 10**18 + 21 * PERIOD_NS
