"""Depth on disk and on the wire: uint16 millimetres with 0 for "no depth", against float metres with NaN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import ImageError

LARGEST_DEPTH_M = 65.535
"""What 16 bits of millimetres can say. Farther is stored as invalid, never clipped to a false depth."""


def depth_m_from_uint16_mm(depth_mm: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Metres of uint16 millimetres; 0 becomes NaN. Any shape.

    Convention: 1500 is 1.5 m.

    Raises:
        ImageError: not uint16 (8-bit depth has lost its unit).
    """
    depth_mm = np.asarray(depth_mm)
    if depth_mm.dtype != np.uint16:
        raise ImageError(f"depth is {depth_mm.dtype}; expected uint16 millimetres, 0 for no depth")
    depth_m = depth_mm.astype(np.float32) * np.float32(1e-3)
    depth_m[depth_mm == 0] = np.nan
    return depth_m


def uint16_mm_from_depth_m(depth_m: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Millimetres, rounded, of metres; NaN, infinite, not positive or beyond 65.535 m becomes 0. Any shape.

    Convention: 1.2345 m is 1234 or 1235, NaN is 0, 70 m is 0.
    """
    depth_mm = np.rint(np.asarray(depth_m, np.float64) * 1e3)
    with np.errstate(invalid="ignore"):
        valid = (depth_mm > 0) & (depth_mm <= LARGEST_DEPTH_M * 1e3)
    return np.where(valid, depth_mm, 0).astype(np.uint16)
