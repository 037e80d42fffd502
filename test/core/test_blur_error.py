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
    assert error.at(np.array([0.0, 1.0, 2.5, 4.0, 40.0])) == pytest.approx([0.4, 0.4, 0.7, 1.0, 1.0])
    assert BlurError(3.8).at(np.array([0.0, 40.0])) == pytest.approx([3.8, 3.8])
    assert (error.in_words(), BlurError(3.8).in_words()) == ("0.4 px to 1 px, by the blur", "3.8 px")


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
    """K 10, F 0.5, floor 3 at 1 m: c = 10, R = sqrt(109), std_c = std_R R / c, std_d = 1^2 std_c / 10."""
    curve = DefocusCurve(gain_px_per_dioptre=10.0, focus_distance_m=0.5, blur_floor_px=3.0)
    error = BlurError(3.8, (BlurErrorBin(0, 2, 0.4), BlurErrorBin(8, 12, 0.9), BlurErrorBin(12, 20, 2.0)))
    row = outlook(curve, error, [1.0])[0]
    image_px = np.sqrt(109.0)
    blur_std_px = 0.9 + (2.0 - 0.9) * (image_px - 10) / (16 - 10)
    assert row.std_m == pytest.approx(blur_std_px * image_px / 10 / 10, rel=1e-9)
