# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Does a predicted standard deviation mean something? Coverage, sparsification and the most certain part."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SPARSIFICATION_STEPS = 20
"""Fractions 0, 0.05 ... 0.95 of the pixels removed."""

CERTAIN_SHARE = 0.7
LARGEST_SAMPLE = 1 << 19


class UncertaintyMetrics(NamedTuple):
    """Quality of a predicted standard deviation.

    abs_rel_certain: AbsRel of the most certain 70 % of the pixels.
    abs_rel_certain_gain: 1 - abs_rel_certain / AbsRel; a third or more is useful.
    ause: area between the sparsification curves by predicted and by true error (0 is best), AbsRel as the error.
    """

    abs_rel_certain: float
    abs_rel_certain_gain: float
    ause: float


def area_under_sparsification_error(error: NDArray[np.floating], std: NDArray[np.floating]) -> float:
    """AUSE (Ilg et al. 2018), relative to the mean error of all pixels.

    Mean over fractions 0 to 0.95 of the difference between the mean error that is left when the least certain
    pixels go and when the worst go. NaN without pixels; 0 when every error is 0.
    """
    if error.size == 0:
        return float("nan")
    total = float(error.mean())
    if total == 0:
        return 0.0
    # Stable, so that pixels of equal std stay in the order of the image.
    by_std = _means_of_the_first(error[np.argsort(std, kind="stable")])
    by_error = _means_of_the_first(np.sort(error))
    return float(np.mean(by_std - by_error)) / total


class SystematicSample:
    """A bounded sample of rows of equal width, in their order: every n-th, n doubled whenever there are too many.

    Args:
        columns: of a row.
        most: rows that are held.
    """

    def __init__(self, columns: int, most: int = LARGEST_SAMPLE) -> None:
        self._parts: list[NDArray[np.floating]] = []
        self._columns, self._most, self._stride, self._skip = columns, most, 1, 0
        self.kept = 0
        """Rows held."""

    def add(self, rows: NDArray[np.floating]) -> None:
        """Take in the rows (n, columns) of one image."""
        self._parts.append(rows[self._skip :: self._stride])
        self._skip = (self._skip - len(rows)) % self._stride
        self.kept += len(self._parts[-1])
        while self.kept > self._most:
            self._parts = [np.concatenate(self._parts)[::2]]
            self.kept = len(self._parts[0])
            self._stride *= 2

    def rows(self) -> NDArray[np.floating]:
        """(n, columns)."""
        return np.concatenate(self._parts) if self._parts else np.empty((0, self._columns))


class UncertaintyAccumulator:
    """Streaming, from a sample of the pixels."""

    def __init__(self) -> None:
        self._sample = SystematicSample(2)

    def update(self, prediction: NDArray[np.floating], target: NDArray[np.floating], std: NDArray[np.floating]) -> None:
        """Take in the valid pixels of one image, 1-D, in the unit of the quantity. std not finite: least certain."""
        std = np.where(np.isfinite(std), std, np.inf)
        self._sample.add(np.stack([np.abs(prediction - target) / target, std], axis=1).astype(np.float32))

    def result(self) -> UncertaintyMetrics:
        """Over everything taken in; NaN when that is nothing."""
        relative_error, std = self._sample.rows().T
        if not relative_error.size:
            return UncertaintyMetrics(*(float("nan"),) * 3)
        certain = relative_error[np.argsort(std, kind="stable")[: max(1, round(CERTAIN_SHARE * len(std)))]]
        overall, part = float(relative_error.mean()), float(certain.mean())
        return UncertaintyMetrics(
            abs_rel_certain=part,
            abs_rel_certain_gain=1 - part / overall if overall > 0 else 0.0,
            ause=area_under_sparsification_error(relative_error, std),
        )


def _means_of_the_first(ordered: NDArray[np.floating]) -> NDArray[np.float64]:
    cumulative = np.cumsum(ordered, dtype=np.float64)
    fractions = 1 - np.arange(SPARSIFICATION_STEPS) / SPARSIFICATION_STEPS
    counts = np.maximum(1, np.rint(fractions * len(ordered)).astype(int))
    return cumulative[counts - 1] / counts
