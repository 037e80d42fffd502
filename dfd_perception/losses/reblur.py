# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Simulator (b): per-pixel blur, differentiable in the image and in the defocus map (thesis chapter 5).

Every pixel q spreads its light over its neighbours, and a pixel is the mean of what reaches it (Gur & Wolf 2019; no
occlusion).

`reblur` spreads by a Gaussian of sigma_q = sigma_per_coc * coc_q and sums over all neighbours of a window: exact, cost
grows with the window's area. Two changes to Gur & Wolf's layer: the weights of one source sum to one at every sigma
(theirs jump at a blur of 1 px, where the gradient stops), by the discrete Gaussian T(n, t) = exp(-t) I_n(t), whose
second moment is exactly t = sigma^2; and it runs on CPU and GPU.

`reblur_by_bank` is for training: each pixel is shared between two of a few disks so that the second moment stays
exact. A lens blurs with a disk. A Gaussian of equal moment is not what looks most like it: by equation 5.1 it settles
10 to 30 % wider.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dfd_perception.core.point_spread import DISK_SIGMA_PER_COC, PointSpread
from dfd_perception.errors import LensError
from dfd_perception.losses.full_precision import in_full_precision

REACH_IN_SIGMA = 4.0
"""Half the window over sigma. Three is what a kernel of 3 c_max means for sigma = c / 2; four loses 1e-4."""

BANK_RATIO = 1.25
"""Step of sigma between neighbouring kernels of the bank."""


@in_full_precision
def reblur(
    image: Tensor, coc_px: Tensor, sigma_per_coc: float = DISK_SIGMA_PER_COC, radius_px: int | None = None
) -> Tensor:
    """Blur an image with a defocus map, exactly.

    Args:
        image: (B, C, H, W), linear light for a physical result.
        coc_px: (B, 1, H, W) circle of confusion diameter; its sign does not matter.
        sigma_per_coc: 0.25 is a lens' disk by its second moment; 0.5 is Gur & Wolf, 0.3 Carvalho.
        radius_px: half the window; 4 sigma of the widest blur when None.

    Returns:
        (B, C, H, W), differentiable in `image` and `coc_px`.
    """
    sigma = _sigma(image, coc_px, sigma_per_coc)
    radius = _radius(sigma) if radius_px is None else radius_px
    return _Scatter.apply(image, sigma**2, radius)


@in_full_precision
def reblur_by_bank(
    image: Tensor,
    coc_px: Tensor,
    sigma_per_coc: float = DISK_SIGMA_PER_COC,
    largest_coc_px: float | None = None,
    exponent: float = float("inf"),
) -> Tensor:
    """Blur an image with a defocus map, every pixel shared between the two kernels of a bank nearest in variance.

    Args:
        image: (B, C, H, W), linear light for a physical result.
        coc_px: (B, 1, H, W) circle of confusion diameter; its sign does not matter.
        sigma_per_coc: 0.25 for a disk of that diameter.
        largest_coc_px: fixes the bank, so that steps cost the same and shapes never change; wider blur is held at it.
            None: the widest of the map.
        exponent: shape of the kernels (core.point_spread.PointSpread): a disk, or 2 for a Gaussian.

    Returns:
        (B, C, H, W), differentiable in `image` and `coc_px`.
    """
    sigma = _sigma(image, coc_px, sigma_per_coc)
    largest = float(sigma.detach().max()) if largest_coc_px is None else largest_coc_px * sigma_per_coc
    levels = bank_sigmas_px(largest)
    variance = sigma**2
    height, width = image.shape[2:]
    padded, transfers = _bank_transfers(tuple(levels), exponent, (height, width))
    planes = torch.cat([image, torch.ones_like(sigma)], dim=1)
    # One transform back for all kernels: they are added up as spectra.
    spectrum = torch.zeros((), device=image.device)
    for i, transfer in enumerate(transfers):
        share = _share(variance, levels, i)
        spectrum = spectrum + torch.fft.rfft2(share * planes, s=padded) * transfer.to(image)
    spread = torch.fft.irfft2(spectrum, s=padded)[..., :height, :width]
    light, weight = spread[:, :-1], spread[:, -1:]
    # A pixel always receives light; what little is in the corner of an image of zeros is noise of the transform.
    return light / weight.clamp(min=torch.finfo(weight.dtype).eps)


def bank_sigmas_px(largest_sigma_px: float) -> list[float]:
    """Sigmas of the bank: 0, 0.25, 0.45, 0.7, then a quarter wider each up to the largest."""
    levels = [0.0, 0.25, 0.45, 0.7]
    while levels[-1] < largest_sigma_px:
        levels.append(levels[-1] * BANK_RATIO)
    return levels


