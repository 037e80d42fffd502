# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Colours of depth, blur and std: fixed where a topic needs it, fitted to the scene everywhere else."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.colormap import (
    DEFAULT_RANGE_M,
    ColourScale,
    blur_scale,
    fixed_depth_scale,
    legend,
    scene_depth_scale,
    std_scale,
)
from dfd_perception.errors import ConfigError

TOPIC_SCALE = fixed_depth_scale(DEFAULT_RANGE_M)


def test_a_distance_has_one_colour_in_every_frame():
    near_scene = TOPIC_SCALE.colours(np.array([[0.5, 1.0]], np.float32))
    far_scene = TOPIC_SCALE.colours(np.array([[1.0, 9.0]], np.float32))
    assert np.array_equal(near_scene[0, 1], far_scene[0, 0])
    assert not np.array_equal(near_scene[0, 0], far_scene[0, 1])


def test_warm_is_near_cold_is_far_black_is_nothing():
    colours = TOPIC_SCALE.colours(np.array([[0.11, 9.5, np.nan, np.inf, -1.0]], np.float32)).astype(int)
    red, green, blue = colours[0, 0]
    assert red > blue
    red, green, blue = colours[0, 1]
    assert blue > red
    assert not colours[0, 2:].any()


def test_outside_of_the_range_the_end_colours():
    colours = fixed_depth_scale((1.0, 4.0)).colours(np.array([[0.2, 1.0, 4.0, 9.0]], np.float32))
    assert np.array_equal(colours[0, 0], colours[0, 1])
    assert np.array_equal(colours[0, 2], colours[0, 3])


def test_the_legend_shows_the_same_colours():
    scale = fixed_depth_scale((0.5, 4.0))
    bar = legend(400, scale)
    assert bar.shape == (48, 400, 3)
    near, far = scale.colours(np.array([[0.5, 4.0]], np.float32))[0]
    assert np.array_equal(bar[10, 24], near)
    assert np.array_equal(bar[10, 375], far)


def test_blur_grows_brighter_and_no_value_is_black():
    colours = blur_scale(np.full((2, 2), 20, np.float32)).colours(np.array([[0.0, 5.0, 20.0, np.nan]], np.float32))
    brightness = colours.astype(int).sum(2)[0]
    assert 0 < brightness[0] < brightness[1] < brightness[2]
    assert brightness[3] == 0


@pytest.mark.parametrize("palette", ["depth", "blur", "std"])
def test_what_is_beyond_the_scale_has_its_end_colour_not_that_of_no_value(palette):
    scale = ColourScale(0.5, 2.0, palette=palette)
    first, last, beyond, below = scale.colours(np.array([[0.5, 2.0, 9.0, 0.1]], np.float32))[0]
    assert np.array_equal(last, beyond)
    assert np.array_equal(first, below)
    assert last.any()
    assert first.any()


def test_a_table_top_gets_all_colours_on_a_linear_scale():
    depth_m = np.linspace(0.62, 1.18, 10_000, dtype=np.float32).reshape(100, 100)
    depth_m[0, :20] = (9.0, np.nan) * 10  # less than 2 %: a hole in the wall does not squeeze the table into one colour
    scale = scene_depth_scale(depth_m)
    assert not scale.logarithmic
    assert 0.6 <= scale.low <= 0.65
    assert 1.15 <= scale.high <= 1.2
    red, _, blue = scale.colours(np.array([[0.64]], np.float32))[0, 0].astype(int)
    assert red > blue
    red, _, blue = scale.colours(np.array([[1.16]], np.float32))[0, 0].astype(int)
    assert blue > red


def test_a_deep_scene_is_logarithmic_and_rounded_outwards():
    depth_m = np.geomspace(0.5137, 6.83, 10_000).astype(np.float32).reshape(100, 100)
    scale = scene_depth_scale(depth_m)
    low, high = np.percentile(depth_m, (2, 98))
    assert scale.logarithmic
    assert low - 0.011 < scale.low <= low
    assert high <= scale.high < high + 0.11
    middle = np.sqrt(scale.low * scale.high)
    assert scale.place(float(middle)) == pytest.approx(0.5)


def test_maps_that_are_compared_share_one_scale():
    both = scene_depth_scale(np.full((4, 4), 1.0), np.full((4, 4), 2.0))
    assert both.low <= 1.0
    assert both.high >= 2.0


def test_a_plane_and_nothing_at_all_have_a_scale_too():
    plane = scene_depth_scale(np.full((4, 4), 1.0))
    assert plane.low < 1.0 < plane.high
    nothing = scene_depth_scale(np.full((4, 4), np.nan))
    assert (nothing.low, nothing.high) == DEFAULT_RANGE_M
    assert std_scale(np.full((4, 4), np.nan)).high > 0


def test_few_far_pixels_do_not_take_the_colours_of_std_from_the_others():
    near = np.full((10, 10), 0.1, np.float32)
    assert std_scale(near).high == pytest.approx(0.1)
    far = near.copy()
    far[:1] = 9.0
    assert std_scale(far).high == pytest.approx(0.4)
    assert blur_scale(far).high == pytest.approx(9.0)


@pytest.mark.parametrize(
    "scale",
    [ColourScale(0.62, 1.18), ColourScale(0.1, 10.0, logarithmic=True), ColourScale(0.0, 27.0, "px", palette="blur")],
)
def test_ticks_are_round_values_with_their_unit_in_their_place(scale):
    ticks = scale.ticks()
    assert 3 <= len(ticks) <= 9
    for place, text in ticks:
        number, unit = text.split()
        assert unit == scale.unit
        assert scale.value_at(place) == pytest.approx(float(number), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("range_m", [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf"))])
def test_an_impossible_range_is_refused(range_m):
    with pytest.raises(ConfigError, match="0 < near < far"):
        fixed_depth_scale(range_m)
