# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Additive statistics of one frame: counts and sums over bins of distance, blur and claimed uncertainty.

Sums of frames add up to those of a set, whatever the order in which processes and machines saw the frames.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DISTANCE_EDGES_M = np.geomspace(0.1, 100.0, 61)
"""20 bins a decade: each 12 % wide."""

COC_EDGES_PX = np.arange(0.0, 65.0)
"""One pixel wide; what is beyond counts in the last."""

TRUTH_EDGES_M = np.geomspace(0.05, 200.0, 1665)
"""0.5 % wide: fine enough to choose the best constant depth from."""

Z_LEVELS = np.array([0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0])
"""Multiples of the claimed standard deviation at which the share of errors within is counted."""

SAMPLE_SIZE = 512
"""Pixels of a frame kept to judge its uncertainty over the whole set."""

SAMPLE_COLUMNS = 5
"""Of `uncertainty_sample`."""

WINDOW_COLUMNS = 5
"""Of the windows of an aperture pair: disk between the apertures, true total blur, reading, its std, and the total blur
that lens and true depth give, NaN without them [px]."""

DISTANCE_COLUMNS = ("truth", "count", "abs_m", "rel", "signed_rel", "predicted_m", "true_m", "std_m")
COC_COLUMNS = ("count", "rel", "coc_count", "abs_px", "signed_px")


class DepthPixels(NamedTuple):
    """The pixels of a frame that have truth, 1-D, float64; prediction NaN where the model gave no answer."""

    prediction_m: NDArray[np.float64]
    target_m: NDArray[np.float64]
    std_m: NDArray[np.float64] | None
    coc_error_px: NDArray[np.float64] | None = None
    """Reading minus true blur, NaN where unknown (models that read blur)."""
    coc_std_px: NDArray[np.float64] | None = None


def sparse(table: NDArray[np.float64]) -> dict[str, list[float]]:
    """Rows of a (bins, columns) table whose first column is not 0, by bin number."""
    return {str(i): [float(v) for v in table[i]] for i in np.flatnonzero(table[:, 0])}


def add_sparse(table: NDArray[np.float64], rows: dict[str, list[float]]) -> None:
    """Add what `sparse` gave to a table of the same width."""
    for key, values in rows.items():
        table[int(key)] += values


def distance_table(pixels: DepthPixels) -> NDArray[np.float64]:
    """(60, 8) sums by bin of true distance; columns as DISTANCE_COLUMNS. `truth` counts answered or not."""
    p, t = pixels.prediction_m, pixels.target_m
    answered = np.isfinite(p)
    error = np.where(answered, p - t, 0.0)
    std = np.zeros_like(t) if pixels.std_m is None else np.where(np.isfinite(pixels.std_m), pixels.std_m, 0.0)
    columns = [
        np.ones_like(t),
        answered.astype(float),
        np.abs(error),
        np.abs(error) / t,
        error / t,
        np.where(answered, p, 0.0),
        np.where(answered, t, 0.0),
        np.where(answered, std, 0.0),
    ]
    return _binned(t, DISTANCE_EDGES_M, columns)


def coc_table(
    pixels: DepthPixels, coc_target_px: NDArray[np.float64], coc_prediction_px: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """(64, 5) sums by bin of true blur, over pixels with an answer; columns as COC_COLUMNS."""
    p, t = pixels.prediction_m, pixels.target_m
    known = np.isfinite(p) & np.isfinite(coc_target_px)
    p, t, coc = p[known], t[known], coc_target_px[known]
    blur_error = np.zeros_like(coc)
    measured = np.zeros_like(coc)
    if coc_prediction_px is not None:
        difference = coc_prediction_px[known] - coc
        measured = np.isfinite(difference).astype(float)
        blur_error = np.where(measured > 0, difference, 0.0)
    columns = [np.ones_like(t), np.abs(p - t) / t, measured, np.abs(blur_error), blur_error]
    return _binned(coc, COC_EDGES_PX, columns)


def truth_histogram(target_m: NDArray[np.float64]) -> dict[str, int]:
    """Pixels by 0.5 % bin of true distance."""
    counts = np.bincount(_bin_of(target_m, TRUTH_EDGES_M), minlength=len(TRUTH_EDGES_M) - 1)
    return {str(i): int(counts[i]) for i in np.flatnonzero(counts)}


def z_counts(pixels: DepthPixels) -> list[int] | None:
    """How many answered pixels err by at most each of Z_LEVELS times their std, and how many there are."""
    if pixels.std_m is None:
        return None
    known = np.isfinite(pixels.prediction_m) & np.isfinite(pixels.std_m)
    error = np.abs(pixels.prediction_m - pixels.target_m)[known]
    std = pixels.std_m[known]
    return [*(int((error <= level * std).sum()) for level in Z_LEVELS), int(known.sum())]


def uncertainty_sample(pixels: DepthPixels) -> str | None:
    """Every n-th answered pixel's depth, true depth, std, blur error and blur std, base64 of float32 (n, 5)."""
    if pixels.std_m is None:
        return None
    known = np.flatnonzero(np.isfinite(pixels.prediction_m))
    chosen = known[:: max(1, -(-len(known) // SAMPLE_SIZE))]
    unknown = np.full(pixels.target_m.shape, np.nan)
    columns = [
        pixels.prediction_m,
        pixels.target_m,
        pixels.std_m,
        unknown if pixels.coc_error_px is None else pixels.coc_error_px,
        unknown if pixels.coc_std_px is None else pixels.coc_std_px,
    ]
    return encoded_sample(np.stack([column[chosen] for column in columns], axis=1))


def encoded_sample(rows: NDArray[np.float64]) -> str:
    """Base64 of float32 (n, columns)."""
    return base64.b64encode(rows.astype("<f4").tobytes()).decode("ascii")


def decoded_sample(text: str, columns: int = SAMPLE_COLUMNS) -> NDArray[np.float64]:
    """(n, columns) of `encoded_sample`."""
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, columns).astype(np.float64)


def _bin_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def _binned(
    values: NDArray[np.float64], edges: NDArray[np.float64], columns: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    place = _bin_of(values, edges)
    bins = len(edges) - 1
    return np.stack([np.bincount(place, weights=column, minlength=bins) for column in columns], axis=1)
