# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Thin-lens optics against numbers worked by hand."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from dfd_perception.core import optics
from dfd_perception.core.optics import (
    DefocusCurve,
    Lens,
)
from dfd_perception.errors import LensError

DSLR = Lens(focal_length_mm=35, f_number=1.4, focus_distance_m=0.6, pixel_pitch_um=56.25)


def test_worked_examples_of_the_docstrings_hold() -> None:
    assert doctest.testmod(optics).failed == 0
    assert doctest.testmod(optics).attempted >= 2


@pytest.mark.parametrize(
    ("lens", "gain"),
    [
        # f^2 F / (N p (F - f)), by hand.
        (DSLR, 16.519),
        (Lens(focal_length_mm=28, f_number=2, focus_distance_m=0.5, pixel_pitch_um=56.25), 7.382),
        # D3-Net's NYU preset (Carvalho et al. 2018).
        (Lens(focal_length_mm=15, f_number=2.8, focus_distance_m=2, pixel_pitch_um=5.6), 14.458),
    ],
)
def test_gain_of_known_lenses(lens: Lens, gain: float) -> None:
    assert lens.defocus_curve().gain_px_per_dioptre == pytest.approx(gain, rel=1e-3)


def _gur_and_wolf_px(lens: Lens, depth_m: np.ndarray) -> np.ndarray:
    """A f |d - F| / (d (F - f)) / pitch (Gur & Wolf 2019)."""
    depth_mm, focus_mm = depth_m * 1e3, lens.focus_distance_m * 1e3
    blur_mm = lens.aperture_diameter_mm * lens.focal_length_mm * np.abs(depth_mm - focus_mm)
    return blur_mm / (depth_mm * (focus_mm - lens.focal_length_mm)) * 1e3 / lens.pixel_pitch_um


def _carvalho_px(lens: Lens, depth_m: np.ndarray) -> np.ndarray:
    """A s |1/f - 1/d - 1/s| / pitch, s the image distance (Carvalho et al. 2018)."""
    vergence = 1.0 / lens.focal_length_mm - 1e-3 / depth_m - 1.0 / lens.image_distance_mm
    return lens.aperture_diameter_mm * lens.image_distance_mm * np.abs(vergence) * 1e3 / lens.pixel_pitch_um


def test_the_form_by_hand() -> None:
    # f = 50 mm, N = 2, F = 2 m, 5 um pixels: a point at 4 m blurs to 64.1 px.
    lens = Lens(focal_length_mm=50, f_number=2, focus_distance_m=2, pixel_pitch_um=5)
    assert float(lens.defocus_curve().signed_coc_px(4.0)) == pytest.approx(64.1, abs=0.05)


def test_the_three_forms_of_the_circle_of_confusion_are_equal() -> None:
    depth_m = np.array([0.31, 0.55, 0.6, 0.83, 2.0, 40.0])
    gur = _gur_and_wolf_px(DSLR, depth_m)
    carvalho = _carvalho_px(DSLR, depth_m)
    linear = np.abs(DSLR.defocus_curve().signed_coc_px(depth_m))
    np.testing.assert_allclose(gur, carvalho, atol=1e-9)
    np.testing.assert_allclose(gur, linear, atol=1e-9)
    assert gur[2] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("side", "depth_m"), [("far", [0.61, 1.0, 4.7]), ("near", [0.2, 0.41, 0.59])])
def test_depth_comes_back_from_blur_on_the_stated_side(side: optics.Side, depth_m: list[float]) -> None:
    curve = DSLR.defocus_curve(side, blur_floor_px=0.8)
    truth = np.array(depth_m, np.float32)
    recovered = curve.depth_m(curve.coc_px(truth).astype(np.float32))
    np.testing.assert_allclose(recovered, truth, rtol=1e-4)
    assert recovered.dtype == np.float32


def test_the_other_side_blurs_alike() -> None:
    curve = DSLR.defocus_curve()
    mirror = curve.mirror_depth_m(0.5)
    assert curve.coc_px(mirror) == pytest.approx(float(curve.coc_px(0.5)))
    assert mirror == pytest.approx(1 / (2 / 0.6 - 2.0))
    # Nearer than half the focus distance nothing beyond it is as blurred.
    assert curve.mirror_depth_m(0.29) == float("inf")


def test_more_blur_than_infinity_is_infinity_not_a_negative_depth() -> None:
    curve = DSLR.defocus_curve()
    blur_of_infinity = curve.gain_px_per_dioptre / curve.focus_distance_m
    assert curve.depth_m(np.array([blur_of_infinity * 1.01]))[0] == np.inf


