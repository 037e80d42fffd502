# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The thesis pipeline's steps against values worked out by hand, and on real images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_perception.errors import ConfigError, ImageError
from dfd_perception.groundtruth.clean_up import (
    PreprocessingRecipe,
    crop,
    inpaint_depth,
    match_exposure,
    movement_px,
    normalise_pair,
    temporal_mode,
)


@pytest.mark.parametrize(
    ("over_time", "expected"),
    [
        ([0, 1500, 1500, 1501, 900], 1500),
        ([0, 0, 1500], 0),
        ([0, 0, 1500, 1500], 0),  # valid in exactly half: not enough
        ([0, 1500, 1501], 1500),  # a tie: the nearest
        ([7, 7, 9, 9, 9], 9),
        ([0, 0, 0], 0),
        ([800], 800),
    ],
)
def test_mode_of_a_pixel(over_time, expected):
    frames = np.array(over_time, np.uint16).reshape(-1, 1, 1)
    np.testing.assert_array_equal(temporal_mode(np.tile(frames, (1, 2, 3))), np.full((2, 3), expected))


def test_mode_equals_a_plain_count():
    rng = np.random.default_rng(3)
    frames = rng.integers(1000, 1006, (40, 12, 17)).astype(np.uint16)
    frames[rng.random(frames.shape) < 0.4] = 0
    got = temporal_mode(frames)
    for row in range(12):
        for column in range(17):
            values = frames[:, row, column]
            values = values[values > 0]
            expected = 0 if 2 * len(values) <= 40 else np.bincount(values).argmax()
            assert got[row, column] == expected


def test_mode_takes_noise_away():
    rng = np.random.default_rng(0)
    truth = np.full((40, 60), 1500)
    frames = np.rint(truth + rng.normal(0, 3, (41, 40, 60))).astype(np.uint16)
    assert np.abs(temporal_mode(frames) - 1500.0).mean() < 0.7 * np.abs(frames[0] - 1500.0).mean()
    with pytest.raises(ImageError, match="N, H, W"):
        temporal_mode(frames[0])


def test_holes_are_filled_and_told_apart():
    depth = np.tile(np.arange(1000, 1100, dtype=np.uint16), (50, 1))
    holed = depth.copy()
    holed[10:14, 10:14] = 0
    holed[20:45, 50:90] = 0
    everything = inpaint_depth(holed)
    assert (everything.depth_mm > 0).all()
    np.testing.assert_array_equal(everything.measured, holed > 0)
    np.testing.assert_array_equal(everything.depth_mm[everything.measured], depth[everything.measured])
    assert np.abs(everything.depth_mm[10:14, 10:14].astype(int) - depth[10:14, 10:14]).max() <= 3
    small = inpaint_depth(holed, up_to_px=16)
    assert (small.depth_mm[10:14, 10:14] > 0).all()
    assert (small.depth_mm[20:45, 50:90] == 0).all()
    assert (inpaint_depth(np.zeros_like(depth)).depth_mm == 0).all()


def test_every_image_is_cropped_alike():
    images = {"aif": np.zeros((48, 64, 3)), "depth": np.arange(48 * 64).reshape(48, 64)}
    cropped = crop(images, (10, 5, 32, 24))
    assert cropped["aif"].shape == (24, 32, 3)
    assert cropped["depth"][0, 0] == 5 * 64 + 10


def test_both_images_of_a_pair_get_the_same_map():
    rng = np.random.default_rng(1)
    aif = rng.integers(40, 200, (50, 60, 3)).astype(np.uint8)
    defocused = cv2.GaussianBlur(aif, (0, 0), 3)
    bright_defocused, bright_aif = normalise_pair(defocused, aif)
    assert bright_aif.min() == 0
    assert bright_aif.max() == 255
    # A value means the same in both: equal before, equal after.
    table = dict(zip(aif.ravel().tolist(), bright_aif.ravel().tolist(), strict=True))
    assert all(
        table.get(before, after) == after
        for before, after in zip(defocused.ravel(), bright_defocused.ravel(), strict=True)
    )
    flat = np.full((4, 4, 3), 9, np.uint8)
    np.testing.assert_array_equal(normalise_pair(flat, flat)[0], flat)


def test_movement_is_found_through_defocus(shared_data: Path):
    aif = cv2.imread(str(shared_data / "rgbd" / "azure_kinect_pyk4a" / "rgb.png"))[..., ::-1]
    defocused = cv2.convertScaleAbs(cv2.GaussianBlur(aif, (0, 0), 4), alpha=0.8)
    assert movement_px(aif, defocused) < 1.0
    moved = np.roll(defocused, (3, -5), axis=(0, 1))
    assert movement_px(aif, moved) == pytest.approx(np.hypot(3, 5), abs=1.0)


def test_impossible_recipes_are_refused():
    with pytest.raises(ConfigError, match="denoise_frames"):
        PreprocessingRecipe(denoise_frames=0)
    with pytest.raises(ConfigError, match="inpaint"):
        PreprocessingRecipe(inpaint_up_to_px=-2)


def test_exposure_of_another_camera_is_matched(shared_data: Path):
    sharp = cv2.imread(str(shared_data / "rgbd" / "azure_kinect_pyk4a" / "rgb.png"))[::2, ::2, ::-1]
    reference = cv2.GaussianBlur(sharp, (0, 0), 3)
    other = np.clip(sharp * np.array([0.6, 0.7, 0.5]) + np.array([20, 5, 10]), 0, 255).astype(np.uint8)
    visible = np.ones(sharp.shape[:2], bool)
    visible[100:200, 200:300] = False
    matched = match_exposure(np.where(visible[..., None], other, 0), reference, visible)
    error = np.abs(matched[visible].astype(int) - sharp[visible])
    assert np.median(error) <= 2
    assert np.median(np.abs(other[visible].astype(int) - sharp[visible])) > 20


def test_in_painting_does_not_mix_depths_across_a_step():
    """1 m beside 3 m with a hole over the border: nothing lies between."""
    depth = np.full((40, 60), 1000, np.uint16)
    depth[:, 30:] = 3000
    holed = depth.copy()
    holed[8:32, 24:37] = 0
    filled = inpaint_depth(holed).depth_mm
    assert set(np.unique(filled)) == {1000, 3000}
    np.testing.assert_array_equal(filled[:, :24], depth[:, :24])


def test_in_painting_joins_a_slope_smoothly():
    x, y = np.meshgrid(np.arange(80), np.arange(60))
    plane = np.rint(1500 + 4.0 * x - 3.0 * y).astype(np.uint16)
    holed = plane.copy()
    holed[20:40, 30:52] = 0
    error = np.abs(inpaint_depth(holed).depth_mm.astype(int) - plane)
    assert error.max() <= 6
    assert np.median(error[20:40, 30:52]) <= 3
