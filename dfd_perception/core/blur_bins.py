# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Bins that a distribution over blur is stated on, and what a lens says of them beforehand."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.optics import DefocusCurve

LARGEST_BIN_PX = 48.0
"""Centre of the last bin; the widest blur that can be read."""

UNLIKELY = -12.0
"""Log-prior of what cannot be: e^-12, so that a network that is sure of it is not turned into noise."""

SLACK_PX = 0.75
"""A reading may exceed what is possible by this and by SLACK_SHARE of it before it is held against it."""

SLACK_SHARE = 0.06


def bin_levels(count: int) -> NDArray[np.float64]:
    """(count,) asinh(c / 2) of the centres c [px], evenly spaced from 0."""
    return np.linspace(0, np.arcsinh(LARGEST_BIN_PX / 2), count)


def bin_centres_px(count: int) -> NDArray[np.float32]:
    """(count,) centres [px]: a third of a pixel apart near 0, a tenth of the blur far out."""
    return (2 * np.sinh(bin_levels(count))).astype(np.float32)


@lru_cache(maxsize=16)  # one lens for all images of a camera
def blur_log_prior(
    curve: DefocusCurve | None, count: int, depth_min_m: float = 0.0, depth_max_m: float = float("inf")
) -> NDArray[np.float32]:
    """(1, count, 1, 1) log of what lens and working range leave possible, 0 for all of it.

    Beyond the focus plane blur grows to K/F at infinity and no further; a working range narrows it on both ends.

    Args:
        curve: the lens at the network's resolution; None: nothing is known.
        count: number of bins.
        depth_min_m: nearest depth of the scene.
        depth_max_m: farthest.
    """
    if curve is None:
        return np.zeros((1, count, 1, 1), np.float32)
    centres_px = bin_centres_px(count)
    low_px, high_px = possible_blur_px(curve, depth_min_m, depth_max_m)
    excess_px = np.maximum(centres_px - high_px, low_px - centres_px)
    slack_px = SLACK_PX + SLACK_SHARE * high_px
    penalty = -0.5 * np.square(np.maximum(excess_px, 0) / slack_px)
    return np.maximum(penalty, UNLIKELY).astype(np.float32)[None, :, None, None]


def possible_blur_px(curve: DefocusCurve, depth_min_m: float, depth_max_m: float) -> tuple[float, float]:
    """Least and greatest total blur [px] of a scene between two depths on the curve's side of the focus plane."""
    focus_m = curve.focus_distance_m
    near_m, far_m = (focus_m, depth_max_m) if curve.side == "far" else (depth_min_m, focus_m)
    near_m, far_m = max(near_m, depth_min_m, 1e-3), min(far_m, depth_max_m)
    if near_m > far_m:
        # The working range lies on the other side of focus: it says nothing that can be used.
        return 0.0, float("inf")
    ends = [float(curve.coc_px(depth_m)) for depth_m in (near_m, far_m)]
    return min(ends), max(ends)
