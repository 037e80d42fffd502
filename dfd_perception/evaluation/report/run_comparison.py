# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Two or more reports side by side: paired differences with confidence intervals, and bounds for a robot's own CI.

Frames are paired by unit and index (same data) or, for reports of different bags, not at all. Neighbouring frames of
a recording resemble each other, so the bootstrap draws blocks of frames; single frames would give intervals
that are far too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import ConfigError, DatasetError, reading
from dfd_perception.evaluation.report.report_json import read_report

RESAMPLES = 2000
CONFIDENCE = 0.95
FEWEST_FRAMES = 10
"""In common, below which no interval is claimed."""

HIGHER_IS_BETTER = {"delta1", "delta2", "delta3", "coverage", "psnr_db", "ssim"}
COMPARED = (
    "depth.abs_rel", "depth.rmse_m", "depth.mae_m", "depth.delta1", "depth.delta2", "depth.delta3", "depth.coverage",
    "depth.kld", "deblurred.psnr_db", "deblurred.ssim", "defocus.mae",
)  # fmt: skip


class Difference(NamedTuple):
    """Mean over the paired frames of (this report - the first), with its confidence interval."""

    metric: str
    first: float
    this: float
    difference: float
    low: float
    """Of the interval; -inf where there are too few frames for one."""
    high: float
    frames: int

    @property
    def verdict(self) -> Literal["better", "worse", "same", "too few frames"]:
        """What the interval allows to say."""
        if self.frames < FEWEST_FRAMES:
            return "too few frames"
        if self.low <= 0 <= self.high:
            return "same"
        better = (self.difference > 0) == (self.metric.rpartition(".")[2] in HIGHER_IS_BETTER)
        return "better" if better else "worse"


@dataclass(frozen=True)
class Bound:
    """A figure that a report must keep: SECTION.NAME with a limit."""

    metric: str
    limit: float
    kind: Literal["max", "min", "worse"]
    """max and min bound the figure itself; worse bounds how much worse than the first report it may be."""

    def failure(self, report: dict[str, Any], first: dict[str, Any]) -> str | None:
        """Why the report breaks the bound, None when it keeps it.

        Raises:
            ConfigError: the report has no such figure.
        """
        value = figure(report, self.metric)
        if self.kind == "max":
            return f"{self.metric} is {value:.6g}, the bound is at most {self.limit:g}" if value > self.limit else None
        if self.kind == "min":
            return f"{self.metric} is {value:.6g}, the bound is at least {self.limit:g}" if value < self.limit else None
        before = figure(first, self.metric)
        higher = self.metric.rpartition(".")[2] in HIGHER_IS_BETTER
        worse = before - value if higher else value - before
        if worse > self.limit:
            return (
                f"{self.metric} went from {before:.6g} to {value:.6g}, worse by {worse:.6g}; allowed is {self.limit:g}"
            )
        return None


def parse_bound(text: str, kind: Literal["max", "min", "worse"]) -> Bound:
    """A Bound of "depth.abs_rel=0.12".

    Raises:
        ConfigError: not of that form.
    """
    metric, separator, limit = text.partition("=")
    try:
        value = float(limit)
    except ValueError:
        separator = ""
    if not separator or "." not in metric:
        raise ConfigError(f"bound is {text!r}; expected SECTION.NAME=NUMBER, such as depth.abs_rel=0.12")
    return Bound(metric, value, kind)


def figure(report: dict[str, Any], metric: str) -> float:
    """A figure by its dotted name, such as depth.abs_rel or timing.stages.total.p95_ms.

    Raises:
        ConfigError: absent or not measured; the message lists the section's figures.
    """
    value: Any = report
    for part in metric.split("."):
        if not isinstance(value, dict) or part not in value:
            known = ", ".join(value) if isinstance(value, dict) else "no more parts"
            raise ConfigError(f"no figure {metric} in the report; at {part!r} there is {known}")
        value = value[part]
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ConfigError(f"{metric} was not measured in this report (it is {value!r})")
    return float(value)


def compare_reports(paths: list[Path]) -> list[list[Difference]]:
    """Differences of each later report to the first.

    Raises:
        DatasetError: a file that is no report.
        ConfigError: two reports without a frame in common.
    """
    reports = [read_report(path) for path in paths]
    compared = []
    for path, report in zip(paths[1:], reports[1:], strict=True):
        with reading(f"{paths[0]} and {path}", DatasetError, "expected two reports of dfd evaluate"):
            compared.append(differences(reports[0], report, f"{paths[0]} and {path}"))
    return compared


def differences(first: dict[str, Any], this: dict[str, Any], names: str) -> list[Difference]:
    """Paired differences of every figure that both reports have by frame."""
    frames = {(entry["unit"], entry["index"]): entry for entry in first["per_frame"]}
    pairs = [(frames[key], entry) for entry in this["per_frame"] if (key := (entry["unit"], entry["index"])) in frames]
    if not pairs:
        raise ConfigError(f"{names} have no frame in common; compare reports of the same bags or data set")
    lines = []
    for metric in COMPARED:
        section, _, name = metric.partition(".")
        values = [(a.get(section, {}).get(name), b.get(section, {}).get(name)) for a, b in pairs]
        table = np.array([v for v in values if None not in v], np.float64).reshape(-1, 2)
        if len(table):
            lines.append(_difference(metric, table))
    return lines


def _difference(metric: str, table: NDArray[np.float64]) -> Difference:
    change = table[:, 1] - table[:, 0]
    low, high = confidence_interval(change) if len(table) >= FEWEST_FRAMES else (float("-inf"), float("inf"))
    first, this = (float(v) for v in table.mean(0))
    return Difference(metric, first, this, float(change.mean()), low, high, len(table))


def block_length(values: NDArray[np.float64]) -> int:
    """Frames until the correlation with the first has died away (below 2 / sqrt n), at most a tenth of the series."""
    count = len(values)
    centred = values - values.mean()
    power = float(centred @ centred)
    longest = max(1, count // 10)
    for lag in range(1, longest):
        if power == 0 or float(centred[:-lag] @ centred[lag:]) / power < 2 / np.sqrt(count):
            return lag
    return longest


def confidence_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Of the mean of a series, by moving blocks as long as neighbours resemble each other.

    The same values give the same interval.
    """
    count = len(values)
    if count < 2:
        return float("-inf"), float("inf")
    block = block_length(values)
    starts = np.random.default_rng(0).integers(0, count - block + 1, (RESAMPLES, -(-count // block)))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means = (sums[starts + block] - sums[starts]).sum(1) / (starts.shape[1] * block)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)
