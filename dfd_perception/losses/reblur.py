# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Simulator (b): per-pixel blur, differentiable in the image and in the defocus map (thesis chapter 5).

Every pixel q spreads its light over its neighbours, and a pixel is the mean of what reaches it (Gur & Wolf 2019; no
occlusion).

Each pixel is shared between two of a few disks so that the second moment stays exact. A lens blurs with a disk. A
Gaussian of equal moment is not what looks most like it: by equation 5.1 it settles 10 to 30 % wider. The exact sum over
Gaussians that this is tested against is in `test/support/exact_reblur.py`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from dfd_perception.core.point_spread import DISK_SIGMA_PER_COC, PointSpread
from dfd_perception.core.size import Size
from dfd_perception.errors import LensError
from dfd_perception.losses.full_precision import in_full_precision

BANK_RATIO = 1.25
"""Step of sigma between neighbouring kernels of the bank."""


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


def _share(variance: Tensor, levels: list[float], i: int) -> Tensor:
    """Hat function of level i over the variance: shares of neighbours add to one, their variance to the pixel's."""
    here = levels[i] ** 2
    below = (variance - levels[i - 1] ** 2) / (here - levels[i - 1] ** 2) if i > 0 else torch.ones_like(variance)
    if i + 1 == len(levels):
        return below.clamp(0, 1)
    above = (levels[i + 1] ** 2 - variance) / (levels[i + 1] ** 2 - here)
    return torch.minimum(below, above).clamp(0, 1)


@lru_cache(maxsize=8)
def _bank_transfers(sigmas_px: tuple[float, ...], exponent: float, size: Size) -> tuple[tuple[int, int], list[Tensor]]:
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
