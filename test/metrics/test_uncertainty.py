# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.metrics.depth import DepthAccumulator
from dfd_perception.metrics.uncertainty import SystematicSample, UncertaintyAccumulator, area_under_sparsification_error


def _drawn(count: int = 40_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 3, count)
    std = rng.uniform(0.01, 0.4, count)
    return truth + std * rng.standard_normal(count), truth, std


def test_the_most_certain_pixels_are_the_better_ones() -> None:
    accumulator = UncertaintyAccumulator()
    accumulator.update(*_drawn())
    result = accumulator.result()
    assert result.abs_rel_certain_gain > 0.25
    prediction, truth, std = _drawn()
    relative = np.abs(prediction - truth) / truth
    expected = relative[std <= np.quantile(std, 0.7)].mean()
    assert result.abs_rel_certain == pytest.approx(expected, rel=1e-3)


def test_ause_by_hand() -> None:
    # Errors 1 and 3, the std the wrong way round. Of 20 steps, 5 (fractions 0 to 0.2 and 0.25, where 1.5 rounds to
    # even) keep both pixels and differ by 0; the others keep one: 3 against 1, over a mean of 2.
    error = np.array([1.0, 3.0])
    counts = np.maximum(1, np.rint(2 * (1 - np.arange(20) / 20)))
    expected = (counts == 1).sum() / 20 * (3 - 1) / 2
    assert area_under_sparsification_error(error, np.array([2.0, 1.0])) == pytest.approx(expected)
    assert area_under_sparsification_error(error, np.array([1.0, 2.0])) == 0
    assert np.isnan(area_under_sparsification_error(np.array([]), np.array([])))


def test_a_sample_of_a_long_stream_is_every_nth_of_it() -> None:
    rows = np.arange(40_000, dtype=np.float32)[:, None]
    sample = SystematicSample(1, most=6000)
    for start in range(0, len(rows), 777):
        sample.add(rows[start : start + 777])
        assert sample.kept <= 6000
    np.testing.assert_array_equal(sample.rows(), rows[::8])
    assert SystematicSample(3).rows().shape == (0, 3)


def test_a_depth_image_states_it() -> None:
    prediction, truth, std = (values.reshape(200, 200) for values in _drawn())
    std = std.copy()
    std[0] = np.nan
    accumulator = UncertaintyAccumulator()
    accumulator.update(*(values[prediction > 0] for values in (prediction, truth, std)))
    own = DepthAccumulator(with_edges=False).update(prediction, truth, std)
    assert own.ause == pytest.approx(accumulator.result().ause, rel=1e-4)
    assert np.isnan(DepthAccumulator(with_edges=False).update(prediction, truth).ause)
