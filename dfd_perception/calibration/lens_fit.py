# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""K, F and blur floor of a lens by a robust fit to readings of blur at known distances.

The model is R = sqrt(K^2 (1/F - 1/d)^2 + c0^2). For a given F it is linear in K^2 and c0^2, so F is searched on a grid
(readings on one side of the focus have no second minimum to fall into that way) and all three are refined by
Gauss-Newton with Huber weights. Where no reading is near the focus, c0 cannot be told from F: the typical floor of the
model enters as one more reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfd_perception.calibration.blur_readings import BlurReading
from dfd_perception.core.optics import DefocusCurve, Side
from dfd_perception.errors import CalibrationError, counted

FloatArray = NDArray[np.float64]

FEWEST_DISTANCES = 4
SAME_DISTANCE_DIOPTRE = 0.03
LEAST_RANGE_PX = 2.0
"""Change of blur over the readings: with less, noise is what is fitted."""
HUBER = 1.5
"""Residual over std from which on a reading counts less."""
ITERATIONS = 30
FOCUS_GRID_DIOPTRE = np.geomspace(0.02, 60.0, 700)
LARGEST_RELATIVE_STD = 0.1
"""Of K and of F: a poorer lens puts everything wrong by a tenth, which no reading makes up for."""
LARGEST_SCATTER = 4.0
"""Median residual over the readings' own std: beyond it they do not lie on the curve of a lens."""
LARGEST_MISFIT_PX = 1.0


@dataclass(frozen=True, kw_only=True)
class FittedLens:
    """The lens fitted to readings; std are one standard deviation."""

    curve: DefocusCurve
    gain_std: float
    focus_std_m: float
    floor_std_px: float
    misfit_px: float
    """Median distance of the readings from the curve."""
    readings: tuple[BlurReading, ...]
    distances: int
    """Different ones."""
    faults: tuple[str, ...]
    """Why the fit is poor; empty for a good one."""


def fit_lens(
    readings: Sequence[BlurReading],
    *,
    typical_floor_px: float = 0.0,
    side: Side | None = None,
    has_floor: bool = True,
) -> FittedLens:
    """Fit a lens.

    Args:
        readings: of at least four distances.
        typical_floor_px: what a camera usually has; counts as one reading of std max(0.5 px, half of it).
        side: where the readings lie; None: on the side where most of them fit.
        has_floor: False for a model that reads the blur of the lens alone: c0 is 0.

    Raises:
        CalibrationError: too few distances, or too alike.
    """
    inverse = np.array([1 / reading.distance_m for reading in readings])
    blur = np.array([reading.blur_px for reading in readings])
    std = np.array([reading.std_px for reading in readings])
    distances = _count_distances(inverse)
    if distances < FEWEST_DISTANCES:
        raise CalibrationError(
            f"readings at {counted(distances, 'distance')}; expected {FEWEST_DISTANCES} or more, "
            "spread over the working range"
        )
    if np.ptp(blur) < LEAST_RANGE_PX:
        raise CalibrationError(
            f"blur changes by {np.ptp(blur):.1f} px from {1 / inverse.max():.2f} to {1 / inverse.min():.2f} m; "
            f"expected {LEAST_RANGE_PX:g} px or more: move farther, or open the aperture"
        )
    prior_std_px = max(0.5, typical_floor_px / 2) if has_floor else 1e-3
    prior = (typical_floor_px if has_floor else 0.0, prior_std_px)
    start = _best_on_grid(inverse, blur, std, prior, side)
    gain, focus, floor, covariance = _refined(start, inverse, blur, std, prior)
    is_far = (inverse < focus).sum() * 2 >= inverse.size
    fitted_side: Side = side or ("far" if is_far else "near")
    curve = DefocusCurve(
        gain_px_per_dioptre=gain,
        focus_distance_m=1 / focus,
        side=fitted_side,
        blur_floor_px=floor if has_floor else 0.0,
    )
    residual = blur - curve.coc_px(1 / inverse)
    scatter = float(np.median(np.abs(residual / std))) / 0.6745
    # Readings of one image err together: what they scatter more than they say goes into the std of the result.
    stds = np.sqrt(np.maximum(np.diag(covariance), 0)) * max(1.0, scatter)
    fit = FittedLens(
        curve=curve,
        gain_std=float(stds[0]),
        focus_std_m=float(stds[1]) / focus**2,
        floor_std_px=float(stds[2]),
        misfit_px=float(np.median(np.abs(residual))),
        readings=tuple(readings),
        distances=distances,
        faults=(),
    )
    return _with_faults(fit, scatter)


