# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Errors of a defocus map, in px^2 and px of the circle of confusion, and how well it ranks blur."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.blur_error import BlurErrorBin
from dfd_perception.errors import ImageError

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


NAN = float("nan")
BLUR_EDGES_PX = np.array([0.0, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0])
"""Bins of the true blur that errors are stated by: each twice as wide as the one before."""
LEAST_PIXELS = 1000
"""Of a bin that is stated."""


class DefocusMetrics(NamedTuple):
    """mse [px^2] and mae [px] over the pixels where both maps are finite."""

    mse: float = NAN
    mae: float = NAN


class DefocusAccumulator:
    """Streaming errors of defocus maps (H, W) in px; NaN does not count, 0 (in focus) does."""

    def __init__(self) -> None:
        self._sums = np.zeros(2)
        self.pixels = 0
        """Taken in: those where both maps are finite."""

    def update(self, prediction_px: NDArray[np.floating], target_px: NDArray[np.floating]) -> DefocusMetrics:
        """Take in one map and return its own errors.

        Raises:
            ImageError: the shapes differ.
        """
        if prediction_px.shape != target_px.shape:
            raise ImageError(f"defocus map is {prediction_px.shape}, truth {target_px.shape}; resize one of them first")
        difference = prediction_px.astype(np.float64) - target_px
        difference = difference[np.isfinite(difference)]
        sums = np.array([(difference**2).sum(), np.abs(difference).sum()])
        self._sums += sums
        self.pixels += difference.size
        return _means(sums, difference.size)

    def pooled(self) -> DefocusMetrics:
        """Every pixel of the set counts alike."""
        return _means(self._sums, self.pixels)


class BlurErrorAccumulator:
    """Errors of defocus maps by the true blur, for the card of a model. Maps [px], NaN where unknown."""

    def __init__(self) -> None:
        self._sums = np.zeros((2, len(BLUR_EDGES_PX) - 1))
        """Sum of absolute errors, and pixels, of each bin."""

    def update(self, prediction_px: NDArray[np.floating], target_px: NDArray[np.floating]) -> None:
        """Add one image."""
        error_px = np.abs(prediction_px.astype(np.float64) - target_px)
        known = np.isfinite(error_px)
        for row, weights in enumerate((error_px[known], None)):
            self._sums[row] += np.histogram(target_px[known], BLUR_EDGES_PX, weights=weights)[0]

    def bins(self) -> tuple[BlurErrorBin, ...]:
        """Mean absolute error in the bins of true blur that hold enough pixels."""
        return tuple(
            BlurErrorBin(float(low), float(high), float(total / count))
            for low, high, total, count in zip(BLUR_EDGES_PX[:-1], BLUR_EDGES_PX[1:], *self._sums, strict=True)
            if count >= LEAST_PIXELS
        )


def _means(sums: NDArray[np.float64], count: int) -> DefocusMetrics:
    return DefocusMetrics(*(float(value) / count for value in sums)) if count else DefocusMetrics()
