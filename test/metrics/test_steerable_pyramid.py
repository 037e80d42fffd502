# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.metrics.edges import build_pyramid


@pytest.mark.parametrize("shape", [(64, 64), (48, 64), (61, 75), (33, 90)])
@pytest.mark.parametrize(("levels", "orientations"), [(2, 4), (3, 6)])
def test_highpass_bands_and_lowpass_hold_all_energy(shape: tuple[int, int], levels: int, orientations: int) -> None:
    # A tight frame: at every level the squares of the transfer functions add up to one, so energies do (Parseval).
    image = np.random.default_rng(1).random(shape)
    pyramid = build_pyramid(image, levels, orientations)
    planes = [pyramid.highpass, *(band for level in pyramid.bands for band in level), pyramid.lowpass]
    # A smaller plane keeps the values of its frequencies: the mean square of fewer pixels counts by its share.
    energy = sum((plane**2).sum() * plane.size / image.size for plane in planes)
    assert energy == pytest.approx((image**2).sum(), rel=1e-12)


def test_sub_band_energies_are_those_of_pyrtools() -> None:
    # pyrtools 1.1.1: SteerablePyramidFreq(image, height=2, order=3), standard deviations of the sub-bands.
    pyramid = build_pyramid(np.random.default_rng(0).random((48, 64)))
    expected = [[0.080106, 0.076786, 0.080616, 0.080026], [0.155082, 0.145935, 0.148108, 0.148121]]
    np.testing.assert_allclose([[band.std() for band in level] for level in pyramid.bands], expected, atol=2e-6)


def test_sizes_and_the_orientation_that_answers_to_a_vertical_edge() -> None:
    image = np.zeros((64, 80))
    image[:, 40:] = 1
    pyramid = build_pyramid(image)
    assert [band[0].shape for band in pyramid.bands] == [(64, 80), (32, 40)]
    for level in pyramid.bands:
        energies = [float((band**2).sum()) for band in level]
        assert energies[0] > 5 * max(energies[1:])


def test_a_constant_has_no_band() -> None:
    pyramid = build_pyramid(np.full((32, 40), 3.0))
    assert max(np.abs(band).max() for level in pyramid.bands for band in level) < 1e-9
