# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Pairs of known shift, exposure and blur, photographed by the simulator."""

import cv2
import numpy as np
import pytest

from dfd_perception.core.point_spread import DISK
from dfd_perception.core.sensor import (
    SensorNoise,
    encoded_from_linear,
    jpeg_round_trip,
    linear_from_encoded,
    uint8_from_encoded,
)
from dfd_perception.errors import DatasetError
from dfd_perception.evaluation.aperture_pairs.alignment import align_pair
from dfd_perception.evaluation.aperture_pairs.reference_blur import reference_blur

SIZE = (240, 320)


def light(seed=0, size=SIZE):
    """Textured surfaces, linear light."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.random((size[0] // n, size[1] // n, 3), np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
        for n in (2, 5, 16, 60)
    ]
    return np.clip(0.25 * sum(layers), 0.01, 0.9).astype(np.float32)


def blurred(linear, coc_px):
    kernel = DISK.kernel(coc_px)
    return linear if kernel.size == 1 else cv2.filter2D(linear, -1, kernel, borderType=cv2.BORDER_REFLECT)


def shot(linear, seed):
    """What the camera stores."""
    noisy = SensorNoise(full_well_e=6000, read_noise=0.002).added_to(linear, np.random.default_rng(seed))
    return jpeg_round_trip(uint8_from_encoded(encoded_from_linear(noisy)), 94)


def pair(coc_px, shift=(0.0, 0.0), exposure=1.0, seed=0):
    sharp = light(seed)
    wide = shot(blurred(sharp, coc_px), 1)
    warp = np.float32([[1, 0, shift[0]], [0, 1, shift[1]]])
    moved = cv2.warpAffine(sharp, warp, SIZE[::-1], flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    return wide, shot(np.clip(moved * exposure, 0, 1), 2)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.4, -2.2), (-5.6, 1.0)])
def test_shift_and_exposure_are_found_under_blur(shift):
    wide, narrow = pair(4.0, shift, exposure=0.8)

    aligned = align_pair(wide, narrow)

    assert aligned.shift_px == pytest.approx(np.hypot(*shift), abs=0.25)
    assert aligned.gain == pytest.approx((1.25,) * 3, rel=0.03)
    # Noise and JPEG of the narrow image stay.
    assert np.abs(aligned.narrow - light())[20:-20, 20:-20].mean() < 0.035


@pytest.mark.parametrize("coc_px", [2.0, 3.3, 5.0, 8.0])
def test_the_disk_between_the_images_is_measured(coc_px):
    wide, narrow = pair(coc_px, (2.5, 1.5), exposure=0.9)
    aligned = align_pair(wide, narrow)

    reference = reference_blur(linear_from_encoded(wide.astype(np.float32) / 255), aligned.narrow, aligned.valid)

    assert len(reference) > 100
    assert np.median(reference.diameter_px) == pytest.approx(coc_px, abs=0.25)


def test_nothing_is_measured_without_texture():
    sharp = np.full((*SIZE, 3), 0.3, np.float32) + np.linspace(0, 0.3, SIZE[1], dtype=np.float32)[None, :, None]
    wide, narrow = shot(blurred(sharp, 3), 1), shot(sharp, 2)
    wide_light, narrow_light = (linear_from_encoded(image.astype(np.float32) / 255) for image in (wide, narrow))

    assert not len(reference_blur(wide_light, narrow_light, np.ones(SIZE, bool)))
    with pytest.raises(DatasetError, match="a scene without texture"):
        align_pair(wide, narrow)


def test_a_plain_wall_cannot_be_aligned():
    wall = shot(np.full((*SIZE, 3), 0.3, np.float32), 1)

    with pytest.raises(DatasetError, match="wall7: a scene without texture"):
        align_pair(wall, wall, "wall7")


def test_two_different_scenes_are_refused():
    wide, _ = pair(4.0, seed=0)
    _, narrow = pair(4.0, seed=5)

    with pytest.raises(DatasetError, match="do not show one scene"):
        align_pair(wide, narrow)


def test_a_pair_has_one_size():
    wide, narrow = pair(2.0)

    with pytest.raises(DatasetError, match="a pair must have one size"):
        align_pair(wide, narrow[:, :-2])
