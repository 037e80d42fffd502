# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From rows to the figures of a set: pooled over all pixels, and as the mean of per-image values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.evaluation.scoring import bins
from dfd_perception.evaluation.scoring.blur_pooling import PooledBlur
from dfd_perception.evaluation.scoring.rows import FrameRow
from dfd_perception.metrics.defocus import DefocusMetrics
from dfd_perception.metrics.depth import DepthMetrics
from dfd_perception.metrics.image_quality import DeblurMetrics
from dfd_perception.metrics.uncertainty import UncertaintyAccumulator

NAN = float("nan")
SECTIONS = ("depth", "deblurred", "defocus")
SQUARED = ("rmse_m", "rmse_log")
"""Per-image values that pool by their squares."""


class RunningMeans:
    """Mean of each named value over the images that have it (not NaN), each image with a weight."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}

    def add(self, values: Mapping[str, float], weight: float = 1) -> None:
        """Take in the values of one image."""
        for name, value in values.items():
            if weight and not math.isnan(value):
                self._sums[name] = self._sums.get(name, 0.0) + weight * value
                self._weights[name] = self._weights.get(name, 0) + weight

    def __getitem__(self, name: str) -> float:
        return self._sums[name] / self._weights[name] if name in self._sums else math.nan


class PooledSet:
    """Streaming fold over rows of one variant; memory does not grow with the set.

    Give rows in one fixed order and the result is the same bit for bit, however many workers made them.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._depth_pixels = self._truth_pixels = self._image_pixels = self._defocus_pixels = 0
        self._of_pixels = {section: RunningMeans() for section in SECTIONS}
        self._of_images = {section: RunningMeans() for section in SECTIONS}
        self._uncertainty = UncertaintyAccumulator()
        self._has_std = False
        self._z = np.zeros(len(bins.Z_LEVELS) + 1, np.int64)
        self._log_scale = np.zeros(2)
        self.distance = np.zeros((len(bins.DISTANCE_EDGES_M) - 1, len(bins.DISTANCE_COLUMNS)))
        self.coc = np.zeros((len(bins.COC_EDGES_PX) - 1, len(bins.COC_COLUMNS)))
        self.truth = np.zeros(len(bins.TRUTH_EDGES_M) - 1, np.int64)
        self.blur = PooledBlur()

    def add(self, row: FrameRow) -> None:
        """Take in one frame."""
        self.frames += 1
        if row.depth is not None:
            self._add_depth(row, row.depth)
        if row.deblurred is not None:
            self._add_deblurred(row, row.deblurred)
        self.blur.add(row)
        if row.defocus is not None:
            self._of_images["defocus"].add(row.defocus)
            self._defocus_pixels += row.defocus_pixels
            self._of_pixels["defocus"].add(row.defocus, row.defocus_pixels)
        if row.truth is not None:
            for key, count in row.truth.items():
                self.truth[int(key)] += count

    def _add_depth(self, row: FrameRow, depth: dict[str, float]) -> None:
        self._of_images["depth"].add(depth)
        self._truth_pixels += row.truth_pixels
        self._depth_pixels += row.depth_pixels
        values = {name: value**2 if name in SQUARED else value for name, value in depth.items()}
        self._of_pixels["depth"].add(values, row.depth_pixels)
        if row.log_scale is not None:
            self._log_scale += row.log_scale[:2]
        bins.add_sparse(self.distance, row.distance)
        bins.add_sparse(self.coc, row.coc)
        if row.z is not None:
            self._z += row.z
        if row.sample is not None:
            self._has_std = True
            predicted, target, std = bins.decoded_sample(row.sample).T[:3]
            self._uncertainty.update(predicted, target, std)

    def _add_deblurred(self, row: FrameRow, deblurred: dict[str, float]) -> None:
        self._of_images["deblurred"].add(deblurred)
        self._image_pixels += row.image_pixels
        for name, value in deblurred.items():
            # 255 cancels out: the mean squared error is pooled in units of the squared range.
            is_psnr = name.endswith("psnr_db")
            weight = row.image_pixels if is_psnr else row.image_windows
            self._of_pixels["deblurred"].add({name: 10 ** (-value / 10) if is_psnr else value}, weight)

    def depth(self) -> dict[str, Any] | None:
        """The section `depth` of the report."""
        if not self._truth_pixels:
            return None
        count = self._depth_pixels
        pooled = {name: self._of_pixels["depth"][name] for name in DepthMetrics._fields}
        for name in SQUARED:
            pooled[name] = math.sqrt(pooled[name])
        pooled["kld"] = self._of_images["depth"]["kld"]
        pooled["coverage"] = count / self._truth_pixels
        pooled["ause"] = self._uncertainty.result().ause if self._has_std else NAN
        return {**pooled, "mean_of_images": self._mean_of("depth", DepthMetrics._fields), "pixels": count}

    def deblurred(self) -> dict[str, Any] | None:
        """The section `deblurred`."""
        if not self._image_pixels:
            return None
        pooled: dict[str, Any] = {}
        for name in DeblurMetrics._fields:
            mean = pooled[name] = self._of_pixels["deblurred"][name]
            if name.endswith("psnr_db"):
                pooled[name] = math.inf if mean == 0 else -10 * math.log10(mean)
        return {**pooled, "mean_of_images": self._mean_of("deblurred", DeblurMetrics._fields)}

    def defocus(self) -> dict[str, Any] | None:
        """The section `defocus`."""
        if not self._defocus_pixels:
            return None
        pooled = {name: self._of_pixels["defocus"][name] for name in DefocusMetrics._fields}
        return {**pooled, "mean_of_images": self._mean_of("defocus", DefocusMetrics._fields)}

    def calibration(self) -> dict[str, Any] | None:
        """Is the scale right, and does the claimed standard deviation hold?"""
        count = self._depth_pixels
        if not count:
            return None
        mean = self._log_scale[0] / count
        spread = math.sqrt(max(self._log_scale[1] / count - mean**2, 0.0))
        section: dict[str, Any] = {"scale": math.exp(mean), "log_scale_std": spread}
        if self._has_std and self._z[-1]:
            result = self._uncertainty.result()
            section["uncertainty"] = {
                "within_one_std": float(self._z[3] / self._z[-1]),
                "abs_rel_certain": result.abs_rel_certain,
                "abs_rel_certain_gain": result.abs_rel_certain_gain,
                "levels": [float(v) for v in bins.Z_LEVELS],
                "share_within": [float(v / self._z[-1]) for v in self._z[:-1]],
                "share_expected": [math.erf(v / math.sqrt(2)) for v in bins.Z_LEVELS],
            }
        return section

    def by_distance(self) -> list[dict[str, float]]:
        """Errors by true distance, bins without truth left out."""
        table = []
        for i in np.flatnonzero(self.distance[:, 0]):
            truth, count, abs_m, rel, signed, predicted, true, std = (float(v) for v in self.distance[i])
            entry = {
                "from_m": float(bins.DISTANCE_EDGES_M[i]),
                "to_m": float(bins.DISTANCE_EDGES_M[i + 1]),
                "pixels": truth,
                "coverage": count / truth,
            }
            if count:
                entry |= {
                    "mae_m": abs_m / count,
                    "abs_rel": rel / count,
                    "bias_rel": signed / count,
                    "predicted_m": predicted / count,
                    "true_m": true / count,
                }
                if self._has_std:
                    entry["std_m"] = std / count
            table.append(entry)
        return table

    def by_coc(self) -> list[dict[str, float]]:
        """Errors by true circle of confusion: small blur is near focus, where depth from defocus is weakest."""
        table = []
        for i in np.flatnonzero(self.coc[:, 0]):
            count, rel, coc_count, abs_px, signed_px = (float(v) for v in self.coc[i])
            entry = {
                "from_px": float(bins.COC_EDGES_PX[i]),
                "to_px": float(bins.COC_EDGES_PX[i + 1]),
                "pixels": count,
                "abs_rel": rel / count,
            }
            if coc_count:
                entry |= {"mae_px": abs_px / coc_count, "bias_px": signed_px / coc_count}
            table.append(entry)
        return table

    def _mean_of(self, section: str, names: tuple[str, ...]) -> dict[str, float]:
        return {name: self._of_images[section][name] for name in names}


