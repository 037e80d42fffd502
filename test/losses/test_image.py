# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from dfd_perception.errors import ImageError
from dfd_perception.losses.image import charbonnier, deblur_loss, ssim_loss, ssim_map


def test_charbonnier_golden_values() -> None:
    target = torch.zeros(1, 3, 2, 2)
    assert float(charbonnier(target, target)) == pytest.approx(1e-3, rel=1e-5)
    assert float(charbonnier(target + 3**0.5 * 1e-3, target)) == pytest.approx(2e-3, rel=1e-4)
    assert float(charbonnier(target + 0.5, target)) == pytest.approx(0.500001, rel=1e-6)


def test_ssim_of_two_flat_images_by_hand() -> None:
    # (2 * 0.5 * 0.6 + 1e-4) / (0.25 + 0.36 + 1e-4) = 0.6001 / 0.6101
    flat = torch.full((1, 3, 12, 13), 0.5, dtype=torch.float64)
    assert float(ssim_loss(flat, flat + 0.1)) == pytest.approx(1 - 0.6001 / 0.6101, abs=1e-5)


def test_ssim_map_agrees_with_scikit_image() -> None:
    rng = np.random.default_rng(3)
    first = rng.random((20, 26)).astype(np.float64)
    second = np.clip(first + rng.normal(0, 0.2, first.shape), 0, 1)
    _, expected = structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    ours = ssim_map(torch.from_numpy(first)[None, None], torch.from_numpy(second)[None, None])
    np.testing.assert_allclose(ours[0, 0].numpy(), expected[5:-5, 5:-5], atol=1e-9)


def test_ssim_has_a_gradient_that_improves_it() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 3, 16, 16, generator=generator)
    prediction = torch.full_like(target, 0.5).requires_grad_()
    before = ssim_loss(prediction, target)
    before.backward()
    assert float(prediction.grad.abs().sum()) > 0
    assert float(ssim_loss(prediction.detach() - 0.5 * prediction.grad, target)) < float(before)


def test_deblur_loss_is_the_weighted_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    target, prediction = torch.rand(2, 1, 3, 16, 18, generator=generator)
    expected = charbonnier(prediction, target) + 4 * ssim_loss(prediction, target)
    assert float(deblur_loss(prediction, target)) == pytest.approx(float(expected))
    assert float(deblur_loss(prediction, target, ssim_weight=0)) == pytest.approx(
        float(charbonnier(prediction, target))
    )


def test_masked_pixels_do_not_count_even_when_not_finite() -> None:
    generator = torch.Generator().manual_seed(0)
    target, prediction = torch.rand(2, 1, 3, 24, 24, generator=generator)
    mask = torch.ones(1, 1, 24, 24, dtype=torch.bool)
    mask[..., :4] = False
    prediction[..., :4] = float("nan")
    prediction.requires_grad_()
    loss = deblur_loss(prediction, target, mask=mask)
    loss.backward()
    assert float(loss) == pytest.approx(float(deblur_loss(prediction[..., 4:], target[..., 4:])), rel=1e-5)
    assert torch.isfinite(prediction.grad).all()


def test_a_image_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(ImageError, match="at least 11"):
        ssim_map(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))
