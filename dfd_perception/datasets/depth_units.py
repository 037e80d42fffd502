# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The unit of stored depth: what it was taken for, and what else the same counts could mean.

A 16-bit PNG does not say its unit. Taken for millimetres, a TUM scene of 1.2 m is one of 6 m, and blur and figures are
wrong without a word. Where nobody stated the unit, its depth is shown as each of the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.depth_encoding import DEPTH_UNITS, MILLIMETRES
from dfd_perception.datasets.sample import spread_over

FRAMES_LOOKED_AT = 5


class DepthUnit(NamedTuple):
    """Metres per count of a folder's depth."""

    metres_per_count: float = MILLIMETRES
    stated: bool = False
    """By the folder or by whoever opened it; else it is an assumption."""
    is_float: bool = False
    """The files hold floats, which are metres: the unit of counts says nothing of them."""


def unit_name(metres_per_count: float) -> str:
    """Its name, or the number."""
    for name, unit in DEPTH_UNITS.items():
        if abs(unit / metres_per_count - 1) < 1e-9:
            return name
    return f"{metres_per_count:g}"


def depth_unit_lines(unit: DepthUnit, depth_maps_m: Iterable[NDArray[np.floating[Any]]], option: str) -> list[str]:
    """How deep the scenes are in the unit taken, and in the other usual ones.

    Args:
        unit: what the counts were taken for.
        depth_maps_m: some maps [m] in that unit, NaN where there is none.
        option: how to state another one, such as "--depth-unit".

    Returns:
        No line where a unit was stated, or where there is no depth; of float depth one where a unit was stated that is
        not metres.
    """
    if unit.is_float:
        if not unit.stated or unit.metres_per_count == 1:
            return []
        return [f"depth is float, which is metres: the unit stated ({unit_name(unit.metres_per_count)}) is not used"]
    known = [depth[np.isfinite(depth)] for depth in depth_maps_m]
    known = [values for values in known if values.size]
    if unit.stated or not known:
        return []
    near, median, far = (float(v) for v in np.percentile(np.concatenate(known), (5, 50, 95)))
    taken = unit_name(unit.metres_per_count)
    others = [
        f"{name} {_figure(median * metres / unit.metres_per_count)} m"
        for name, metres in DEPTH_UNITS.items()
        if name != taken
    ]
    return [
        f"depth has no stated unit; taken as {taken}: median {_figure(median)} m, 5 % to 95 % {_figure(near)} to "
        f"{_figure(far)} m",
        f"the same median in other units: {', '.join(others)}; if one of them is right, say so: {option}",
    ]


def _figure(value: float) -> str:
    """To three digits, without an exponent for what is merely large."""
    return f"{float(f'{value:.3g}'):g}"


def unit_lines_of(dataset: Any, option: str) -> list[str]:
    """`depth_unit_lines` of a data set or sharp source, by a few frames spread over it."""
    while hasattr(dataset, "underlying"):  # a split, or images that would be blurred for it
        dataset = dataset.underlying
    unit = getattr(dataset, "depth_unit", None)
    if unit is None or (unit.stated and not unit.is_float) or not len(dataset):
        return []
    frames = (dataset[index] for index in spread_over(len(dataset), FRAMES_LOOKED_AT))
    return depth_unit_lines(unit, [f.depth_m for f in frames if f.depth_m is not None], option)
