# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Rank correlation, and rank correlation within bins of a third quantity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 10
LEAST_IN_BIN = 50


def spearman(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of two 1-D arrays; equal values share their mean rank. NaN where one is constant."""
    if first.size < 2:
        return float("nan")
    a, b = _ranks(first), _ranks(second)
    a -= a.mean()
    b -= b.mean()
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else float("nan")


def spearman_within_bins(
    first: NDArray[np.floating], second: NDArray[np.floating], by: NDArray[np.floating], bins: int = BINS
) -> float:
    """Mean of the rank correlations within bins of `by` that hold equally many, weighted by how many they hold.

    What both owe to `by` does not count: a standard deviation that only says "far" has 0.
    """
    known = np.isfinite(first) & np.isfinite(second) & np.isfinite(by)
    first, second, by = first[known], second[known], by[known]
    parts = np.array_split(np.argsort(by, kind="stable"), bins)
    correlations = [(spearman(first[part], second[part]), part.size) for part in parts if part.size >= LEAST_IN_BIN]
    correlations = [(value, size) for value, size in correlations if np.isfinite(value)]
    total = sum(size for _, size in correlations)
    return sum(value * size for value, size in correlations) / total if total else float("nan")


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[place]
