# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from dfd_perception.metrics.blur_map import PlaidPower, plaid_power


def scene(seed=0):
    """Smooth noise: what a blur map looks like without any pattern."""
    rng = np.random.default_rng(seed)
    return np.cumsum(np.cumsum(rng.normal(0, 0.01, (256, 384)), 0), 1) * 0.05


def test_a_map_without_a_pattern_has_no_line():
    assert plaid_power(scene()).ratio == pytest.approx(1.0, abs=0.4)


@pytest.mark.parametrize("amplitude", [0.02, 0.2])
def test_the_amplitude_of_a_pattern_is_found_under_a_scene(amplitude):
    y, x = np.mgrid[:256, :384]
    pattern = amplitude * (np.cos(2 * np.pi * x / 8) + np.cos(2 * np.pi * y / 8))

    found = plaid_power(scene() + pattern)

    assert found.amplitude == pytest.approx(amplitude, rel=0.15)
    assert found.ratio > 5


def test_another_period_is_not_taken_for_it():
    _, x = np.mgrid[:256, :384]

    assert plaid_power(np.cos(2 * np.pi * x / 16), 8).line < 1e-6


def test_a_map_too_small_for_a_spectrum_gives_nothing():
    assert plaid_power(np.zeros((40, 40))) == PlaidPower()
    assert np.isnan(PlaidPower().ratio)
