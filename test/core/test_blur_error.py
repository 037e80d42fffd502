# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.blur_error import BlurError, BlurErrorBin, stated_blur_error
from dfd_perception.core.lens_outlook import outlook
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.errors import ModelError

BINS = [{"from_px": 0.0, "to_px": 2.0, "mae_px": 0.4}, {"from_px": 2.0, "to_px": 6.0, "mae_px": 1.0}]


def test_the_error_of_a_reading_lies_between_those_of_its_bins() -> None:
    error = BlurError(3.8, (BlurErrorBin(0, 2, 0.4), BlurErrorBin(2, 6, 1.0)))
    assert error.at(np.array([0.0, 1.0, 2.0, 4.0, 40.0])) == pytest.approx([0.4, 0.4, 0.7, 1.0, 1.0])
    assert BlurError(3.8).at(np.array([0.0, 40.0])) == pytest.approx([3.8, 3.8])
    assert (error.in_words(), BlurError(3.8).in_words()) == ("0.4 px to 1 px, depending on the blur", "3.8 px")


def test_the_error_has_no_kink_and_does_not_overshoot() -> None:
    """Straight pieces between the bins were seen as kinks in the accuracy that `dfd lens` draws."""
    heights = (0.76, 1.14, 1.86, 2.5, 3.1)
    error = BlurError(2.0, tuple(BlurErrorBin(1.5 * 2**i, 3.0 * 2**i, height) for i, height in enumerate(heights)))
    for centre_px in (2.25, 4.5, 9.0, 18.0, 36.0):
        step_px = 1e-4 * centre_px
        before, here, after = error.at(np.array([centre_px - step_px, centre_px, centre_px + step_px]))
        assert after - here == pytest.approx(here - before, abs=1e-6)
    through = error.at(np.array([2.25, 4.5, 9.0, 18.0, 36.0]))
    assert through == pytest.approx(heights)
    assert (np.diff(error.at(np.linspace(0.0, 60.0, 500))) >= -1e-12).all()
    valley = BlurError(1.0, (BlurErrorBin(1, 3, 2.0), BlurErrorBin(3, 5, 0.5), BlurErrorBin(5, 11, 3.0)))
    assert valley.at(np.linspace(0.0, 12.0, 500)).min() == pytest.approx(0.5, abs=1e-4)


def test_a_card_states_it_wherever_in_its_metrics() -> None:
    stated = stated_blur_error({"validation": {"defocus.mae": 3.8, "defocus.by_blur": BINS[::-1]}, "protocol": "24"})
    assert stated == BlurError(3.8, (BlurErrorBin(0, 2, 0.4), BlurErrorBin(2, 6, 1.0)))
    assert stated_blur_error({"validation": {"defocus.mae": 3.8}}) == BlurError(3.8)
    assert stated_blur_error({"validation": {"depth.rmse_m": 0.2}, "protocol": "12 images"}) is None


IMPOSSIBLE = ["0.4", 0.4, [0.4], [{"from_px": 0}], [BINS[0] | {"to_px": 0}], [BINS[0] | {"mae_px": -1}]]


@pytest.mark.parametrize("rows", IMPOSSIBLE)
def test_bins_that_cannot_be_are_refused(rows) -> None:
    with pytest.raises(ModelError, match=r"defocus.by_blur|bin"):
        stated_blur_error({"defocus.mae": 3.8, "defocus.by_blur": rows})


def test_the_accuracy_of_depth_is_that_of_its_blur_with_the_floor_in_quadrature() -> None:
    """K 10, F 0.5, floor 7.5 at 1 m: c = 10, R = 12.5, std_c = std_R R / c, std_d = 1^2 std_c / 10."""
    curve = DefocusCurve(gain_px_per_dioptre=10.0, focus_distance_m=0.5, blur_floor_px=7.5)
    error = BlurError(3.8, (BlurErrorBin(0, 2, 0.4), BlurErrorBin(11, 14, 0.9), BlurErrorBin(14, 20, 2.0)))
    row = outlook(curve, error, [1.0])[0]
    assert row.std_m == pytest.approx(0.9 * 12.5 / 10 / 10, rel=1e-9)
