# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth errors as the field reports them, pooled over all pixels of a set and as the mean over its images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import ImageError
from dfd_perception.metrics.edges import edge_divergence
from dfd_perception.metrics.uncertainty import area_under_sparsification_error

NAN = float("nan")
_MEANS = ("sq_error", "abs_rel", "sq_rel", "sq_log", "log10", "delta1", "delta2", "delta3", "mae_m")


class DepthMetrics(NamedTuple):
    """Errors of z-depth; NaN where it could not be measured. p prediction, t truth, over pixels where both are valid.

    rmse_m: sqrt(mean (p - t)^2) [m].           abs_rel: mean |p - t| / t.
    sq_rel: mean (p - t)^2 / t [m].             rmse_log: sqrt(mean (ln p - ln t)^2).
    log10: mean |log10 p - log10 t|.            mae_m: mean |p - t| [m].
    delta1..3: share with max(p / t, t / p) < 1.25, 1.25^2, 1.25^3.
    kld: edge divergence of `metrics.edges`.
    coverage: share of the pixels with truth that have a valid prediction (finite and positive).
    ause: area under the sparsification error (models with an uncertainty).
    """

    rmse_m: float = NAN
    abs_rel: float = NAN
    sq_rel: float = NAN
    rmse_log: float = NAN
    log10: float = NAN
    delta1: float = NAN
    delta2: float = NAN
    delta3: float = NAN
    mae_m: float = NAN
    kld: float = NAN
    coverage: float = NAN
    ause: float = NAN


class DepthAccumulator:
    """Streaming depth errors of a set.

    Args:
        with_edges: also measure the edge divergence (a few milliseconds an image).
    """

    def __init__(self, with_edges: bool = True) -> None:
        self._with_edges = with_edges
        self._sums = np.zeros(len(_MEANS))
        self._counted = self._with_truth = 0

    def update(
        self,
        prediction_m: NDArray[np.floating],
        target_m: NDArray[np.floating],
        std_m: NDArray[np.floating] | None = None,
    ) -> DepthMetrics:
        """Take in one image and return its own errors.

        Args:
            prediction_m: (H, W); not finite or not positive is "no answer" and lowers the coverage.
            target_m: (H, W); NaN, infinite or not positive does not count.
            std_m: (H, W) predicted standard deviation.

        Raises:
            ImageError: the shapes differ.
        """
        if prediction_m.shape != target_m.shape or (std_m is not None and std_m.shape != target_m.shape):
            raise ImageError(f"prediction is {prediction_m.shape}, truth {target_m.shape}; resize one of them first")
        truth = _is_depth(target_m)
        counted = truth & _is_depth(prediction_m)
        p, t = prediction_m[counted].astype(np.float64), target_m[counted].astype(np.float64)
        sums, with_truth = _sums_of(p, t), int(truth.sum())
        self._sums += sums
        self._counted += p.size
        self._with_truth += with_truth
        metrics = _metrics_of(sums, p.size, with_truth)
        if std_m is not None and p.size:
            std = std_m[counted]
            ause = area_under_sparsification_error(np.abs(p - t) / t, np.where(np.isfinite(std), std, np.inf))
            metrics = metrics._replace(ause=ause)
        if self._with_edges and p.size:
            kld = edge_divergence(np.where(counted, prediction_m, np.nan), np.where(counted, target_m, np.nan))
            metrics = metrics._replace(kld=kld)
        return metrics

    def pooled(self) -> DepthMetrics:
        """Every valid pixel of the set counts alike; without `kld` and `ause`, which are of single images."""
        return _metrics_of(self._sums, self._counted, self._with_truth)


def _is_depth(depth_m: NDArray[np.floating]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.isfinite(depth_m) & (depth_m > 0)


def _sums_of(p: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
    error = np.abs(p - t)
    log_ratio = np.abs(np.log(p / t))
    deltas = [(log_ratio < power * np.log(1.25)).sum() for power in (1, 2, 3)]
    return np.array(
        [
            (error**2).sum(),
            (error / t).sum(),
            (error**2 / t).sum(),
            (log_ratio**2).sum(),
            log_ratio.sum() / np.log(10),
            *deltas,
            error.sum(),
        ]
    )


def _metrics_of(sums: NDArray[np.float64], count: int, with_truth: int) -> DepthMetrics:
    coverage = count / with_truth if with_truth else NAN
    if count == 0:
        return DepthMetrics(coverage=coverage)
    mean = dict(zip(_MEANS, (float(value) for value in sums / count), strict=True))
    return DepthMetrics(
        rmse_m=mean["sq_error"] ** 0.5,
        rmse_log=mean["sq_log"] ** 0.5,
        **{name: mean[name] for name in _MEANS if not name.startswith("sq_") or name == "sq_rel"},
        coverage=coverage,
    )
