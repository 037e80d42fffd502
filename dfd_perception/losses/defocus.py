# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Losses on the defocus map: circle-of-confusion likelihood, and self-supervision (thesis 5.1 to 5.4)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dfd_perception.losses.full_precision import in_full_precision
from dfd_perception.losses.image import charbonnier, ssim_loss
from dfd_perception.losses.masking import masked_difference, masked_mean, mean_of_steps, step_x, step_y

REBLUR_SSIM_SHARE = 0.85
"""alpha of equation 5.1."""

EDGE_SENSITIVITY = 2.5
"""beta of equation 5.2."""

REBLUR_WEIGHT, SMOOTH_WEIGHT, DEBLUR_WEIGHT = 2.0, 0.5, 0.01
"""lambda_1 to lambda_3 of equation 5.4."""

LARGEST_LOG_VARIANCE = 12.0
"""Log-variances are held within +-12 (std 0.0025 to 400 px): beyond, exp() only destabilises."""

CELL_PX = 4
"""Side of the cells of an image that a distribution over blur is stated for."""

BORDER_PX = 4
"""Distance of the pixels that `border_loss` compares; a border is a few pixels wide."""


@in_full_precision
def coc_nll(coc_px: Tensor, coc_log_var: Tensor, target_px: Tensor) -> Tensor:
    """Negative log-likelihood [nat per pixel] of the true circle of confusion under the predicted mean and variance.

    The errors are Laplace's, which forgives outliers (depth edges, wrong truth).

    Args:
        coc_px: (B, 1, H, W) predicted diameter.
        coc_log_var: (B, 1, H, W) natural logarithm of the predicted variance [px^2].
        target_px: (B, 1, H, W) true diameter, NaN where unknown; 0 (in focus) counts.
    """
    mask = torch.isfinite(target_px)
    log_var = coc_log_var.clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)
    error = masked_difference(coc_px, target_px, mask)
    # A Laplace density of scale b has variance 2 b^2 and -log p = |e| / b + log(2 b).
    values = error.abs() * math.sqrt(2) * torch.exp(-0.5 * log_var) + 0.5 * log_var + 0.5 * math.log(2)
    return masked_mean(values, mask)


@in_full_precision
def blur_cross_entropy(logits: Tensor, target_px: Tensor, centres_px: Tensor) -> Tensor:
    """Cross-entropy [nat] of a distribution over bins of blur, stated for cells of the image.

    A true blur between two centres is shared between their bins (linear in asinh(c / 2), on which they are even); a
    cell across a border holds the blur of both sides, in the share of their pixels.

    Args:
        logits: (B, bins, h, w), each cell H / h x W / w pixels; cells beyond the target (padding) are left out.
        target_px: (B, 1, H, W) true total blur, NaN where unknown.
        centres_px: (bins,) from 0.
    """
    shares, weight = _shares_of_cells(target_px, centres_px)
    height, width = shares.shape[-2:]
    log_likelihood = torch.log_softmax(logits[..., :height, :width], dim=1)
    return -(shares * log_likelihood).sum() / weight.sum().clamp(min=1)


def _shares_of_cells(target_px: Tensor, centres_px: Tensor) -> tuple[Tensor, Tensor]:
    """(B, bins, h, w) share of each bin in each cell, and (B, 1, h, w) share that is known."""
    batch, _, height, width = target_px.shape
    cell, rows, columns = CELL_PX, height // CELL_PX, width // CELL_PX
    cells = target_px[..., : rows * cell, : columns * cell].reshape(batch, rows, cell, columns, cell)
    cells = cells.permute(0, 2, 4, 1, 3).reshape(batch, cell * cell, rows, columns)
    known = torch.isfinite(cells)
    last = len(centres_px) - 1
    place = torch.asinh(torch.where(known, cells, 0.0) / 2) / torch.asinh(centres_px[1] / 2)
    place = place.clamp(max=last)
    lower = place.floor().clamp(max=last - 1)
    upper_share = (place - lower) * known / cell**2
    lower_share = known / cell**2 - upper_share
    shares = torch.zeros(batch, last + 1, rows, columns, device=target_px.device)
    shares.scatter_add_(1, lower.long(), lower_share)
    shares.scatter_add_(1, lower.long() + 1, upper_share)
    return shares, known.float().mean(1, keepdim=True)


