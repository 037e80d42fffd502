# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.errors import ImageError
from dfd_perception.metrics.defocus import BlurErrorAccumulator, DefocusAccumulator

NAN = float("nan")


def test_errors_by_hand() -> None:
    accumulator = DefocusAccumulator()
    first = accumulator.update(np.array([[1.0, 4.0, 7.0]]), np.array([[0.0, 2.0, NAN]]))
    assert (first.mse, first.mae) == (2.5, 1.5)
    accumulator.update(np.array([[3.0]]), np.array([[3.0]]))
    assert accumulator.pooled() == pytest.approx((5 / 3, 1.0))


def test_nothing_known_is_nan_and_sizes_must_agree() -> None:
    accumulator = DefocusAccumulator()
    assert np.isnan(accumulator.update(np.ones((2, 2)), np.full((2, 2), NAN))).all()
    with pytest.raises(ImageError, match="resize"):
        accumulator.update(np.ones((2, 3)), np.ones((3, 2)))


def test_errors_by_the_true_blur() -> None:
    """Bins of too few pixels state nothing; what is not known counts in none."""
    target = np.concatenate([np.full(1000, 2.0), np.full(999, 5.0), np.full(2000, 7.0), [NAN]])[None]
    accumulator = BlurErrorAccumulator()
    accumulator.update(target + np.where(np.arange(target.size) % 2, 1.0, -0.5), target)
    assert accumulator.bins() == ((1.5, 3.0, pytest.approx(0.75)), (6.0, 12.0, pytest.approx(0.75)))
