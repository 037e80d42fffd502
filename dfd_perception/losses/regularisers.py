# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth losses of the thesis: equations 3.1 to 3.3, and the smoothing regularisers of Table 2.1, six rows, by name.

All take depth (B, 1, H, W) in metres; a target is NaN where invalid.

Each is the spatial term of its paper, to be added to the same L1 data term, so that rows of the table
differ by the regulariser alone. e = prediction - target, g = log prediction - log target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dfd_perception.errors import ConfigError
from dfd_perception.losses.full_precision import in_full_precision
from dfd_perception.losses.masking import masked_difference, masked_mean, mean_of_steps, step_x, step_y, valid_depth

GRADIENT_WEIGHT = 0.001
"""mu of equation 3.3."""


@in_full_precision
def l1_depth(prediction_m: Tensor, target_m: Tensor) -> Tensor:
    """Equation 3.1: mean |prediction - target| [m] over the valid pixels."""
    mask = valid_depth(target_m)
    return masked_mean(masked_difference(prediction_m, target_m, mask).abs(), mask)


@in_full_precision
def gradient_matching(prediction_m: Tensor, target_m: Tensor) -> Tensor:
    """Equation 3.2: mean |dx R| + mean |dy R| of the residual R = prediction - target [m per pixel].

    Forward differences; a step counts where both of its pixels are valid.
    """
    mask = valid_depth(target_m)
    residual = masked_difference(prediction_m, target_m, mask)
    return mean_of_steps(step_x(residual).abs(), step_y(residual).abs(), mask)


@in_full_precision
def depth_loss(prediction_m: Tensor, target_m: Tensor, gradient_weight: float = GRADIENT_WEIGHT) -> Tensor:
    """Equation 3.3: L1 + mu * gradient matching."""
    return l1_depth(prediction_m, target_m) + gradient_weight * gradient_matching(prediction_m, target_m)


SMALLEST_DEPTH_M = 1e-3
"""Predictions are raised to this before a logarithm or an inverse: an unbounded head may go below zero."""

DEMON_SPACINGS_PX = (1, 2, 4, 8, 16)
HU_OFFSET = 0.5


class Regulariser(NamedTuple):
    """A spatial term and the weight that its paper gives it beside the data term."""

    term: Callable[[Tensor, Tensor], Tensor]
    weight: float


@in_full_precision
def none(prediction_m: Tensor, target_m: Tensor) -> Tensor:
    """Zero, attached to the graph."""
    mask = valid_depth(target_m)
    return 0.0 * masked_mean(masked_difference(prediction_m, target_m, mask), mask)


@in_full_precision
def hu(prediction_m: Tensor, target_m: Tensor) -> Tensor:
    """Hu et al. 2019: mean ln(|dx e| + 0.5) + ln(|dy e| + 0.5), and mean 1 - cos of the surface normals.

    Gradients by 3 x 3 Sobel, normals (-dx d, -dy d, 1). A pixel counts where all nine neighbours are valid.
    Its least value is 2 ln 0.5 = -1.386, not 0.
    """
    mask = valid_depth(target_m)
    known = functional.max_pool2d((~mask).float(), 3, stride=1) == 0
    filled_target = torch.where(mask, target_m, 0.0)
    filled_prediction = torch.where(mask, prediction_m, 0.0)
    gradient_p, gradient_t = _sobel(filled_prediction), _sobel(filled_target)
    logs = torch.log((gradient_p - gradient_t).abs() + HU_OFFSET).sum(1, keepdim=True)
    dot = (gradient_p * gradient_t).sum(1, keepdim=True) + 1
    lengths = ((gradient_p**2).sum(1, keepdim=True) + 1) * ((gradient_t**2).sum(1, keepdim=True) + 1)
    return masked_mean(logs, known) + masked_mean(1 - dot / lengths.sqrt(), known)


@in_full_precision
def eigen(prediction_m: Tensor, target_m: Tensor) -> Tensor:
    """Eigen & Fergus 2015: mean (dx g)^2 + mean (dy g)^2 in log depth."""
    mask = valid_depth(target_m)
    log_target = torch.log(torch.where(mask, target_m, 1.0))
    difference = masked_difference(torch.log(prediction_m.clamp(min=SMALLEST_DEPTH_M)), log_target, mask)
    return mean_of_steps(step_x(difference) ** 2, step_y(difference) ** 2, mask)


