# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What is said of the blur map over a set: its borders, its patterns, its std, and its response on aperture pairs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.evaluation.scoring import bins
from dfd_perception.evaluation.scoring.rows import FrameRow
from dfd_perception.metrics.blur_map import BorderSums, PlaidPower
from dfd_perception.metrics.defocus import spearman, spearman_within_bins
from dfd_perception.metrics.uncertainty import SystematicSample

RESPONSE_EDGES_PX = (0.0, 1.5, 2.5, 3.5, 4.5, 5.5, 7.0, 9.0, 12.0)
"""Bins of the disk between the apertures; below 1.5 px it is itself unsure by a third of a pixel."""

LEAST_WINDOWS = 20
LARGEST_SAMPLE = 1 << 18


class PooledBlur:
    """Streaming fold over rows of one variant."""

    def __init__(self) -> None:
        self._border, self._plaid = BorderSums(), PlaidPower()
        self._sample = SystematicSample(bins.SAMPLE_COLUMNS, LARGEST_SAMPLE)
        self._windows = SystematicSample(bins.WINDOW_COLUMNS, LARGEST_SAMPLE)
        self._pairs = 0

    def add(self, row: FrameRow) -> None:
        """Take in one frame."""
        if row.border is not None:
            estimate, along, truth, pixels = row.border
            self._border = self._border.plus(BorderSums(estimate, along, truth, int(pixels)))
        if row.plaid is not None:
            line, beside, spectra = row.plaid
            self._plaid = self._plaid.plus(PlaidPower(line, beside, int(spectra)))
        if row.sample is not None:
            self._sample.add(bins.decoded_sample(row.sample))
        if row.windows is not None:
            self._pairs += 1
            self._windows.add(bins.decoded_sample(row.windows, bins.WINDOW_COLUMNS))

    def blur_map(self) -> dict[str, Any] | None:
        """The section `blur_map` of the report; None for a model that reads no blur."""
        if not self._plaid.spectra and not self._border.pixels:
            return None
        _, depth_m, _, error_px, std_px = self._sample.rows().T
        known = np.isfinite(error_px) & np.isfinite(std_px)
        size_px = np.abs(error_px)
        return {
            "border_gradient": self._border.share,
            "border_gradient_along": self._border.share_along,
            "border_pixels": self._border.pixels,
            "plaid_line": self._plaid.ratio,
            "plaid_px": self._plaid.amplitude,
            "std_rank_correlation": spearman(std_px[known], size_px[known]),
            "std_rank_correlation_by_depth": spearman_within_bins(std_px, size_px, depth_m),
        }

    def aperture_pairs(self) -> dict[str, Any] | None:
        """The section `aperture_pairs`; None where there was none."""
        if not self._pairs:
            return None
        disk, truth, reading, std, by_depth = self._windows.rows().T
        error = np.abs(reading - truth)
        known = np.isfinite(by_depth)
        return {
            "pairs": self._pairs,
            "windows": int(truth.size),
            "mae_px": float(error.mean()),
            "correlation": _correlation(truth, reading),
            "std_rank_correlation_by_blur": spearman_within_bins(std, error, truth),
            "response": [
                _response(low, high, truth[inside], reading[inside])
                | {"by_depth": _depth_response(truth, by_depth, inside)}
                for low, high, inside in _bins(disk)
            ],
            "against_depth": _against_depth(by_depth[known], truth[known], reading[known]) if known.any() else None,
        }


def _bins(values_px: NDArray[np.float64]) -> Iterator[tuple[float, float, NDArray[np.bool_]]]:
    """Ends of the bins that hold enough windows, and which these are."""
    for low, high in itertools.pairwise(RESPONSE_EDGES_PX):
        inside = (values_px >= low) & (values_px < high)
        if np.count_nonzero(inside) >= LEAST_WINDOWS:
            yield low, high, inside


def _depth_response(
    truth: NDArray[np.float64], by_depth: NDArray[np.float64], inside: NDArray[np.bool_]
) -> float | None:
    """What lens and true depth say of a bin's windows, over the truth by the disk.

    Windows are sorted by a measured disk, which errs too: those of a bin of wide ones were rather measured too wide.
    This shows how much of a response below one comes of that.
    """
    known = by_depth[inside & np.isfinite(by_depth)]
    return float(np.median(known) / np.median(truth[inside])) if known.size >= LEAST_WINDOWS else None


def _against_depth(
    by_depth: NDArray[np.float64], by_disk: NDArray[np.float64], reading: NDArray[np.float64]
) -> dict[str, Any]:
    """The reading against what lens and true depth say, into which no measured disk enters; and the disk against it."""
    return {
        "windows": int(by_depth.size),
        "mae_px": float(np.abs(reading - by_depth).mean()),
        "disk_mae_px": float(np.abs(by_disk - by_depth).mean()),
        "response": [
            _response(low, high, by_depth[inside], reading[inside])
            | {"disk": float(np.median(by_disk[inside]) / np.median(by_depth[inside]))}
            for low, high, inside in _bins(by_depth)
        ],
    }


def _response(
    low: float, high: float, truth: NDArray[np.float64], reading: NDArray[np.float64]
) -> dict[str, float | int | None]:
    """One bin: medians, which windows of two depths do not move, and their ratio."""
    true_px, reading_px = float(np.median(truth)), float(np.median(reading))
    return {
        "from_px": low,
        "to_px": high,
        "windows": int(truth.size),
        "true_px": true_px,
        "reading_px": reading_px,
        "response": reading_px / true_px if true_px > 0 else float("nan"),
        "mae_px": float(np.abs(reading - truth).mean()),
    }


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if first.size < 2 or not (first.std() > 0 and second.std() > 0):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
