# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.augmentation import Augmentation, cropped, flipped
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.errors import ConfigError, DatasetError

CURVE = DefocusCurve(gain_px_per_dioptre=10.0, focus_distance_m=0.6)


def _sample(height: int = 20, width: int = 28) -> DefocusSample:
    """Every part holds its own column and row, so that a part that moves alone is seen."""
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([columns, rows, columns + rows], -1).astype(np.uint8)
    code = (columns + 100 * rows).astype(np.float32)
    camera = CameraIntrinsics(width=width, height=height, fx=30.0, fy=31.0, cx=12.0, cy=9.0)
    return DefocusSample(
        name="s", defocused=image, aif=image.copy(), depth_m=code + 1, coc_px=code, camera=camera, curve=CURVE
    )


def _ray_of(sample: DefocusSample, code: float) -> tuple[float, float]:
    row, column = np.argwhere(sample.coc_px == code)[0]
    camera = sample.camera
    return (column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy


def test_a_crop_keeps_the_ray_of_every_pixel() -> None:
    sample = _sample()
    window = cropped(sample, x=7, y=5, width=12, height=9)
    assert window.size == (9, 12)
    assert _ray_of(window, 1015.0) == pytest.approx(_ray_of(sample, 1015.0))
    assert window.curve == CURVE


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirror_image_mirrors_the_rays(axis: int) -> None:
    sample = _sample()
    mirrored = flipped(sample, axis)
    x, y = _ray_of(sample, 1015.0)
    assert _ray_of(mirrored, 1015.0) == pytest.approx((-x, y) if axis == 1 else (x, -y))
    assert flipped(mirrored, axis).camera == sample.camera
    np.testing.assert_array_equal(flipped(mirrored, axis).defocused, sample.defocused)


def test_all_parts_move_together_and_by_seed() -> None:
    augmentation = Augmentation(crop_px=(16, 18), flip_x=0.5, flip_y=0.5)
    seen = set()
    for seed in range(20):
        changed = augmentation(_sample(), np.random.default_rng(seed))
        again = augmentation(_sample(), np.random.default_rng(seed))
        np.testing.assert_array_equal(changed.defocused, again.defocused)
        columns, rows = changed.coc_px % 100, changed.coc_px // 100
        np.testing.assert_array_equal(changed.defocused[..., 0], columns)
        np.testing.assert_array_equal(changed.aif[..., 1], rows)
        np.testing.assert_array_equal(changed.depth_m, changed.coc_px + 1)
        seen.add(tuple(changed.coc_px[0, :2]))
    assert len(seen) > 10


def test_light_changes_keep_blur_depth_and_lens() -> None:
    sample = _sample()
    augmentation = Augmentation(flip_x=0, exposure_stops=1.0, white_balance=0.1)
    changed = augmentation(sample, np.random.default_rng(1))
    assert (changed.defocused != sample.defocused).any()
    # The same factors on both images: here they were equal, and stay so.
    np.testing.assert_array_equal(changed.defocused, changed.aif)
    assert changed.depth_m is sample.depth_m
    assert changed.coc_px is sample.coc_px
    assert changed.curve == sample.curve
    noisy = Augmentation(flip_x=0, full_well_e=500)(sample, np.random.default_rng(1))
    assert (noisy.defocused != sample.defocused).any()
    assert np.abs(noisy.aif.astype(int) - sample.aif).max() <= 1


def test_a_crop_larger_than_the_image_and_impossible_settings_are_refused() -> None:
    with pytest.raises(DatasetError, match="smaller than the crop of 40 x 16"):
        Augmentation(crop_px=(16, 40))(_sample(), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="flip_x"):
        Augmentation(flip_x=1.5)
    with pytest.raises(ConfigError, match="white_balance"):
        Augmentation(white_balance=1.0)
