# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from dfd_perception.metrics.defocus import spearman, spearman_within_bins


def test_any_rising_function_has_rank_correlation_one():
    x = np.random.default_rng(0).normal(size=100)

    assert spearman(x, np.exp(x)) == pytest.approx(1.0)
    assert spearman(x, -(x**3)) == pytest.approx(-1.0)


def test_ties_share_their_rank():
    # By hand: ranks 0.5 0.5 2 3 and 0 1 2 3.
    assert spearman(np.array([1, 1, 2, 3.0]), np.array([1, 2, 3, 4.0])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


def test_a_constant_has_no_rank():
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))


def test_what_both_owe_to_depth_does_not_count_within_bins():
    rng = np.random.default_rng(1)
    depth = rng.uniform(1, 5, 20_000)
    std, error = depth * rng.uniform(0.9, 1.1, depth.size), depth * rng.uniform(0.9, 1.1, depth.size)

    assert spearman(std, error) > 0.9
    assert abs(spearman_within_bins(std, error, depth, bins=100)) < 0.1


def test_nan_does_not_count():
    x = np.arange(200.0)
    y = np.where(x % 3 == 0, np.nan, x)

    assert spearman_within_bins(x, y, np.ones(200), bins=2) == pytest.approx(1.0)
