# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from dfd_perception.metrics.blur_map import BorderSums, border_sums


def step(height=6.0):
    truth = np.zeros((64, 64), np.float32)
    truth[:, 32:] = height
    return truth


def test_the_truth_itself_has_all_of_its_gradient():
    sums = border_sums(step(), step())

    assert sums.share == pytest.approx(1.0)
    assert sums.share_along == pytest.approx(1.0)
    assert sums.pixels > 0


def test_half_the_step_is_half_the_gradient():
    assert border_sums(step(3.0), step()).share == pytest.approx(0.5)


def test_a_flat_answer_has_none():
    assert border_sums(np.full((64, 64), 3.0), step()).share == 0.0


def test_noise_counts_less_along_the_true_gradient():
    noise = np.random.default_rng(0).normal(0, 1, (64, 64))

    sums = border_sums(noise, step())

    assert abs(sums.share_along) < 0.5 * sums.share


def test_a_slanted_surface_has_no_border():
    slope = np.tile(np.arange(64) * 0.2, (64, 1))

    assert border_sums(slope, slope).pixels == 0


def test_holes_of_the_truth_make_no_border():
    truth = step()
    truth[:, 20:44] = np.nan

    assert border_sums(step(), truth).pixels == 0


def test_sums_of_images_add_up():
    one = border_sums(step(3.0), step())

    assert one.plus(one).share == pytest.approx(one.share)
    assert np.isnan(BorderSums().share)
