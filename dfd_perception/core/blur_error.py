# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How well a model reads blur: what its card states, and the error to expect of a reading."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import ModelError

Floats = NDArray[np.float64]

MAE_KEY = "defocus.mae"
BY_BLUR_KEY = "defocus.by_blur"
"""Both as `dfd train` writes them into the metrics of a card."""


class BlurErrorBin(NamedTuple):
    """Mean absolute error where the true total blur lies in [from_px, to_px)."""

    from_px: float
    to_px: float
    mae_px: float


@dataclass(frozen=True)
class BlurError:
    """Mean absolute error [px] of a reading of total blur, at the resolution that the network sees.

    mae_px: over everything measured.
    by_blur: by the true blur, in rising order; empty where only the whole is known.
    """

    mae_px: float
    by_blur: tuple[BlurErrorBin, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mae_px) and self.mae_px >= 0):
            raise ModelError(f"blur error is {self.mae_px}; expected 0 px or more")
        for bin_ in self.by_blur:
            if not (0 <= bin_.from_px < bin_.to_px and math.isfinite(bin_.mae_px) and bin_.mae_px >= 0):
                raise ModelError(f"blur error bin {tuple(bin_)}: expected 0 <= from_px < to_px and mae_px of 0 or more")

    def at(self, blur_px: NDArray[np.floating]) -> NDArray[np.float64]:
        """Error [px] to expect where the total blur is `blur_px`: smooth through the bins' centres, level outside."""
        if not self.by_blur:
            return np.full(np.shape(blur_px), self.mae_px)
        centres_px = np.array([(bin_.from_px + bin_.to_px) / 2 for bin_ in self.by_blur])
        errors_px = np.array([bin_.mae_px for bin_ in self.by_blur])
        inside_px = np.clip(np.asarray(blur_px, np.float64), centres_px[0], centres_px[-1])
        return _smooth_through(np.log2(centres_px), errors_px, np.log2(inside_px))  # each bin is about twice the last

    def in_words(self) -> str:
        """For people: 0.65 px, or 0.65 px to 3.1 px, depending on the blur."""
        if not self.by_blur:
            return f"{self.mae_px:.2g} px"
        errors_px = [bin_.mae_px for bin_ in self.by_blur]
        return f"{min(errors_px):.2g} px to {max(errors_px):.2g} px, depending on the blur"


def _smooth_through(at: Floats, values: Floats, x: Floats) -> Floats:
    """A curve without kinks through the points, never above or below its neighbours, level at both ends.

    Piecewise cubic Hermite with the slopes of Fritsch and Butland (SIAM J. Sci. Stat. Comput. 5, 1984). `at` rises, and
    `x` lies within it.
    """
    if len(at) == 1:
        return np.full(x.shape, values[0])
    widths = np.diff(at)
    rises = np.diff(values) / widths
    before, after = rises[:-1], rises[1:]
    same_way = before * after > 0
    harmonic = 2 * before * after / np.where(same_way, before + after, 1.0)
    slopes = np.concatenate([[0.0], np.where(same_way, harmonic, 0.0), [0.0]])
    i = np.clip(np.searchsorted(at, x) - 1, 0, len(widths) - 1)
    t, h = (x - at[i]) / widths[i], widths[i]
    step = t * t * (3 - 2 * t)
    ends = t * (1 - t) * ((1 - t) * slopes[i] - t * slopes[i + 1])
    return np.asarray(values[i] + step * (values[i + 1] - values[i]) + h * ends, np.float64)


ASSUMED = BlurError(0.5)
"""Where a model states none."""


def stated_blur_error(metrics: Mapping[str, Any]) -> BlurError | None:
    """The error that the metrics of a model card state, wherever in them; None where they state none.

    Raises:
        ModelError: bins that cannot be.
    """
    mae_px = metrics.get(MAE_KEY)
    if isinstance(mae_px, (int, float)):
        return BlurError(float(mae_px), _bins(metrics.get(BY_BLUR_KEY, ())))
    for value in metrics.values():
        stated = stated_blur_error(value) if isinstance(value, Mapping) else None
        if stated is not None:
            return stated
    return None


def _bins(rows: Any) -> tuple[BlurErrorBin, ...]:
    if not isinstance(rows, Sequence):
        raise ModelError(f"{BY_BLUR_KEY} is {rows!r}; expected a list of {{from_px, to_px, mae_px}}")
    try:
        bins = [BlurErrorBin(*(float(row[name]) for name in BlurErrorBin._fields)) for row in rows]
    except (TypeError, KeyError, ValueError):
        raise ModelError(f"{BY_BLUR_KEY}: expected numbers {{from_px, to_px, mae_px}} in every row") from None
    return tuple(sorted(bins))