def _sigma(image: Tensor, coc_px: Tensor, sigma_per_coc: float) -> Tensor:
    if coc_px.shape != (image.shape[0], 1, *image.shape[2:]):
        raise LensError(f"defocus map is {tuple(coc_px.shape)}; expected one channel of {tuple(image.shape)}")
    if not sigma_per_coc > 0:
        raise LensError(f"sigma_per_coc is {sigma_per_coc}; it must be positive (physics: 0.25)")
    return coc_px.abs() * sigma_per_coc


def _radius(sigma: Tensor) -> int:
    return max(1, int(torch.ceil(REACH_IN_SIGMA * sigma.detach().max())))


def _share(variance: Tensor, levels: list[float], i: int) -> Tensor:
    """Hat function of level i over the variance: shares of neighbours add to one, their variance to the pixel's."""
    here = levels[i] ** 2
    below = (variance - levels[i - 1] ** 2) / (here - levels[i - 1] ** 2) if i > 0 else torch.ones_like(variance)
    if i + 1 == len(levels):
        return below.clamp(0, 1)
    above = (levels[i + 1] ** 2 - variance) / (levels[i + 1] ** 2 - here)
    return torch.minimum(below, above).clamp(0, 1)


@lru_cache(maxsize=8)
def _bank_transfers(
    sigmas_px: tuple[float, ...], exponent: float, size: tuple[int, int]
) -> tuple[tuple[int, int], list[Tensor]]:
    """Transfer function of each kernel, real because kernels are symmetric, and the (height, width) that it is for.

    Zeros outside the image as far as the widest kernel reaches: light from there is divided out.
    """
    kernels = [PointSpread(exponent=exponent).kernel(sigma / DISK_SIGMA_PER_COC) for sigma in sigmas_px]
    reach = max(kernel.shape[0] // 2 for kernel in kernels)
    padded = (_fast_length(size[0] + reach), _fast_length(size[1] + reach))
    transfers = []
    for kernel in kernels:
        centred = np.zeros(padded)
        half = kernel.shape[0] // 2
        rows, columns = (np.arange(-half, half + 1) % side for side in padded)
        np.add.at(centred, np.ix_(rows, columns), kernel.astype(np.float64) / kernel.sum(dtype=np.float64))
        transfers.append(torch.from_numpy(np.ascontiguousarray(np.fft.rfft2(centred).real)))
    return padded, transfers


def _fast_length(length: int) -> int:
    """The next length without prime factors above 5."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def _weights(variance: Tensor, radius: int) -> list[Tensor]:
    """T(0, t) to T(radius, t), each the shape of `variance`, by ratios of Bessel functions (stable at every t)."""
    ratios: list[Tensor] = []
    ratio = torch.zeros_like(variance)
    for n in range(radius + 12, 0, -1):
        ratio = variance / (2 * n + variance * ratio)
        if n <= radius:
            ratios.append(ratio)
    weights = [torch.special.i0e(variance)]
    for ratio in reversed(ratios):
        weights.append(weights[-1] * ratio)
    return weights


class _Scatter(torch.autograd.Function):
    """Exact blur with an analytic backward pass: nothing per neighbour is kept in memory."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, variance: Tensor, radius: int) -> Tensor:
        weights = _weights(variance, radius)
        height, width = image.shape[2:]
        light, weight = torch.zeros_like(image), torch.zeros_like(variance)
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                to, source = _windows(dy, dx, height, width)
                w = weights[abs(dy)][source] * weights[abs(dx)][source]
                light[to] += w * image[source]
                weight[to] += w
        result = light / weight
        ctx.save_for_backward(image, variance, weight, result)
        ctx.radius = radius
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        image, variance, weight, result = ctx.saved_tensors
        radius = ctx.radius
        weights = _weights(variance, radius + 1)
        # dT(n, t)/dt = (T(n - 1) + T(n + 1)) / 2 - T(n)
        slopes = [(weights[abs(n - 1)] + weights[n + 1]) / 2 - weights[n] for n in range(radius + 1)]
        height, width = image.shape[2:]
        per_weight = gradient / weight
        at_result = (per_weight * result).sum(1, keepdim=True)
        to_image, to_variance = torch.zeros_like(image), torch.zeros_like(variance)
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                to, source = _windows(dy, dx, height, width)
                wy, wx = weights[abs(dy)][source], weights[abs(dx)][source]
                to_image[source] += wy * wx * per_weight[to]
                pull = (per_weight[to] * image[source]).sum(1, keepdim=True) - at_result[to]
                slope = slopes[abs(dy)][source] * wx + wy * slopes[abs(dx)][source]
                to_variance[source] += pull * slope
        return to_image, to_variance, None


def _windows(dy: int, dx: int, height: int, width: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Slices of the pixels that receive from (dy, dx) away, and of those sources."""
    to = (..., slice(max(0, -dy), max(0, height - max(0, dy))), slice(max(0, -dx), max(0, width - max(0, dx))))
    source = (..., slice(max(0, dy), max(0, height + min(0, dy))), slice(max(0, dx), max(0, width + min(0, dx))))
    return to, source
