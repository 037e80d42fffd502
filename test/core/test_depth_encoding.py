from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.depth_encoding import depth_m_from_uint16_mm, uint16_mm_from_depth_m
from dfd_perception.errors import ImageError


def test_every_code_survives_the_round_trip() -> None:
    codes = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    depth_m = depth_m_from_uint16_mm(codes)
    assert depth_m.dtype == np.float32
    assert np.isnan(depth_m[0, 0])
    assert np.isfinite(depth_m.ravel()[1:]).all()
    np.testing.assert_array_equal(uint16_mm_from_depth_m(depth_m), codes)


def test_what_cannot_be_said_becomes_zero_and_nothing_wraps_or_clips() -> None:
    depth_m = np.array([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e-5, 65.535, 65.536, 70.0, 131.072 + 1.0])
    assert uint16_mm_from_depth_m(depth_m).tolist() == [0, 0, 0, 0, 0, 0, 65535, 0, 0, 0]


def test_millimetres_are_rounded_not_cut() -> None:
    assert uint16_mm_from_depth_m(np.array([1.2346, 1.2344], np.float32)).tolist() == [1235, 1234]


def test_eight_bit_depth_is_refused() -> None:
    with pytest.raises(ImageError, match="uint8"):
        depth_m_from_uint16_mm(np.zeros((2, 2), np.uint8))
