# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Running means of named values, NaN left out."""

from __future__ import annotations

import math
from collections.abc import Mapping


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
