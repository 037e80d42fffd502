# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Rows, bins, pools and protocols against hand-made numbers and against the streaming metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.prediction import Prediction
from dfd_perception.errors import ConfigError
from dfd_perception.evaluation.scoring import bins
from dfd_perception.evaluation.scoring.frame_scoring import aligned_depth, score_frame
from dfd_perception.evaluation.scoring.pooling import PooledSet, best_constant_m
from dfd_perception.evaluation.scoring.protocol import EIGEN_CROP_NYU, Protocol, protocol_named
from dfd_perception.evaluation.scoring.rows import FrameRow
from dfd_perception.evaluation.sources.frame import EvaluationFrame
from dfd_perception.evaluation.sources.image_pairing import TruthPairing
from dfd_perception.metrics.depth import DepthAccumulator, DepthMetrics
from dfd_perception.metrics.image_quality import DeblurAccumulator

SIZE = (30, 40)
CURVE = DefocusCurve(gain_px_per_dioptre=16.0, focus_distance_m=0.5)


def frame_and_prediction(index, noise=0.1):
    rng = np.random.default_rng(index)
    truth = rng.uniform(0.6, 4.0, SIZE).astype(np.float32)
    truth[:3] = np.nan
    depth = (truth * np.exp(rng.normal(0, noise, SIZE))).astype(np.float32)
    depth[3, :5] = np.nan
    aif = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    frame = EvaluationFrame(
        unit="u", index=index, name=str(index), defocused=np.roll(aif, 1, 0), depth_m=truth, aif=aif, curve=CURVE
    )
    prediction = Prediction(
        depth_m=depth,
        depth_std_m=(depth * np.float32(noise)),
        coc_px=CURVE.coc_px(depth).astype(np.float32),
        deblurred=np.roll(aif, 2, 1),
    )
    return frame, prediction


def test_pools_of_rows_are_the_streaming_metrics():
    protocol = Protocol(max_depth_m=3.0)
    total, depth, images, each = PooledSet(), DepthAccumulator(), DeblurAccumulator(), []
    for index in range(4):
        frame, prediction = frame_and_prediction(index)
        row = score_frame(frame, prediction, protocol)
        total.add(FrameRow.from_line(row.line()))  # through the disk: nothing is lost
        counted = np.where(frame.depth_m <= 3.0, frame.depth_m, np.float32(np.nan))
        each.append(depth.update(prediction.depth_m, counted, prediction.depth_std_m))
        images.update(prediction.deblurred, frame.aif, frame.defocused)
    means = dict(zip(DepthMetrics._fields, np.mean(each, axis=0), strict=True))
    pooled = depth.pooled()._asdict() | {"kld": means["kld"]}
    for name, value in pooled.items():
        if name == "ause":  # of a sample of all pixels: near those of the images, which are alike
            assert total.depth()[name] == pytest.approx(means[name], rel=0.1)
        else:
            assert total.depth()[name] == pytest.approx(value, rel=1e-9), name
    for name, value in means.items():
        assert total.depth()["mean_of_images"][name] == pytest.approx(value, rel=1e-9), name
    for name, value in images.pooled()._asdict().items():
        assert total.deblurred()[name] == pytest.approx(value, rel=1e-9), name
    assert total.defocus()["mae"] > 0


def test_calibration_of_a_scale_and_of_a_gaussian():
    frame, prediction = frame_and_prediction(0)
    twice = Prediction(depth_m=frame.depth_m * 2, depth_std_m=frame.depth_m * 2)
    total = PooledSet()
    total.add(score_frame(frame, twice, Protocol(edges=False)))
    assert total.calibration()["scale"] == pytest.approx(2.0)
    assert total.calibration()["log_scale_std"] == pytest.approx(0.0, abs=1e-5)
    honest = PooledSet()
    for index in range(6):
        frame, _ = frame_and_prediction(index)
        rng = np.random.default_rng(100 + index)
        std = np.full(SIZE, 0.1, np.float32)
        honest.add(score_frame(frame, Prediction(depth_m=frame.depth_m + rng.normal(0, 0.1, SIZE).astype(np.float32),
                                                 depth_std_m=std), Protocol(edges=False)))  # fmt: skip
    claimed = honest.calibration()["uncertainty"]
    assert claimed["within_one_std"] == pytest.approx(0.683, abs=0.02)
    np.testing.assert_allclose(claimed["share_within"], claimed["share_expected"], atol=0.02)


