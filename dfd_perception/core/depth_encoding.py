# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth on disk and on the wire: integer counts of a stated unit, 0 for "no depth", against float metres with NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import ImageError, UsageError

MILLIMETRES = 1e-3
"""Metres per count where nothing else is said (REP 118)."""

DEPTH_UNITS: dict[str, float] = {"mm": MILLIMETRES, "tum": 1 / 5000, "kitti": 1 / 256, "m": 1.0}
"""Metres per count by name: TUM RGB-D stores 5000 counts a metre, KITTI and VOID 256."""

NO_DEPTH_COUNTS = (0, 65535)
"""Of 16 bits: nothing measured, and the value that sensors and tools put for "too far" or "saturated"."""

LARGEST_DEPTH_M = 65.534
"""What 16 bits of millimetres can say. Farther is stored as invalid, never clipped to a false depth."""

FARTHEST_FLOAT_M = 1000.0
"""Float depth from here on is a sentinel (renderers write 1e10 for the sky), and out of reach of any lens' blur."""

BEYOND_METRES_M = 100.0
"""Depth that mostly lies beyond is in another unit than it is taken for: no lens' blur tells anything from there on."""
SIXTEEN_BITS = 65_535


def parse_depth_unit(text: str | float) -> float:
    """Metres per count of "mm", "tum", "kitti", "m", or a number such as 0.000125.

    Raises:
        UsageError: neither a name nor a number that can be one.
    """
    if isinstance(text, str) and text.strip().lower() in DEPTH_UNITS:
        return DEPTH_UNITS[text.strip().lower()]
    try:
        unit = float(text)
    except ValueError:
        unit = float("nan")
    if not 1e-7 <= unit <= 1.0:
        raise UsageError(
            f"depth unit is {text!r}; expected {', '.join(DEPTH_UNITS)}, or metres per count such as 0.0001 (1e-7 to 1)"
        )
    return unit


def depth_m_from_counts(counts: NDArray[Any], metres_per_count: float = MILLIMETRES) -> NDArray[np.float32]:
    """Metres of unsigned 16-bit counts; 0 and 65535 become NaN, 1 km and more too. Any shape.

    Convention: of millimetres 1500 is 1.5 m.

    Raises:
        ImageError: not uint16 (8-bit depth has lost its unit), or mostly beyond 100 m in this unit.
    """
    counts = np.asarray(counts)
    if counts.dtype != np.uint16:
        raise ImageError(f"depth is {counts.dtype}; expected uint16 counts, 0 for no depth")
    depth_m = counts.astype(np.float32) * np.float32(metres_per_count)
    for sentinel in NO_DEPTH_COUNTS:
        depth_m[counts == sentinel] = np.nan
    if metres_per_count * SIXTEEN_BITS <= BEYOND_METRES_M:
        return depth_m
    median_m = _median_beyond_reach_m(depth_m[np.isfinite(depth_m)])
    if median_m is not None:
        raise ImageError(
            f"depth has a median of {median_m:.4g} m by its unit of {metres_per_count:g} m per count; is that its unit?"
        )
    with np.errstate(invalid="ignore"):
        depth_m[depth_m >= FARTHEST_FLOAT_M] = np.nan
    return depth_m


def depth_m_from_uint16_mm(depth_mm: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Metres of uint16 millimetres; 0 and 65535 become NaN. Any shape.

    Raises:
        ImageError: not uint16 (8-bit depth has lost its unit).
    """
    return depth_m_from_counts(depth_mm, MILLIMETRES)


def depth_m_from_float(depth: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Float metres with NaN where the value is no measurement: not finite, not positive, or 1 km and more.

    Raises:
        ImageError: most of it is beyond 100 m and within 65.5 km: millimetres.
    """
    depth_m = np.asarray(depth, np.float32)
    with np.errstate(invalid="ignore"):
        median = _median_beyond_reach_m(depth_m[(depth_m > 0) & (depth_m <= SIXTEEN_BITS)])
        measured = (depth_m > 0) & (depth_m < FARTHEST_FLOAT_M)
    if median is not None:
        raise ImageError(
            f"float depth has a median of {median:.4g}: millimetres? Float depth is metres; divide it by 1000, or "
            "store it as 16-bit counts, which have a unit"
        )
    return np.where(measured, depth_m, np.float32(np.nan))


def _median_beyond_reach_m(values_m: NDArray[np.float32]) -> float | None:
    """Median of depth that mostly lies beyond BEYOND_METRES_M: its unit is another; else None."""
    if 2 * np.count_nonzero(values_m > BEYOND_METRES_M) <= values_m.size:
        return None
    # The largest value may be the far plane of a renderer, in metres like the rest.
    others = values_m[values_m < values_m.max()]
    if not others.size:
        others = values_m[values_m < FARTHEST_FLOAT_M]
    beyond = 2 * np.count_nonzero(others > BEYOND_METRES_M) > others.size
    return float(np.median(values_m)) if beyond else None


def uint16_mm_from_depth_m(depth_m: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Millimetres, rounded, of metres; NaN, infinite, not positive or beyond 65.534 m becomes 0. Any shape.

    Convention: 1.2345 m is 1234 or 1235, NaN is 0, 70 m is 0.
    """
    depth_mm = np.rint(np.asarray(depth_m, np.float64) * 1e3)
    with np.errstate(invalid="ignore"):
        valid = (depth_mm > 0) & (depth_mm <= LARGEST_DEPTH_M * 1e3)
    return np.where(valid, depth_mm, 0).astype(np.uint16)
