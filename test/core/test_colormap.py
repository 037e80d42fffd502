"""A colour stands for one distance, whatever else is in the frame."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.colormap import colour_defocus, colour_depth, legend
from dfd_perception.errors import ConfigError


def test_a_distance_has_one_colour_in_every_frame():
    near_scene = colour_depth(np.array([[0.5, 1.0]], np.float32))
    far_scene = colour_depth(np.array([[1.0, 9.0]], np.float32))
    assert np.array_equal(near_scene[0, 1], far_scene[0, 0])
    assert not np.array_equal(near_scene[0, 0], far_scene[0, 1])


def test_warm_is_near_cold_is_far_black_is_nothing():
    colours = colour_depth(np.array([[0.11, 9.5, np.nan, np.inf, -1.0]], np.float32)).astype(int)
    red, green, blue = colours[0, 0]
    assert red > blue
    red, green, blue = colours[0, 1]
    assert blue > red
    assert not colours[0, 2:].any()


def test_outside_of_the_range_the_end_colours():
    colours = colour_depth(np.array([[0.2, 1.0, 4.0, 9.0]], np.float32), (1.0, 4.0))
    assert np.array_equal(colours[0, 0], colours[0, 1])
    assert np.array_equal(colours[0, 2], colours[0, 3])


def test_the_legend_shows_the_same_colours():
    bar = legend(400, (0.5, 4.0))
    assert bar.shape == (48, 400, 3)
    near, far = colour_depth(np.array([[0.5, 4.0]], np.float32), (0.5, 4.0))[0]
    assert np.array_equal(bar[10, 24], near)
    assert np.array_equal(bar[10, 375], far)


def test_defocus_grows_brighter():
    colours = colour_defocus(np.array([[0.0, 5.0, 20.0, np.nan]], np.float32), 20.0).astype(int).sum(2)[0]
    assert colours[0] < colours[1] < colours[2]
    assert colours[3] == colours[0]


@pytest.mark.parametrize("range_m", [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf"))])
def test_an_impossible_range_is_refused(range_m):
    with pytest.raises(ConfigError, match="0 < near < far"):
        colour_depth(np.ones((1, 1), np.float32), range_m)
