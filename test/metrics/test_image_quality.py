# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.errors import ImageError
from dfd_perception.metrics.image_quality import DeblurAccumulator, DeblurMetrics


def psnr_db(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> float:
    return DeblurAccumulator().update(prediction, target, mask=mask).psnr_db


def ssim(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> float:
    return DeblurAccumulator().update(prediction, target, mask=mask).ssim


def _pair(dtype: type) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    target = rng.random((40, 52, 3))
    prediction = np.clip(target + rng.normal(0, 0.1, target.shape), 0, 1)
    if dtype is np.uint8:
        return (prediction * 255).astype(np.uint8), (target * 255).astype(np.uint8)
    return prediction.astype(dtype), target.astype(dtype)


@pytest.mark.parametrize(("dtype", "data_range"), [(np.uint8, 255), (np.float64, 1.0)])
def test_agrees_with_scikit_image(dtype: type, data_range: float) -> None:
    reference = pytest.importorskip("skimage.metrics", reason="compares with scikit-image (requirements/dev.txt)")
    prediction, target = _pair(dtype)
    assert psnr_db(prediction, target) == pytest.approx(
        reference.peak_signal_noise_ratio(target, prediction, data_range=data_range)
    )
    expected = reference.structural_similarity(
        target,
        prediction,
        data_range=data_range,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(prediction, target) == pytest.approx(expected, abs=1e-7)


def test_a_mask_is_the_same_as_a_crop() -> None:
    prediction, target = _pair(np.float32)
    mask = np.zeros((40, 52), bool)
    mask[5:30, 10:40] = True
    spoiled = np.where(mask[..., None], prediction, np.float32(np.nan))
    window = (slice(5, 30), slice(10, 40))
    assert psnr_db(spoiled, target, mask) == pytest.approx(psnr_db(prediction[window], target[window]))
    assert ssim(spoiled, target, mask) == pytest.approx(ssim(prediction[window], target[window]), abs=1e-9)
    nothing = np.zeros_like(mask)
    assert np.isnan([psnr_db(prediction, target, nothing), ssim(prediction, target, nothing)]).all()


def test_equal_images() -> None:
    _, target = _pair(np.uint8)
    assert psnr_db(target, target) == float("inf")
    assert ssim(target, target) == pytest.approx(1.0)


def test_every_pixel_of_a_set_counts_alike() -> None:
    flat = np.zeros((16, 16, 3), np.float32)
    accumulator = DeblurAccumulator()
    first = accumulator.update(flat + 0.1, flat, flat + 0.2)
    assert (first.psnr_db, first.input_psnr_db) == pytest.approx((20.0, 20 - 10 * np.log10(4)), abs=1e-4)
    accumulator.update(flat + 0.01, flat, flat + 0.2)
    assert accumulator.pooled().psnr_db == pytest.approx(10 * np.log10(2 / (0.01 + 0.0001)), abs=1e-4)
    assert DeblurMetrics._fields == ("psnr_db", "ssim", "input_psnr_db", "input_ssim")


def test_different_sizes_or_scales_are_refused() -> None:
    with pytest.raises(ImageError, match="same size and scale"):
        psnr_db(np.zeros((4, 4, 3)), np.zeros((4, 5, 3)))
    with pytest.raises(ImageError, match="same size and scale"):
        psnr_db(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3)))
