# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a lens leaves possible, as a log-prior over bins of blur."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.blur_bins import UNLIKELY, bin_centres_px, blur_log_prior, possible_blur_px
from dfd_perception.core.optics import DefocusCurve

CURVE = DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6)


def test_bins_run_from_sharp_to_the_widest_blur_and_grow_with_it():
    centres_px = bin_centres_px(28)
    assert centres_px[0] == 0
    assert centres_px[-1] == pytest.approx(48, rel=1e-6)
    steps = np.diff(centres_px)
    assert np.all(np.diff(steps) > 0)
    assert steps[0] == pytest.approx(0.288, abs=0.01)


def test_beyond_focus_nothing_blurs_more_than_infinity():
    low_px, high_px = possible_blur_px(CURVE, 0.0, float("inf"))
    assert low_px == pytest.approx(0, abs=1e-9)
    assert high_px == pytest.approx(27.5)
    prior = blur_log_prior(CURVE, 28)[0, :, 0, 0]
    centres_px = bin_centres_px(28)
    assert np.all(prior[centres_px <= 27.5] == 0)
    assert prior[-1] == UNLIKELY
    assert np.all(np.diff(prior) <= 0)


def test_the_working_range_narrows_it_on_both_ends():
    # 16.5 (1/0.6 - 1/1) = 11 px and 16.5 (1/0.6 - 1/3) = 22 px.
    assert possible_blur_px(CURVE, 1.0, 3.0) == pytest.approx((11.0, 22.0))
    prior = blur_log_prior(CURVE, 28, 1.0, 3.0)[0, :, 0, 0]
    centres_px = bin_centres_px(28)
    assert np.all(prior[(centres_px >= 11) & (centres_px <= 22)] == 0)
    assert prior[0] < -5
    assert prior[-1] < -5


def test_the_floor_raises_both_ends():
    curve = DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6, blur_floor_px=2.0)
    low_px, high_px = possible_blur_px(curve, 0.0, float("inf"))
    assert low_px == pytest.approx(2.0)
    assert high_px == pytest.approx(np.hypot(27.5, 2.0))


def test_before_focus_the_nearest_depth_is_the_bound():
    curve = DefocusCurve(gain_px_per_dioptre=10.0, focus_distance_m=1.0, side="near")
    assert possible_blur_px(curve, 0.5, 10.0) == pytest.approx((0.0, 10.0))
    assert possible_blur_px(curve, 0.0, 10.0)[1] > 1000


@pytest.mark.parametrize("depths_m", [(0.1, 0.4), (0.1, 0.59)])
def test_a_range_on_the_other_side_says_nothing(depths_m):
    assert possible_blur_px(CURVE, *depths_m) == (0.0, float("inf"))
    assert not blur_log_prior(CURVE, 28, *depths_m).any()


def test_no_lens_is_no_prior():
    prior = blur_log_prior(None, 28)
    assert prior.shape == (1, 28, 1, 1)
    assert not prior.any()