def pooled(rows: Iterable[FrameRow]) -> PooledSet:
    """Fold in order: the same rows give the same numbers bit for bit."""
    total = PooledSet()
    for row in rows:
        total.add(row)
    return total


def best_constant_m(truth_counts: np.ndarray) -> float:
    """The one distance with the least pooled AbsRel: the median of the truth weighted by 1 / distance."""
    centres = np.sqrt(bins.TRUTH_EDGES_M[:-1] * bins.TRUTH_EDGES_M[1:])
    weight = np.cumsum(truth_counts / centres)
    return float(centres[np.searchsorted(weight, weight[-1] / 2)])


def best_constant_of(target_m: NDArray[np.floating]) -> float:
    """As `best_constant_m`, of true depths [m] (1-D, all of them valid)."""
    counts = np.zeros(len(bins.TRUTH_EDGES_M) - 1, np.int64)
    for key, count in bins.truth_histogram(target_m.astype(np.float64)).items():
        counts[int(key)] += count
    return best_constant_m(counts)


def latency_summary(rows: Iterable[dict[str, float]]) -> dict[str, Any]:
    """Median, 95th percentile, mean and largest of each stage [ms]."""
    stages: dict[str, list[float]] = {}
    for row in rows:
        for stage, seconds in row.items():
            stages.setdefault(stage, []).append(seconds * 1e3)
    return {
        stage: {
            "p50_ms": float(np.percentile(values, 50)),
            "p95_ms": float(np.percentile(values, 95)),
            "mean_ms": float(np.mean(values)),
            "max_ms": float(np.max(values)),
        }
        for stage, values in stages.items()
    }