@in_full_precision
def ummenhofer(prediction_m: Tensor, target_m: Tensor) -> Tensor:
    """Ummenhofer et al. 2017 (DeMoN): scale-invariant gradients of inverse depth at spacings 1 to 16 px.

    Sum over h of the mean length of G_h(prediction) - G_h(target),
    G_h f = (f(x + h) - f(x)) / (|f(x + h)| + |f(x)|) along x and along y. Spacings wider than the image are left out.
    """
    mask = valid_depth(target_m)
    inverse_target = 1 / torch.where(mask, target_m, 1.0)
    inverse_prediction = torch.where(mask, 1 / prediction_m.clamp(min=SMALLEST_DEPTH_M), 1.0)
    total = none(prediction_m, target_m)
    for h in DEMON_SPACINGS_PX:
        if h >= min(mask.shape[-2:]):
            break
        valid = mask[..., :-h, :-h] & mask[..., :-h, h:] & mask[..., h:, :-h]
        difference = _relative_steps(inverse_prediction, h) - _relative_steps(inverse_target, h)
        # 1e-10 under the root (the authors: 1e-5, and 0.01 in the denominator): the length has no gradient at zero.
        total = total + masked_mean((difference**2).sum(1, keepdim=True).add(1e-10).sqrt(), valid)
    return total


@in_full_precision
def xian(prediction_m: Tensor, target_m: Tensor) -> Tensor:
    """Xian et al. 2020: gradient matching over four dyadic scales. Equation 3.2 is its first scale.

    Scales are sub-sampled, not averaged, so that invalid pixels never mix with valid ones.
    """
    total = none(prediction_m, target_m)
    for level in range(4):
        s = 2**level
        if min(target_m.shape[-2:]) <= s:
            break
        total = total + gradient_matching(prediction_m[..., ::s, ::s], target_m[..., ::s, ::s])
    return total


@in_full_precision
def godard_modified(prediction_m: Tensor, target_m: Tensor) -> Tensor:
    """Godard et al. 2019 made supervised (thesis 2.1): edges of the true depth, not of the image, allow steps.

    mean |dx d*| exp(-|dx target|) + mean |dy d*| exp(-|dy target|), d* = prediction / (its mean + 1e-7) per image.
    """
    mask = valid_depth(target_m)
    filled = torch.where(mask, prediction_m, 0.0)
    count = mask.sum((1, 2, 3), keepdim=True).clamp(min=1)
    relative = filled / (filled.sum((1, 2, 3), keepdim=True) / count + 1e-7)
    guide = torch.where(mask, target_m, 0.0)
    along_x = step_x(relative).abs() * torch.exp(-step_x(guide).abs())
    along_y = step_y(relative).abs() * torch.exp(-step_y(guide).abs())
    return mean_of_steps(along_x, along_y, mask)


REGULARISERS: dict[str, Regulariser] = {
    "none": Regulariser(none, 0.0),
    "hu": Regulariser(hu, 1.0),
    "eigen": Regulariser(eigen, 1.0),
    # 0.25 x 1500 against 0.5 x 300 for the depth itself.
    "ummenhofer": Regulariser(ummenhofer, 2.5),
    "xian": Regulariser(xian, 0.2),
    "godard_modified": Regulariser(godard_modified, 1e-3),
}
"""The rows of Table 2.1, in its order."""


def find_regulariser(name: str) -> Regulariser:
    """Row of Table 2.1 by name.

    Raises:
        ConfigError: no such row.
    """
    if name not in REGULARISERS:
        raise ConfigError(f"regulariser {name!r} is not known; choose one of {', '.join(REGULARISERS)}")
    return REGULARISERS[name]


def _sobel(depth_B1HW: Tensor) -> Tensor:
    """(B, 2, H - 2, W - 2): Sobel gradients along x and y, unnormalised as in Hu's code."""
    x = depth_B1HW.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    return functional.conv2d(depth_B1HW, torch.stack([x, x.T]).unsqueeze(1))


def _relative_steps(values_B1HW: Tensor, h: int) -> Tensor:
    here, right, below = values_B1HW[..., :-h, :-h], values_B1HW[..., :-h, h:], values_B1HW[..., h:, :-h]
    along_x = (right - here) / (right.abs() + here.abs())
    return torch.cat([along_x, (below - here) / (below.abs() + here.abs())], 1)
