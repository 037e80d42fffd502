# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Per-pixel blur by Gaussians, exact: the reference that `losses.reblur` is tested against.

Every pixel q spreads by a Gaussian of sigma_q = sigma_per_coc * coc_q over all neighbours of a window; cost grows with
the window's area. Two changes to Gur & Wolf's layer: the weights of one source sum to one at every sigma (theirs jump
at a blur of 1 px, where the gradient stops), by the discrete Gaussian T(n, t) = exp(-t) I_n(t), whose second moment is
exactly t = sigma^2; and it runs on CPU and GPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dfd_perception.core.point_spread import DISK_SIGMA_PER_COC
from dfd_perception.errors import LensError

REACH_IN_SIGMA = 4.0
"""Half the window over sigma. Three is what a kernel of 3 c_max means for sigma = c / 2; four loses 1e-4."""


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
    if coc_px.shape != (image.shape[0], 1, *image.shape[2:]):
        raise LensError(f"defocus map is {tuple(coc_px.shape)}; expected one channel of {tuple(image.shape)}")
    sigma = coc_px.abs() * sigma_per_coc
    radius = _radius(sigma) if radius_px is None else radius_px
    return _Scatter.apply(image, sigma**2, radius)


def _radius(sigma: Tensor) -> int:
    return max(1, int(torch.ceil(REACH_IN_SIGMA * sigma.detach().max())))


def source_weights(variance: Tensor, radius: int) -> list[Tensor]:
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
        weights = source_weights(variance, radius)
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
        weights = source_weights(variance, radius + 1)
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