def test_bins_of_distance_and_blur_by_hand():
    target = np.array([1.0, 1.0, 3.0])
    pixels = bins.DepthPixels(np.array([1.1, np.nan, 2.7]), target, None)
    table = bins.distance_table(pixels)
    near = table[np.searchsorted(bins.DISTANCE_EDGES_M, 1.0, side="right") - 1]
    np.testing.assert_allclose(near, [2, 1, 0.1, 0.1, 0.1, 1.1, 1.0, 0], atol=1e-12)
    far = table[np.searchsorted(bins.DISTANCE_EDGES_M, 3.0, side="right") - 1]
    np.testing.assert_allclose(far[:5], [1, 1, 0.3, 0.1, -0.1], atol=1e-12)
    assert table[:, 0].sum() == 3
    blur = bins.coc_table(pixels, np.array([2.5, 2.5, 7.0]), np.array([3.0, 3.0, 6.0]))
    np.testing.assert_allclose(blur[2], [1, 0.1, 1, 0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(blur[7], [1, 0.1, 1, 1.0, -1.0], atol=1e-12)
    again = np.zeros_like(table)
    bins.add_sparse(again, bins.sparse(table))
    assert np.array_equal(again, table)


def test_the_best_constant_is_better_than_its_neighbours():
    truth = np.random.default_rng(0).uniform(0.5, 5, 20_000)
    counts = np.zeros(len(bins.TRUTH_EDGES_M) - 1)
    for key, value in bins.truth_histogram(truth).items():
        counts[int(key)] = value
    best = best_constant_m(counts)
    errors = [np.mean(np.abs(c - truth) / truth) for c in np.linspace(0.5, 5, 500)]
    assert np.mean(np.abs(best - truth) / truth) == pytest.approx(min(errors), rel=1e-3)


def test_clamped_answers_move_to_the_bounds_and_invalid_ones_stay_invalid():
    frame, _ = frame_and_prediction(0)
    truth = np.full(frame.depth_m.shape, 2.0, np.float32)
    answers = np.full_like(truth, 9.0)
    answers[0], answers[1] = 0.1, np.nan
    frame = replace(frame, depth_m=truth)
    bounds = {"min_depth_m": 1.0, "max_depth_m": 3.0}
    clamped = aligned_depth(frame, Prediction(depth_m=answers), Protocol(clamp=True, **bounds)).prediction_m
    assert (clamped[0] == 1.0).all()
    assert np.isnan(clamped[1]).all()
    assert (clamped[2:] == 3.0).all()
    assert (aligned_depth(frame, Prediction(depth_m=answers), Protocol(**bounds)).prediction_m[2:] == 9.0).all()
    with pytest.raises(ConfigError, match="--max-depth"):
        Protocol(clamp=True)


def test_protocols_crop_cap_and_resize():
    mask = protocol_named("eigen-nyu").crop_mask((480, 640))
    assert (np.flatnonzero(mask.any(1))[[0, -1]].tolist(), np.flatnonzero(mask.any(0))[[0, -1]].tolist()) == (
        [45, 470],
        [41, 600],
    )
    assert EIGEN_CROP_NYU[0] * 480 == 45
    frame, _ = frame_and_prediction(0)
    small = Protocol(resolution=(15, 20)).applied(frame)
    assert small.depth_m.shape == (15, 20)
    assert small.curve.gain_px_per_dioptre == 8.0
    assert set(np.unique(small.depth_m[np.isfinite(small.depth_m)])) <= set(np.unique(frame.depth_m))
    with pytest.raises(ConfigError, match="top < bottom"):
        Protocol(crop=(0.5, 0.5, 0, 1))
    with pytest.raises(ConfigError, match="nearest < farthest"):
        Protocol(max_depth_m=0.0)


def test_every_image_comes_once_with_what_belongs_to_it():
    pairing = TruthPairing(["depth", "aif"], bound_ms=10)
    found = []
    for i in range(8):
        found += pairing.add_image(i * 33_000_000, f"p{i}")
        if i % 2 == 0:
            found += pairing.add_truth("depth", i * 33_000_000 + 4_000_000, f"d{i}")
        if i != 5:
            found += pairing.add_truth("aif", i * 33_000_000, f"a{i}")
    found += pairing.finish()
    assert [p.image for p in found] == [f"p{i}" for i in range(8)]
    assert [p.truth["depth"] for p in found] == ["d0", None, "d2", None, "d4", None, "d6", None]
    assert [p.truth["aif"] for p in found] == [None if i == 5 else f"a{i}" for i in range(8)]
    assert pairing.counts()["depth"] == {"pairs": 4, "pictures_unmatched": 4, "truth_unmatched": 0}


def test_images_wait_in_bounded_memory_when_a_topic_falls_silent():
    pairing = TruthPairing(["depth"], bound_ms=10, capacity=5)
    waiting = 0
    for i in range(50):
        waiting += 1 - len(list(pairing.add_image(i * 33_000_000, i)))
        assert waiting <= 6