def test_blur_below_the_floor_is_the_focus_distance() -> None:
    curve = DSLR.defocus_curve(blur_floor_px=1.5)
    assert curve.depth_m(np.array([0.4]))[0] == pytest.approx(0.6)


def test_std_follows_the_slope_of_the_curve() -> None:
    curve = DSLR.defocus_curve()
    step = 1e-3
    slope = (curve.depth_m(np.array([10 + step])) - curve.depth_m(np.array([10 - step]))) / (2 * step)
    depth = curve.depth_m(np.array([10.0]))
    assert curve.depth_std_m(depth, np.array([0.3]), np.array([10.0]))[0] == pytest.approx(0.3 * slope[0], rel=1e-4)


def test_resizing_scales_blur_with_the_image() -> None:
    whole = DSLR.defocus_curve(blur_floor_px=1.0)
    half = whole.scaled(0.5)
    assert half.coc_px(1.3) == pytest.approx(0.5 * float(whole.coc_px(1.3)))
    # 0.8 does not average whole pixels: sigma^2 = 0.8^2 / 6 on top.
    assert whole.scaled(0.8).blur_floor_px == pytest.approx(np.sqrt(0.8**2 + 16 * 0.8**2 / 6))
    assert whole.counted_in(0.8).blur_floor_px == pytest.approx(0.8)
    assert whole.scaled(1.0) == whole


def test_aperture_and_calibrated_fx_give_the_same_curve() -> None:
    curve = DefocusCurve.from_aperture(DSLR.fx_px, DSLR.aperture_diameter_mm, 0.6)
    assert curve.gain_px_per_dioptre == pytest.approx(DSLR.defocus_curve().gain_px_per_dioptre)


def test_a_wrong_gain_costs_what_the_equation_says() -> None:
    """10 % on K scales the dioptres from the focus plane by 1/1.1, nothing else."""
    truth = DSLR.defocus_curve()
    wrong = truth.counted_in(1.1)
    depth = wrong.depth_m(truth.coc_px(np.array([2.0])))
    assert 1 / 0.6 - 1 / depth[0] == pytest.approx((1 / 0.6 - 1 / 2.0) / 1.1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"f_number": 0}, "f_number"),
        ({"focus_distance_m": float("nan")}, "focus_distance_m"),
        ({"focus_distance_m": 0.03}, "focal length"),
        ({"pixel_pitch_um": -1}, "pixel_pitch_um"),
        ({"focal_length_mm": 0.035}, "focal_length_mm is 0.035; expected 0.5 to 2000 mm .*metres"),
        ({"focus_distance_m": 1700}, "focus_distance_m is 1700; expected 0.005 to 100 m .*millimetres"),
        ({"focus_distance_m": float("inf")}, "infinity give 100"),
        ({"f_number": 0.1}, "f_number is 0.1; expected 0.5 to 128"),
        ({"pixel_pitch_um": 0.036}, "pixel_pitch_um is 0.036; expected 0.4 to 3000 um .*millimetres"),
    ],
)
def test_impossible_lenses_are_refused_by_name(change: dict[str, float], named: str) -> None:
    settings = dict(focal_length_mm=35.0, f_number=1.4, focus_distance_m=0.6, pixel_pitch_um=56.25)
    with pytest.raises(LensError, match=named):
        Lens(**{**settings, **change})


@pytest.mark.parametrize("gain", [0, -3.0, 12_000, float("nan")])
def test_an_impossible_gain_is_refused_with_its_unit(gain: float) -> None:
    with pytest.raises(LensError, match="gain_px_per_dioptre is .*; expected 0.01 to 10000 px per dioptre"):
        DefocusCurve(gain_px_per_dioptre=gain, focus_distance_m=1)


def test_a_curve_refuses_an_unknown_side_and_a_negative_floor() -> None:
    with pytest.raises(LensError, match="'far' or 'near'"):
        DefocusCurve(gain_px_per_dioptre=10, focus_distance_m=1, side="behind")  # type: ignore[arg-type]
    with pytest.raises(LensError, match="blur_floor_px"):
        DefocusCurve(gain_px_per_dioptre=10, focus_distance_m=1, blur_floor_px=-0.1)


def test_in_focus_band_holds_the_depths_that_look_sharp() -> None:
    curve = DSLR.defocus_curve()
    near, far = curve.in_focus_band_m(1.0)
    assert near < 0.6 < far
    np.testing.assert_allclose(curve.coc_px(np.array([near, far])), 1.0, rtol=1e-9)
