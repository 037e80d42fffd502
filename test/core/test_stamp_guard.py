# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Stamps that jump: one that nothing confirms is left out, a clock that was set is followed."""

from __future__ import annotations

import pytest

from dfd_perception.core.stamp_pairing import StampPairing
from dfd_perception.core.stamps import StampGuard

SECOND = 1_000_000_000
PERIOD = SECOND // 30
HOUR = 3600 * SECOND
START = 1_700_000_000 * SECOND


def paired(left: list[int], right: list[int]) -> tuple[list[tuple[int, int]], StampPairing[int, int]]:
    """Both streams in turn, each frame its own stamp."""
    pairing: StampPairing[int, int] = StampPairing(20.0)
    found = []
    for a, b in zip(left, right, strict=True):
        found += pairing.add_left(a, a) + pairing.add_right(b, b)
    found += pairing.finish()
    return [(pair.left, pair.right) for pair in found], pairing


def stream(count: int, start: int = START, period: int = PERIOD) -> list[int]:
    return [start + k * period for k in range(count)]


@pytest.mark.parametrize(
    "bogus", [START + HOUR, (2**31 - 1) * SECOND, 0, START - HOUR], ids=["ahead", "end", "zero", "behind"]
)
@pytest.mark.parametrize("place", [0, 1, 7])
def test_one_bogus_stamp_costs_one_pair(bogus, place):
    left, right = stream(60), stream(60)
    right[place] = bogus
    pairs, pairing = paired(left, right)
    expected = [(s, s) for k, s in enumerate(stream(60)) if k != place]
    # Of a stream that begins with it, the frames that show it to be bogus can be lost as well.
    assert len(pairs) >= len(expected) - 2 * (place == 0)
    assert set(pairs) <= set(expected)
    if place:
        assert pairing.counts.right_bogus == 1
    counts = pairing.counts
    assert counts.pairs + counts.left_unmatched == counts.pairs + counts.right_unmatched == 60


def test_a_clock_that_was_set_back_or_on_is_followed():
    for shift in (-10 * SECOND, 10 * SECOND, -HOUR, HOUR):
        stamps = stream(30) + stream(30, START + 30 * PERIOD + shift)
        pairs, pairing = paired(stamps, stamps)
        assert len(pairs) == 60, shift
        assert pairing.counts.left_bogus == pairing.counts.right_bogus == 0


def test_a_pause_is_no_jump():
    stamps = stream(10) + stream(10, START + HOUR)
    assert len(paired(stamps, stamps)[0]) == 20


@pytest.mark.parametrize("period", [SECOND, 10 * SECOND, 60 * SECOND])
def test_slow_streams_are_streams(period):
    stamps = stream(8, period=period)
    assert len(paired(stamps, stamps)[0]) == 8


def test_a_second_publisher_with_another_clock_is_left_out():
    guard: StampGuard[str] = StampGuard()
    believed, bogus = [], 0
    for k, stamp in enumerate(stream(40)):
        for name, at in (("first", stamp), ("second", stamp + HOUR)):
            judged = guard.take(at, f"{name} {k}")
            believed += [frame for _, frame in judged.believed]
            bogus += len(judged.bogus)
    assert believed == [f"first {k}" for k in range(40)]
    assert bogus == 39


def test_late_and_repeated_frames_still_cost_themselves_alone():
    stamps = stream(20)
    late = stamps[:8] + [stamps[5], stamps[7]] + stamps[8:]
    pairs, pairing = paired(stamps + [stamps[-1] + PERIOD, stamps[-1] + 2 * PERIOD], late)
    assert len(pairs) == 20
    assert pairing.counts.right_bogus == 0
