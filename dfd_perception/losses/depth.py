# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth losses of thesis chapter 3, equations 3.1 to 3.3. Depth is (B, 1, H, W) in metres, target NaN where invalid."""

from __future__ import annotations

from torch import Tensor

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
