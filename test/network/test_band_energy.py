# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Band energies: known values for plain and striped images, and blur told apart from contrast."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from dfd_perception.network.blur_head import CHANNELS, FLOOR, LEVELS, SCALE, BandEnergies


def texture(blur_sigma_px: float = 0.0, contrast: float = 0.5) -> Tensor:
    """(1, 3, 256, 256) noise in [-1, 1]."""
    grey = np.random.default_rng(3).standard_normal((256, 256)).astype(np.float32)
    if blur_sigma_px:
        grey = cv2.GaussianBlur(grey, (0, 0), blur_sigma_px)
    return torch.from_numpy(np.tanh(contrast * grey / 3))[None, None].repeat(1, 3, 1, 1)


def mean_of(image: Tensor) -> Tensor:
    return BandEnergies()(image).mean((0, 2, 3))


def test_a_plain_image_has_the_floor_in_every_band():
    bands = BandEnergies()(torch.full((2, 3, 64, 96), 0.3))
    assert bands.shape == (2, CHANNELS, 16, 24)
    torch.testing.assert_close(bands, torch.full_like(bands, math.log(FLOOR)), atol=1e-3, rtol=0)


def test_stripes_of_one_pixel_are_the_finest_band_alone():
    stripes = torch.tensor([-0.5, 0.5]).repeat(32).expand(1, 3, 64, 64).contiguous()
    bands = BandEnergies()(stripes)[0, :, 8, 8]
    # The binomial filter takes them away whole: what remains is (8 * 0.5)^2.
    assert float(bands[0]) == pytest.approx(math.log((SCALE * 0.5) ** 2 + FLOOR), abs=1e-4)
    torch.testing.assert_close(bands[1:LEVELS], torch.full((LEVELS - 1,), math.log(FLOOR)), atol=1e-3, rtol=0)


def test_contrast_moves_all_bands_alike_and_blur_the_fine_ones_more():
    sharp, faint, blurred = mean_of(texture()), mean_of(texture(contrast=0.25)), mean_of(texture(blur_sigma_px=1.5))
    moved = sharp - faint
    assert float(moved[:3].max() - moved[:3].min()) < 0.15  # white noise has little coarse detail: near the floor
    lost = sharp - blurred
    assert float(lost[0]) > float(lost[1]) + 1 > float(lost[2]) + 1
    assert float(lost[0] - lost[LEVELS - 1]) > 3


def test_a_batch_in_half_precision_stays_finite():
    black_and_white = torch.where(texture() > 0, 1.0, -1.0)
    assert torch.isfinite(BandEnergies().half()(black_and_white.half())).all()
