# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""K, F and floor come back from readings at known distances; what cannot be fitted is refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.calibration.blur_readings import BlurReading
from dfd_perception.calibration.fit_image import fit_image
from dfd_perception.calibration.lens_fit import fit_lens
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.raster_axes import BLUE, ORANGE, SOFT
from dfd_perception.errors import CalibrationError

CURVE = DefocusCurve(gain_px_per_dioptre=14.2, focus_distance_m=0.7, blur_floor_px=1.8)


def _readings(distances_m: np.ndarray, std_px: float = 0.2, curve: DefocusCurve = CURVE) -> list[BlurReading]:
    rng = np.random.default_rng(1)
    blur = curve.coc_px(distances_m) + std_px * rng.standard_normal(distances_m.size)
    return [
        BlurReading(float(d), float(b), std_px, f"image {i}")
        for i, (d, b) in enumerate(zip(distances_m, blur, strict=True))
    ]


def test_a_lens_comes_back_from_distances_beyond_its_focus() -> None:
    fit = fit_lens(_readings(np.geomspace(0.8, 4.0, 14)), typical_floor_px=1.5)
    assert fit.curve.side == "far"
    assert fit.curve.gain_px_per_dioptre == pytest.approx(14.2, rel=0.03)
    assert fit.curve.focus_distance_m == pytest.approx(0.7, rel=0.03)
    assert fit.curve.blur_floor_px == pytest.approx(1.8, abs=0.6)
    assert fit.faults == ()
    assert abs(fit.curve.gain_px_per_dioptre - 14.2) < 3 * fit.gain_std
    assert abs(fit.curve.focus_distance_m - 0.7) < 3 * fit.focus_std_m


def test_distances_across_the_focus_give_the_floor_too() -> None:
    fit = fit_lens(_readings(np.geomspace(0.5, 2.5, 20)), typical_floor_px=3.0)
    assert fit.curve.blur_floor_px == pytest.approx(1.8, abs=0.2)
    assert fit.curve.focus_distance_m == pytest.approx(0.7, rel=0.02)


def test_distances_before_the_focus_are_the_near_side() -> None:
    far_focus = DefocusCurve(gain_px_per_dioptre=10.0, focus_distance_m=3.0, side="near", blur_floor_px=1.0)
    fit = fit_lens(_readings(np.geomspace(0.5, 2.4, 14), curve=far_focus), typical_floor_px=1.0)
    assert fit.curve.side == "near"
    assert fit.curve.gain_px_per_dioptre == pytest.approx(10.0, rel=0.05)
    assert fit.curve.focus_distance_m == pytest.approx(3.0, rel=0.15)


def test_a_fifth_of_wild_readings_does_not_matter() -> None:
    readings = _readings(np.geomspace(0.75, 4.0, 20))
    for i in (3, 9, 13, 18):
        readings[i] = readings[i]._replace(blur_px=readings[i].blur_px + 6)
    fit = fit_lens(readings, typical_floor_px=1.5)
    assert fit.curve.gain_px_per_dioptre == pytest.approx(14.2, rel=0.05)


def test_a_model_without_floor_is_fitted_without() -> None:
    no_floor = DefocusCurve(gain_px_per_dioptre=14.2, focus_distance_m=0.7)
    fit = fit_lens(_readings(np.geomspace(0.75, 4.0, 14), curve=no_floor), has_floor=False)
    assert fit.curve.blur_floor_px == 0
    assert fit.curve.focus_distance_m == pytest.approx(0.7, rel=0.03)


@pytest.mark.parametrize(
    ("distances_m", "says"),
    [
        ([1.0, 1.01, 1.0, 1.02], "readings at 1 distance; expected 4 or more"),
        ([1.0, 1.05, 1.1, 1.15, 1.2], "blur changes by .* expected 2 px or more"),
    ],
)
def test_too_few_and_too_similar_distances_are_refused(distances_m: list[float], says: str) -> None:
    weak = DefocusCurve(gain_px_per_dioptre=5.0, focus_distance_m=0.7, blur_floor_px=1.0)
    with pytest.raises(CalibrationError, match=says):
        fit_lens(_readings(np.array(distances_m), std_px=0.02, curve=weak))


def test_a_poor_fit_says_why() -> None:
    """Noise of 2.5 px on six distances."""
    fit = fit_lens(_readings(np.geomspace(1.2, 3.0, 6), std_px=2.5), typical_floor_px=1.5)
    assert fit.faults
    assert any("+-" in fault for fault in fit.faults)


def test_the_chart_shows_readings_and_curve() -> None:
    fit = fit_lens(_readings(np.geomspace(0.8, 4.0, 14)), typical_floor_px=1.5)
    chart = fit_image(fit, DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6))
    colours = {tuple(c) for c in np.unique(chart.reshape(-1, 3), axis=0)}
    assert {BLUE, ORANGE, SOFT} <= colours
