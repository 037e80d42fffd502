# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Running means of named values, NaN left out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class RunningMeans:
    """Mean of each named value over the images that have it (not NaN)."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Take in the values of one image."""
        for name, value in values.items():
            self._sums.setdefault(name, 0.0)
            self._counts.setdefault(name, 0)
            if not np.isnan(value):
                self._sums[name] += value
                self._counts[name] += 1

    def __getitem__(self, name: str) -> float:
        count = self._counts.get(name, 0)
        return self._sums[name] / count if count else float("nan")
