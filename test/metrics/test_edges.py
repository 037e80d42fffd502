# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_perception.errors import ImageError
from dfd_perception.metrics.edges import BIN_PRIOR, BINS, edge_divergence, histogram_divergence


def _scene() -> np.ndarray:
    depth_m = np.full((96, 128), 3.0)
    depth_m[20:70, 30:60] = 1.0
    cv2.circle(depth_m, (95, 50), 22, 1.8, -1)
    return depth_m + 0.002 * np.random.default_rng(0).standard_normal(depth_m.shape)


def test_divergence_of_two_histograms_by_hand() -> None:
    # Truth: half at 0, half at 1; estimate: all at 0. Two bins hold (50, 50) against (100, 0) counts.
    target = np.repeat([0.0, 1.0], 50)
    n = 100 + BINS * BIN_PRIOR
    expected = (
        (50 + BIN_PRIOR) / n * (np.log((50 + BIN_PRIOR) / (100 + BIN_PRIOR)) + np.log((50 + BIN_PRIOR) / BIN_PRIOR))
    )
    assert histogram_divergence(np.zeros(100), target) == pytest.approx(expected)


def test_equal_maps_give_zero_and_smoothing_grows_it() -> None:
    depth_m = _scene()
    assert edge_divergence(depth_m, depth_m) == 0
    values = [edge_divergence(cv2.GaussianBlur(depth_m, (0, 0), sigma), depth_m) for sigma in (0.5, 1.0, 3.0)]
    assert 0 < values[0] < values[1] < values[2]


def test_values_of_holes_do_not_matter() -> None:
    truth = _scene()
    truth[40:52, 80:100] = np.nan
    estimate = cv2.GaussianBlur(_scene(), (0, 0), 1.0)
    wild = estimate.copy()
    wild[40:52, 80:100] = 900.0
    assert edge_divergence(wild, truth) == edge_divergence(estimate, truth)
    assert np.isnan(edge_divergence(estimate, np.full_like(truth, np.nan)))


def test_sizes_must_agree() -> None:
    with pytest.raises(ImageError, match="resize"):
        edge_divergence(np.ones((8, 9)), np.ones((9, 8)))
