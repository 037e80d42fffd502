# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Pairing by hand-made streams: nearest, one to one, bounded, and nothing lost uncounted."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.stamp_pairing import StampPairing

MS = 1_000_000


def feed(pairing, events):
    """Events are ("L" or "R", stamp in ms) in order of arrival; frames are their stamps."""
    pairs = []
    for side, stamp_ms in events:
        add = pairing.add_left if side == "L" else pairing.add_right
        pairs += add(int(stamp_ms * MS), stamp_ms)
    return [(pair.left, pair.right) for pair in pairs + pairing.finish()]


def test_nearest_wins_over_first():
    pairing = StampPairing(bound_ms=50)
    assert feed(pairing, [("L", 0), ("R", 30), ("L", 33), ("R", 63), ("L", 66)]) == [(33, 30), (66, 63)]
    assert (pairing.counts.left_unmatched, pairing.counts.right_unmatched) == (1, 0)


def test_faster_stream_leaves_its_surplus_unmatched():
    pairing = StampPairing(bound_ms=20)
    events = sorted([("L", 10 * k) for k in range(30)] + [("R", 30 * k + 1) for k in range(10)], key=lambda e: e[1])
    assert feed(pairing, events) == [(30 * k, 30 * k + 1) for k in range(10)]
    assert pairing.counts.left_unmatched == 20


def test_bound_holds():
    pairing = StampPairing(bound_ms=10)
    assert feed(pairing, [("L", 0), ("R", 10.5), ("L", 100), ("R", 109)]) == [(100, 109)]
    assert (pairing.counts.left_unmatched, pairing.counts.right_unmatched) == (1, 1)


def test_one_stream_that_arrives_late_is_paired_all_the_same():
    pairing = StampPairing(bound_ms=10, capacity=20)
    events = [("L", 66 * k) for k in range(15)] + [("R", 66 * k + 3) for k in range(15)]
    assert len(feed(pairing, events)) == 15


def test_memory_is_bounded_and_the_surplus_counted():
    pairing = StampPairing(bound_ms=10, capacity=5)
    for k in range(100):
        pairing.add_left(k * MS, k)
        assert pairing.waiting <= 5
    assert pairing.counts.left_unmatched == 95


def test_repeated_stamp_is_not_paired_twice():
    pairing = StampPairing(bound_ms=10)
    assert feed(pairing, [("L", 0), ("L", 0), ("R", 1), ("R", 1), ("L", 50), ("R", 50)]) == [(0, 1), (50, 50)]
    assert (pairing.counts.left_unmatched, pairing.counts.right_unmatched) == (1, 1)


def test_histogram_shows_the_offsets():
    pairing = StampPairing(bound_ms=10)
    feed(pairing, [("L", 0), ("R", 4.5), ("L", 100), ("R", 95.5), ("L", 200), ("R", 204.5)])
    assert sum(pairing.counts.histogram) == pairing.counts.pairs == 3
    assert pairing.counts.histogram[14] == 2
    assert pairing.counts.histogram[5] == 1


@pytest.mark.parametrize("seed", range(5))
def test_random_streams_lose_nothing_and_pair_the_nearest(seed):
    rng = np.random.default_rng(seed)
    left = np.cumsum(rng.uniform(20, 60, 200))
    right = np.cumsum(rng.uniform(20, 60, 200))
    pairing = StampPairing(bound_ms=15)
    events = sorted([("L", s) for s in left] + [("R", s) for s in right], key=lambda e: e[1])
    pairs = feed(pairing, events)
    counts = pairing.counts
    assert counts.pairs + counts.left_unmatched == counts.pairs + counts.right_unmatched == 200
    assert len({p[0] for p in pairs}) == len({p[1] for p in pairs}) == len(pairs)
    nearest_right = right[np.abs(right[None] - left[:, None]).argmin(1)]
    nearest_left = left[np.abs(nearest_right[:, None] - left[None]).argmin(1)]
    mutual = (nearest_left == left) & (np.abs(nearest_right - left) <= 15)
    assert mutual.sum() > 50
    assert set(zip(left[mutual], nearest_right[mutual], strict=True)) <= set(pairs)


@pytest.mark.parametrize("seed", range(40))
def test_pairing_goes_on_after_stamps_of_any_kind(seed):
    """Hours ahead, 40 years ahead and zero among the frames of both streams, in runs that confirm one another."""
    rng = np.random.default_rng(seed)
    pairing, start_ms = StampPairing(bound_ms=20), 1_700_000_000_000
    frame = 0
    for _ in range(60):
        now_ms = start_ms + 66 * frame
        for _ in range(int(rng.integers(0, 12))):
            wrong_ms = int(rng.choice([now_ms + 3_600_000, (2**31 - 1) * 1000, 0, now_ms // 1000 * 1000]))
            add = pairing.add_left if rng.random() < 0.5 else pairing.add_right
            add(wrong_ms * MS, "wrong")
        pairing.add_left(now_ms * MS, frame)
        pairing.add_right((now_ms + 4) * MS, frame)
        frame += 1
    pairs = []
    for _ in range(30):
        pairs += pairing.add_left((start_ms + 66 * frame) * MS, frame)
        pairs += pairing.add_right((start_ms + 66 * frame + 4) * MS, frame)
        frame += 1
    right = [pair for pair in pairs if pair.left == pair.right and pair.left != "wrong"]
    assert len(right) >= 26, "two frames confirm the clock, and the newest waits for its successor"