@in_full_precision
def border_loss(coc_px: Tensor, target_px: Tensor) -> Tensor:
    """Mean difference of the blur's steps across BORDER_PX [px], along x and y: wants borders, and plains flat.

    Args:
        coc_px: (B, 1, H, W) predicted.
        target_px: (B, 1, H, W) true, NaN where unknown.
    """
    terms = []
    for axis in (-1, -2):
        count = target_px.shape[axis] - BORDER_PX
        expected, contrast = (
            map_px.narrow(axis, BORDER_PX, count) - map_px.narrow(axis, 0, count) for map_px in (target_px, coc_px)
        )
        mask = torch.isfinite(expected)
        terms.append(masked_mean(masked_difference(contrast, expected, mask).abs(), mask))
    return terms[0] + terms[1]


@in_full_precision
def reblur_loss(reblurred: Tensor, defocused: Tensor, mask: Tensor | None = None) -> Tensor:
    """Equation 5.1: alpha / 2 (1 - SSIM) + (1 - alpha) |reblurred - defocused|, images (B, 3, H, W) in [0, 1].

    The thesis prints the argument of SSIM as a difference; it is the similarity of the two images.
    """
    keep = torch.ones_like(reblurred, dtype=torch.bool) if mask is None else mask.expand_as(reblurred)
    absolute = masked_mean(torch.where(keep, reblurred - defocused, 0.0).abs(), keep)
    alpha = REBLUR_SSIM_SHARE
    return alpha / 2 * ssim_loss(reblurred, defocused, mask=mask) + (1 - alpha) * absolute


@in_full_precision
def defocus_smoothness(coc_px: Tensor, aif: Tensor, mask: Tensor | None = None) -> Tensor:
    """Equation 5.2: mean |dx D| exp(-beta |dx AiF|) + mean |dy D| exp(-beta |dy AiF|).

    The magnitude of the image's gradient (printed without bars) is averaged over the channels.
    """
    keep = torch.ones_like(coc_px, dtype=torch.bool) if mask is None else mask
    along_x = step_x(coc_px).abs() * torch.exp(-EDGE_SENSITIVITY * step_x(aif).abs().mean(1, keepdim=True))
    along_y = step_y(coc_px).abs() * torch.exp(-EDGE_SENSITIVITY * step_y(aif).abs().mean(1, keepdim=True))
    return mean_of_steps(along_x, along_y, keep)


class SelfSupervisedLoss(NamedTuple):
    """Total of equation 5.4 and its unweighted terms, for the log."""

    total: Tensor
    reblur: Tensor
    smooth: Tensor
    deblur: Tensor


@in_full_precision
def self_supervised_loss(
    reblurred: Tensor,
    defocused: Tensor,
    coc_px: Tensor,
    deblurred: Tensor,
    aif: Tensor,
    seen: Tensor | None = None,
    reach_px: int = 0,
) -> SelfSupervisedLoss:
    """Equation 5.4: 2 * re-blur + 0.5 * smoothness + 0.01 * Charbonnier (5.3) of the deblurred image.

    Args:
        reblurred: true AiF, blurred again with the predicted defocus map (`losses.reblur`).
        defocused: the input image.
        coc_px: (B, 1, H, W) predicted defocus map.
        deblurred: deblurred image.
        aif: true AiF image.
        seen: (B, 1, H, W) bool, where the AiF image counts; None: everywhere.
        reach_px: radius of the widest blur: nearer than this to what was not seen, re-blurring mixes it in.
    """
    reached = None
    if seen is not None:
        if bool(seen.all()):
            seen = None
        else:
            side = 2 * reach_px + 1
            reached = functional.max_pool2d((~seen).float(), side, stride=1, padding=reach_px) == 0
    reblur = reblur_loss(reblurred, defocused, mask=reached)
    smooth = defocus_smoothness(coc_px, aif, mask=seen)
    deblur = charbonnier(deblurred, aif, mask=seen)
    total = REBLUR_WEIGHT * reblur + SMOOTH_WEIGHT * smooth + DEBLUR_WEIGHT * deblur
    return SelfSupervisedLoss(total, reblur, smooth, deblur)