def _with_faults(fit: FittedLens, scatter: float) -> FittedLens:
    curve, faults = fit.curve, []
    if fit.gain_std > LARGEST_RELATIVE_STD * curve.gain_px_per_dioptre:
        faults.append(
            f"K is {curve.gain_px_per_dioptre:.2f} +- {fit.gain_std:.2f} px per dioptre; expected "
            f"{LARGEST_RELATIVE_STD:.0%} or better: more distances, farther apart"
        )
    if fit.focus_std_m > LARGEST_RELATIVE_STD * curve.focus_distance_m:
        faults.append(
            f"F is {curve.focus_distance_m:.3f} +- {fit.focus_std_m:.3f} m; expected {LARGEST_RELATIVE_STD:.0%} or "
            "better: take some distances nearer to the focus"
        )
    if scatter > LARGEST_SCATTER and fit.misfit_px > LARGEST_MISFIT_PX:
        faults.append(
            f"the readings lie {fit.misfit_px:.1f} px from any lens' curve in the median; was the focus ring or the "
            "zoom moved, are the distances right?"
        )
    return FittedLens(**{**vars(fit), "faults": tuple(faults)})


def _count_distances(inverse: FloatArray) -> int:
    ordered = np.sort(inverse)
    count, last = 0, -np.inf
    for value in ordered:
        if value - last >= SAME_DISTANCE_DIOPTRE:
            count, last = count + 1, value
    return count


def _model(gain: float, focus: float, floor: float, inverse: FloatArray) -> FloatArray:
    return np.hypot(gain * (focus - inverse), floor)


def _best_on_grid(
    inverse: FloatArray, blur: FloatArray, std: FloatArray, prior: tuple[float, float], side: Side | None
) -> tuple[float, float, float]:
    """K, 1/F and c0 of the best focus of the grid, by the robust cost of the readings."""
    best, best_cost = (1.0, 1.0, 0.0), np.inf
    weight = 1 / (2 * np.maximum(blur, 1.0) * std)
    for focus in FOCUS_GRID_DIOPTRE:
        far = (inverse < focus).mean()
        if (side == "far" and far < 0.5) or (side == "near" and far > 0.5):
            continue
        misfocus = np.square(focus - inverse)
        # R^2 = K^2 x + c0^2, the typical floor as one more row.
        prior_weight = 1 / (2 * max(prior[0], prior[1]) * prior[1])
        rows = np.vstack([np.stack([misfocus, np.ones_like(misfocus)], 1) * weight[:, None], [0.0, prior_weight]])
        values = np.append(np.square(blur) * weight, prior[0] ** 2 * prior_weight)
        gain2, floor2 = np.linalg.lstsq(rows, values, rcond=None)[0]
        if gain2 <= 0:
            continue
        gain, floor = float(np.sqrt(gain2)), float(np.sqrt(max(floor2, 0.0)))
        ratio = np.abs(blur - _model(gain, float(focus), floor, inverse)) / std
        cost = np.where(ratio < HUBER, ratio**2, 2 * HUBER * ratio - HUBER**2).sum()
        cost += ((floor - prior[0]) / prior[1]) ** 2
        if cost < best_cost:
            best, best_cost = (gain, float(focus), floor), float(cost)
    if not np.isfinite(best_cost):
        raise CalibrationError("no lens blurs like these readings: blur does not grow away from any focus distance")
    return best


def _refined(
    start: tuple[float, float, float],
    inverse: FloatArray,
    blur: FloatArray,
    std: FloatArray,
    prior: tuple[float, float],
) -> tuple[float, float, float, FloatArray]:
    """Gauss-Newton with Huber weights from the best of the grid; parameters and their covariance."""
    gain, focus, floor = start
    covariance: FloatArray = np.eye(3)
    for _ in range(ITERATIONS):
        total = np.maximum(_model(gain, focus, floor, inverse), 1e-6)
        beta = focus - inverse
        slopes = np.stack([gain * beta**2, gain**2 * beta, np.full_like(beta, floor)], 1) / total[:, None]
        residual = blur - total
        ratio = np.abs(residual) / std
        weight = np.where(ratio > HUBER, HUBER / np.maximum(ratio, 1e-12), 1.0) / std**2
        normal = slopes.T @ (slopes * weight[:, None])
        normal[2, 2] += 1 / prior[1] ** 2
        gradient = slopes.T @ (weight * residual)
        gradient[2] += (prior[0] - floor) / prior[1] ** 2
        covariance = np.asarray(np.linalg.pinv(normal), np.float64)
        step = covariance @ gradient
        # No step leaves where the equation holds.
        limit = np.array([0.3 * gain, 0.2 * focus, 0.5])
        step *= min(1.0, float(np.min(limit / np.maximum(np.abs(step), 1e-12))))
        gain, focus, floor = gain + step[0], focus + step[1], max(0.0, floor + step[2])
        if np.abs(step / np.array([gain, focus, 1.0])).max() < 1e-7:
            break
    return float(gain), float(focus), float(floor), covariance
