# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth and its std from a reading of total blur, by simulation; and what resizing adds to the floor."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dfd_perception.core.optics import DefocusCurve, resizing_softness_px

CURVE = DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6, blur_floor_px=2.0)
STD_PX = 0.3
DRAWS = 20_000


def _readings(depth_m: float) -> NDArray[np.float64]:
    rng = np.random.default_rng(7)
    return np.asarray(CURVE.coc_px(depth_m) + STD_PX * rng.standard_normal(DRAWS))


@pytest.mark.parametrize("depth_m", [0.75, 0.9, 1.2, 1.6])
def test_std_is_the_spread_of_depth_where_the_floor_is_left_behind(depth_m: float) -> None:
    depths = CURVE.depth_m(_readings(depth_m))
    reading = np.array([float(CURVE.coc_px(depth_m))])
    std = CURVE.depth_std_m(np.array([depth_m]), np.array([STD_PX]), reading)[0]
    assert std == pytest.approx(depths.std(), rel=0.08)


def test_the_floor_makes_depth_less_sure_by_the_reading_over_the_blur_of_the_lens() -> None:
    """At 0.65 m, K 16.5, F 0.6 m: c = 2.115 px, R = 2.911 px, std_d = 0.65^2 / 16.5 * 0.3 * 2.911 / 2.115."""
    std = CURVE.depth_std_m(np.array([0.65]), np.array([STD_PX]), CURVE.coc_px(np.array([0.65])))[0]
    assert std == pytest.approx(0.65**2 / 16.5 * 0.3 * 2.9112 / 2.1154, rel=1e-3)


@pytest.mark.parametrize("depth_m", [0.6, 0.605, 0.62, 0.63, 0.65, 0.7, 1.0, 2.0])
def test_std_covers_the_truth_everywhere_and_stays_finite(depth_m: float) -> None:
    readings = _readings(depth_m)
    depths = CURVE.depth_m(readings)
    std = CURVE.depth_std_m(depths, np.full(DRAWS, STD_PX), readings)
    assert np.isfinite(std).all()
    within = np.abs(depths - depth_m) <= std
    assert within.mean() >= 0.66


def test_in_focus_the_std_is_what_the_reading_allows() -> None:
    """Read exactly the floor: the blur of the lens is at most sqrt((2 + 0.3)^2 - 2^2) = 1.136 px."""
    std = CURVE.depth_std_m(np.array([0.6]), np.array([STD_PX]), np.array([2.0]))[0]
    assert std == pytest.approx(0.6**2 / 16.5 * 1.1358, rel=1e-3)
    below = CURVE.depth_std_m(np.array([0.6]), np.array([STD_PX]), np.array([1.2]))[0]
    assert below == pytest.approx(std)


def test_maps_keep_their_type_and_their_gaps() -> None:
    readings = np.array([[1.0, 5.0], [np.nan, 40.0]], np.float32)
    depth = CURVE.depth_m(readings)
    std = CURVE.depth_std_m(depth, np.full_like(readings, STD_PX), readings)
    assert (depth.dtype, std.dtype) == (np.float32, np.float32)
    assert np.isnan(std[1, 0])
    assert np.isinf(depth[1, 1])
    np.testing.assert_array_equal(readings[0], [1.0, 5.0])


def _texture(side: int) -> NDArray[np.float32]:
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(np.random.default_rng(3).standard_normal((side, side))) / frequency
    texture = np.fft.ifft2(spectrum).real
    return np.asarray(texture / texture.std(), np.float32)


def _blurred(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float64]:
    u, v = np.meshgrid(*(np.fft.fftfreq(side) for side in image.shape[::-1]))
    transfer = np.exp(-2 * (np.pi * sigma_px) ** 2 * (u**2 + v**2))
    return np.asarray(np.fft.ifft2(np.fft.fft2(image) * transfer).real)


@pytest.mark.parametrize(("before", "after"), [(240, 120), (360, 120), (240, 160), (240, 180), (120, 180), (120, 240)])
def test_resizing_softens_as_stated(before: int, after: int) -> None:
    """The same light by pixels of both sizes; the blur that makes the one taken small most like the resized one."""
    light = _texture(int(np.lcm(before, after)) * 2)
    taken, direct = (cv2.resize(light, (n, n), interpolation=cv2.INTER_AREA) for n in (before, after))
    interpolation = cv2.INTER_AREA if after < before else cv2.INTER_CUBIC
    resized = cv2.resize(taken, (after, after), interpolation=interpolation)
    inside = np.s_[16:-16, 16:-16]
    candidates_px = np.arange(0, 4.5, 0.05)
    errors = [np.square(resized - _blurred(direct, c / 4))[inside].mean() for c in candidates_px]
    measured_px = candidates_px[int(np.argmin(errors))]
    assert resizing_softness_px(after / before) == pytest.approx(measured_px, abs=0.15)
