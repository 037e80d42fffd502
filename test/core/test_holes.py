# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.holes import filled_from_nearest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unknown_pixels_take_the_nearest_known_value(dtype) -> None:
    depth_m = np.array([[1, 1, np.nan, np.nan, np.nan, 3]], dtype).repeat(3, 0)
    filled = filled_from_nearest(depth_m, np.isfinite(depth_m))
    assert filled.dtype == dtype
    assert filled[1, [0, 1, 2, 4, 5]].tolist() == [1, 1, 1, 3, 3]
    assert filled[1, 3] in (1, 3)
    assert np.isnan(depth_m[1, 2])


def test_what_is_whole_or_empty_stays_as_it_is() -> None:
    whole = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(filled_from_nearest(whole, whole >= 0), whole)
    np.testing.assert_array_equal(filled_from_nearest(whole, whole < 0), whole)
