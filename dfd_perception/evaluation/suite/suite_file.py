# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""SUITE.yaml: which sources a model is measured on, and how.

chart: true
sources:
- name: tables
data: rgbd                     # below --data, or absolute
only: "osd_*"
lens: lenses/35mm_f1.4.yaml    # beside the file
every: 4
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfd_perception.errors import ConfigError
from dfd_perception.evaluation.plan import FloorChoice
from dfd_perception.files.configuration import from_mapping, read_yaml


@dataclass(frozen=True, kw_only=True)
class SuiteSource:
    """One source: a data set, or some frames of one, with its lens and bounds."""

    name: str
    """Row of the table, and folder of its report."""
    data: Path
    kind: str | None = None
    split: str | None = None
    only: str = ""
    without: str = ""
    every: int = 1
    lens: Path | None = None
    fx_px: float | None = None
    floor: FloorChoice = "auto"
    min_depth_m: float | None = None
    max_depth_m: float | None = None
    clamp: bool = False
    """Answers outside the bounds are moved to them, and none counts as invalid."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Contents of SUITE.yaml."""

    sources: tuple[SuiteSource, ...] = ()
    chart: bool = False
    """Also measure the blur chart."""

    def __post_init__(self) -> None:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"two sources are called {twice[0]!r}; expected names of their own")
        if not self.sources and not self.chart:
            raise ConfigError("a suite without sources and without chart measures nothing; add one of them")


def read_suite(path: Path) -> Suite:
    """Read SUITE.yaml.

    Raises:
        ConfigError: not readable, an unknown or missing key, a value of another type.
    """
    return from_mapping(Suite, read_yaml(path), str(path))
