# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Simulator (a) on tensors: the layered blur of `core.layered_blur`, on CPU or GPU, differentiable in the image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dfd_perception.core.layered_blur import ACROSS_SURFACE_PX, FLOOR, layer_edges
from dfd_perception.core.point_spread import DISK, PointSpread
from dfd_perception.errors import ImageError
from dfd_perception.losses.full_precision import in_full_precision

DIRECT_KERNEL_PX = 13
"""Wider kernels are applied by FFT."""


@in_full_precision
def blur_layers(image: Tensor, signed_coc_px: Tensor, point_spread: PointSpread = DISK) -> Tensor:
    """Defocus a batch as a lens would; the same result as `core.layered_blur.blur_layers` image by image.

    Args:
        image: (B, C, H, W) floating point, linear light.
        signed_coc_px: (B, 1, H, W), growing with distance; not finite: the farthest layer.
        point_spread: shape of the blur.

    Returns:
        (B, C, H, W); gradient flows to the image (layers are cut, so none to the map: see `losses.reblur`).
    """
    if signed_coc_px.shape != (image.shape[0], 1, *image.shape[2:]):
        raise ImageError(f"blur map is {tuple(signed_coc_px.shape)}; expected one channel of {tuple(image.shape)}")
    pairs = zip(image, signed_coc_px[:, 0].detach(), strict=True)
    return torch.stack([_blur_one(image_CHW, beta, point_spread) for image_CHW, beta in pairs])


def _blur_one(image_CHW: Tensor, beta_HW: Tensor, point_spread: PointSpread) -> Tensor:
    beta = _filled_far(beta_HW.float())
    edges = torch.from_numpy(layer_edges(float(beta.min()), float(beta.max()))).to(beta.device)
    layer_of = (torch.searchsorted(edges, beta.double(), right=True) - 1).clamp(0, len(edges) - 2)
    counts = torch.bincount(layer_of.flatten(), minlength=len(edges) - 1)
    means = torch.bincount(layer_of.flatten(), beta.double().flatten(), len(edges) - 1) / counts.clamp(min=1)
    result: Tensor | None = None
    for layer in reversed(torch.nonzero(counts).flatten().tolist()):
        kernel = torch.from_numpy(point_spread.kernel(abs(float(means[layer])))).to(image_CHW)
        surface = ((means - means[layer]).abs() <= ACROSS_SURFACE_PX)[layer_of].to(image_CHW)
        colour = _blurred_colour(image_CHW, surface, kernel)
        if result is None:
            result = colour
            continue
        cover = _filter((layer_of <= layer).to(image_CHW)[None], kernel)
        result = result + cover * (colour - result)
    if result is None:
        raise ImageError("an empty image cannot be blurred")
    return result


def _filled_far(beta: Tensor) -> Tensor:
    finite = torch.isfinite(beta)
    if bool(finite.all()):
        return beta
    farthest = beta[finite].max() if bool(finite.any()) else beta.new_zeros(())
    return torch.where(finite, beta, farthest)


def _blurred_colour(image_CHW: Tensor, surface_HW: Tensor, kernel: Tensor) -> Tensor:
    """Mean colour of the surface under the kernel; where the kernel misses it, the image itself."""
    both = _filter(torch.cat([image_CHW * surface_HW, surface_HW[None]]), kernel)
    return (both[:-1] + FLOOR * image_CHW) / (both[-1:] + FLOOR)


def _filter(planes_CHW: Tensor, kernel: Tensor) -> Tensor:
    """Correlation of each plane with the kernel, border pixels repeated."""
    side = kernel.shape[0]
    if side == 1:
        return planes_CHW
    radius = side // 2
    padded = _repeat_border(planes_CHW, radius)
    if side <= DIRECT_KERNEL_PX:
        return functional.conv2d(padded.unsqueeze(1), kernel[None, None]).squeeze(1)
    size = (padded.shape[1], padded.shape[2])
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernel, s=size).conj()
    height, width = planes_CHW.shape[1:]
    return torch.fft.irfft2(spectrum, s=size)[:, :height, :width]


def _repeat_border(planes_CHW: Tensor, radius: int) -> Tensor:
    return functional.pad(planes_CHW.unsqueeze(0), (radius, radius, radius, radius), mode="replicate").squeeze(0)
