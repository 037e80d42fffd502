# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Deblurring losses of thesis chapter 3, equations 3.4 to 3.6. Images are (B, 3, H, W) in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dfd_perception.errors import ImageError
from dfd_perception.losses.full_precision import in_full_precision
from dfd_perception.losses.masking import masked_mean

CHARBONNIER_EPSILON = 1e-3
"""epsilon of equation 3.4 (its square is 1e-6)."""

SSIM_WEIGHT = 4.0
"""Psi of equation 3.6."""

SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5


@in_full_precision
def charbonnier(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Equation 3.4: mean sqrt((prediction - target)^2 + epsilon^2); `mask` (B, 1, H, W) says which pixels count."""
    mask = _image_mask(prediction, mask)
    difference = torch.where(mask, prediction - target, 0.0)
    return masked_mean((difference**2 + CHARBONNIER_EPSILON**2).sqrt(), mask)


@in_full_precision
def ssim_map(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) at every window that lies within the image.

    Gaussian window of 11 x 11 px, sigma 1.5 px, C1 = 0.01^2, C2 = 0.03^2: images in [0, 1].

    Returns:
        (B, C, H - 10, W - 10); differentiable.

    Raises:
        ImageError: the image is smaller than the window.
    """
    if min(prediction.shape[-2:]) < SSIM_WINDOW_PX:
        raise ImageError(f"image is {tuple(prediction.shape[-2:])}; SSIM needs at least 11 x 11 px")
    x, y = prediction, target
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * (2 * covariance + c2) / (variance_x + variance_y + c2)


@in_full_precision
def ssim_loss(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Equation 3.5: 1 - mean SSIM; with a mask, over the windows that it fills."""
    mask = _image_mask(prediction, mask)
    keep = functional.max_pool2d((~mask).float(), SSIM_WINDOW_PX, stride=1) == 0
    filled = torch.where(mask, prediction, 0.0), torch.where(mask, target, 0.0)
    return masked_mean(1 - ssim_map(*filled), keep)


@in_full_precision
def deblur_loss(
    prediction: Tensor, target: Tensor, ssim_weight: float = SSIM_WEIGHT, mask: Tensor | None = None
) -> Tensor:
    """Equation 3.6: Charbonnier + Psi * (1 - SSIM)."""
    loss = charbonnier(prediction, target, mask=mask)
    if ssim_weight == 0:
        return loss
    return loss + ssim_weight * ssim_loss(prediction, target, mask)


def _image_mask(image: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return torch.ones_like(image, dtype=torch.bool)
    return mask.expand_as(image)


def _window_mean(image_BCHW: Tensor) -> Tensor:
    offset = torch.arange(SSIM_WINDOW_PX, device=image_BCHW.device, dtype=image_BCHW.dtype) - SSIM_WINDOW_PX // 2
    row = torch.exp(-(offset**2) / (2 * SSIM_SIGMA_PX**2))
    row = (row / row.sum()).expand(image_BCHW.shape[1], 1, 1, -1)
    across = functional.conv2d(image_BCHW, row, groups=image_BCHW.shape[1])
    return functional.conv2d(across, row.transpose(2, 3), groups=image_BCHW.shape[1])
