# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From a description of a lens to its curve: which number wins, and what is refused."""

from __future__ import annotations

import pytest

from dfd_perception.core.lens import LensDescription
from dfd_perception.errors import LensError

SHEET = LensDescription(focal_length_mm=35, f_number=1.4, focus_distance_m=0.6, pixel_pitch_um=56.25)


def test_fx_of_the_images_wins_over_the_pitch_and_the_user_is_told() -> None:
    """525 px x 25 mm = 13.125 px per dioptre; the pitch alone says 16.52."""
    resolved = SHEET.resolved(525.0)
    assert resolved.curve.gain_px_per_dioptre == pytest.approx(13.125)
    assert resolved.lens is not None
    assert resolved.lens.fx_px == pytest.approx(525.0)
    assert resolved.lens.defocus_curve().gain_px_per_dioptre == pytest.approx(13.125)
    (note,) = resolved.notes
    assert "525.0 px" in note
    assert "660.8 px (+26%)" in note
    assert "\n" not in note
    assert SHEET.resolved(655.0).notes == ()
    assert SHEET.resolved().notes == ()


def test_an_aperture_needs_fx_and_the_message_says_how_to_give_it() -> None:
    lens = LensDescription(aperture_diameter_mm=25, focus_distance_m=0.6)
    assert lens.resolved(660.0).curve.gain_px_per_dioptre == pytest.approx(16.5)
    assert lens.resolved(660.0).lens is None
    with pytest.raises(LensError, match=r"--fx.*focal_length_mm and pixel_pitch_um"):
        lens.resolved()


def test_a_calibrated_floor_wins_over_the_typical_one() -> None:
    assert SHEET.resolved(floor_px=1.6).curve.blur_floor_px == 1.6
    calibrated = LensDescription(aperture_diameter_mm=25, focus_distance_m=0.6, blur_floor_px=0.0)
    assert calibrated.resolved(660.0, floor_px=1.6).curve.blur_floor_px == 0.0


def test_a_description_fitted_to_a_camera_says_one_thing() -> None:
    fitted = SHEET.fitted_to(525.0)
    assert fitted.resolved().curve.gain_px_per_dioptre == pytest.approx(13.125)
    assert fitted.resolved(525.0).notes == ()
    assert fitted.pixel_pitch_um == pytest.approx(70.80, abs=0.01)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"focal_length_mm": 0.035}, "focal_length_mm is 0.035; expected 0.5 to 2000 mm"),
        ({"focus_distance_m": 1700.0}, "focus_distance_m is 1700; expected 0.005 to 100 m"),
        ({"f_number": 0.1}, "f_number is 0.1"),
        ({"pixel_pitch_um": 0.036}, "pixel_pitch_um is 0.036; expected 0.4 to 3000 um"),
        ({"focus_distance_m": 0.03}, "beyond the focal length"),
    ],
)
def test_slips_of_units_are_refused_when_the_lens_is_read(change: dict[str, float], named: str) -> None:
    settings = {"focal_length_mm": 35.0, "f_number": 1.4, "focus_distance_m": 0.6, "pixel_pitch_um": 56.25}
    with pytest.raises(LensError, match=named):
        LensDescription(**{**settings, **change})


@pytest.mark.parametrize("fx_px", [0.0, -525.0, 3.2, float("nan")])
def test_a_focal_length_in_pixels_that_cannot_be_is_refused(fx_px: float) -> None:
    with pytest.raises(LensError, match="fx_px"):
        SHEET.resolved(fx_px)


def test_a_gain_that_cannot_be_is_refused() -> None:
    long_lens = LensDescription(focal_length_mm=400, f_number=2.8, focus_distance_m=5, pixel_pitch_um=3)
    with pytest.raises(LensError, match="gain_px_per_dioptre is 20.*10000 px per dioptre"):
        long_lens.resolved()
