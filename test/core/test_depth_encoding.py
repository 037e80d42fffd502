# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.depth_encoding import (
    depth_m_from_counts,
    depth_m_from_float,
    depth_m_from_uint16_mm,
    parse_depth_unit,
    uint16_mm_from_depth_m,
)
from dfd_perception.errors import ImageError, UsageError


def test_every_code_survives_the_round_trip() -> None:
    codes = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    depth_m = depth_m_from_uint16_mm(codes)
    assert depth_m.dtype == np.float32
    assert np.isnan(depth_m[[0, -1], [0, -1]]).all()
    assert np.isfinite(depth_m.ravel()[1:-1]).all()
    codes[-1, -1] = 0  # the sentinel is no depth, and is not written again
    np.testing.assert_array_equal(uint16_mm_from_depth_m(depth_m), codes)


def test_what_cannot_be_said_becomes_zero_and_nothing_wraps_or_clips() -> None:
    depth_m = np.array([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e-5, 65.534, 65.535, 70.0, 131.072 + 1.0])
    assert uint16_mm_from_depth_m(depth_m).tolist() == [0, 0, 0, 0, 0, 0, 65534, 0, 0, 0]


def test_millimetres_are_rounded_not_cut() -> None:
    assert uint16_mm_from_depth_m(np.array([1.2346, 1.2344], np.float32)).tolist() == [1235, 1234]


def test_eight_bit_depth_is_refused() -> None:
    with pytest.raises(ImageError, match="uint8"):
        depth_m_from_uint16_mm(np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize(
    ("name", "counts_per_m"), [("mm", 1000), ("tum", 5000), ("KITTI", 256), ("m", 1), ("0.000125", 8000)]
)
def test_a_unit_by_name_or_number(name: str, counts_per_m: float) -> None:
    unit = parse_depth_unit(name)
    assert unit == pytest.approx(1 / counts_per_m, rel=1e-12)
    counts = np.array([0, round(2 * counts_per_m), 65535], np.uint16)
    np.testing.assert_allclose(depth_m_from_counts(counts, unit), [np.nan, 2.0, np.nan], rtol=1e-6)


@pytest.mark.parametrize("text", ["inch", "0", "-1", "nan", "5000", "", "1e-9"])
def test_what_is_no_unit_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(UsageError, match="expected mm, tum, kitti, m, or metres per count"):
        parse_depth_unit(text)


def test_sentinels_of_float_depth_are_no_depth() -> None:
    depth = np.array([0.5, 0.0, -1.0, np.inf, np.nan, 1e10, 3.4e38, 1000.0, 999.0], np.float32)
    expected = [0.5, *[np.nan] * 7, 999.0]
    np.testing.assert_array_equal(depth_m_from_float(depth), expected)


def test_float_millimetres_are_refused_and_a_far_plane_is_not() -> None:
    millimetres = np.linspace(400, 5000, 100, dtype=np.float32)
    with pytest.raises(ImageError, match="median of 2700: millimetres"):
        depth_m_from_float(millimetres)
    sky = np.where(np.arange(100) < 80, np.float32(1000), np.float32(2.5))
    assert float(np.nanmax(depth_m_from_float(sky))) == 2.5
    assert float(np.nanmax(depth_m_from_float(np.linspace(5, 190, 100, dtype=np.float32)))) == 190
    assert np.isnan(depth_m_from_float(np.full(9, 1000, np.float32))).all()
    with pytest.raises(ImageError, match="median of 700: millimetres"):
        depth_m_from_float(np.full(9, 700, np.float32))


def test_counts_by_a_unit_that_is_not_theirs_are_refused() -> None:
    counts = np.linspace(400, 5000, 100).astype(np.uint16)
    with pytest.raises(ImageError, match=r"median of 2700 m by its unit of 1 m per count; is that its unit"):
        depth_m_from_counts(counts, 1.0)
    assert float(np.nanmax(depth_m_from_counts(counts, 1 / 256))) == pytest.approx(5000 / 256)
    assert float(np.nanmax(depth_m_from_counts(np.array([3, 80, 2000], np.uint16), 1.0))) == 80
