# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dfd_perception.errors import ImageError
from dfd_perception.metrics.depth import DepthAccumulator, DepthMetrics

NAN = float("nan")
TRUTH = np.array([[1.0, 2.0], [4.0, NAN]])
PREDICTION = np.array([[1.1, 1.5], [8.0, 3.0]])


def test_fields_are_those_of_the_report() -> None:
    names = "rmse_m abs_rel sq_rel rmse_log log10 delta1 delta2 delta3 mae_m kld coverage ause"
    assert DepthMetrics._fields == tuple(names.split())
    assert json.dumps(DepthAccumulator(with_edges=False).update(PREDICTION, TRUTH)._asdict())


def test_every_metric_by_hand() -> None:
    metrics = DepthAccumulator(with_edges=False).update(PREDICTION, TRUTH)
    # Errors 0.1, -0.5, 4.0; ratios 1.1, 4/3, 2 against 1.25, 1.5625, 1.953.
    assert metrics.rmse_m == pytest.approx(math.sqrt((0.01 + 0.25 + 16) / 3))
    assert metrics.abs_rel == pytest.approx((0.1 + 0.25 + 1.0) / 3)
    assert metrics.sq_rel == pytest.approx((0.01 + 0.125 + 4.0) / 3)
    logs = [math.log(1.1), math.log(4 / 3), math.log(2)]
    assert metrics.rmse_log == pytest.approx(math.sqrt(sum(value**2 for value in logs) / 3))
    assert metrics.log10 == pytest.approx(sum(logs) / 3 / math.log(10))
    assert metrics.mae_m == pytest.approx(4.6 / 3)
    assert (metrics.delta1, metrics.delta2, metrics.delta3) == pytest.approx((1 / 3, 2 / 3, 2 / 3))
    assert metrics.coverage == 1.0


def test_every_pixel_of_a_set_counts_alike() -> None:
    accumulator = DepthAccumulator(with_edges=False)
    accumulator.update(np.full((1, 3), 2.0), np.ones((1, 3)))
    accumulator.update(np.full((1, 3), 1.0), np.array([[1.0, NAN, NAN]]))
    assert accumulator.pooled().abs_rel == pytest.approx(3 / 4)
    assert accumulator.pooled().rmse_m == pytest.approx(math.sqrt(3 / 4))


@pytest.mark.parametrize("answer", [NAN, 0.0, -2.0, float("inf")])
def test_a_pixel_without_an_answer_lowers_the_coverage_only(answer: float) -> None:
    prediction = PREDICTION.copy()
    prediction[1, 0] = answer
    metrics = DepthAccumulator(with_edges=False).update(prediction, TRUTH)
    assert metrics.coverage == pytest.approx(2 / 3)
    assert metrics.mae_m == pytest.approx(0.3)


def test_an_image_without_truth_neither_counts_nor_spoils() -> None:
    accumulator = DepthAccumulator()
    empty = accumulator.update(PREDICTION, np.full((2, 2), NAN))
    assert all(math.isnan(value) for value in empty)
    accumulator.update(np.full((2, 2), 1.5), np.ones((2, 2)))
    assert accumulator.pooled().abs_rel == pytest.approx(0.5)


def test_against_an_independent_computation_in_one_go() -> None:
    rng = np.random.default_rng(0)
    truths = rng.uniform(0.5, 8, (5, 24, 30)).astype(np.float32)
    truths[rng.random(truths.shape) < 0.3] = np.nan
    predictions = (truths * rng.lognormal(0, 0.2, truths.shape)).astype(np.float32)
    predictions[np.isnan(truths)] = 1.0
    accumulator = DepthAccumulator()
    for prediction, truth in zip(predictions, truths, strict=True):
        assert accumulator.update(prediction, truth).kld > 0
    keep = np.isfinite(truths)
    p, t = predictions[keep].astype(float), truths[keep].astype(float)
    ratio = np.maximum(p / t, t / p)
    expected = {
        "rmse_m": np.linalg.norm(p - t) / np.sqrt(t.size),
        "abs_rel": np.average(np.abs(p - t) / t),
        "sq_rel": np.average((p - t) ** 2 / t),
        "rmse_log": np.sqrt(np.average(np.square(np.log(p) - np.log(t)))),
        "log10": np.average(np.abs(np.log10(p) - np.log10(t))),
        "delta1": np.average(ratio < 1.25),
        "delta2": np.average(ratio < 1.25**2),
        "delta3": np.average(ratio < 1.25**3),
    }
    pooled = accumulator.pooled()._asdict()
    assert {name: pooled[name] for name in expected} == pytest.approx(expected)


def test_shapes_must_agree() -> None:
    with pytest.raises(ImageError, match="resize"):
        DepthAccumulator().update(np.ones((2, 3)), np.ones((3, 2)))
