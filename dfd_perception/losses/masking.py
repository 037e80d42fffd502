# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Means over valid pixels only, without NaN in values or gradients. Legend: B batch, C channels, H height, W width."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_depth(target_m: Tensor) -> Tensor:
    """Where a target is a measurement: finite and positive. Boolean, shape of the target."""
    return torch.isfinite(target_m) & (target_m > 0)


def masked_difference(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """prediction - target where valid, 0 with zero gradient elsewhere (NaN * 0 would still be NaN)."""
    return torch.where(mask, prediction - torch.where(mask, target, 0.0), 0.0)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the valid values; 0, still attached to the graph, when there is none."""
    # Sum in float32: a full image of bf16 values would lose the small ones.
    total = torch.where(mask, values, 0.0).sum(dtype=torch.promote_types(values.dtype, torch.float32))
    return total / mask.sum().clamp(min=1)


def step_x(values_BCHW: Tensor) -> Tensor:
    """Forward difference along x, (B, C, H, W - 1)."""
    return values_BCHW[..., :, 1:] - values_BCHW[..., :, :-1]


def step_y(values_BCHW: Tensor) -> Tensor:
    """Forward difference along y, (B, C, H - 1, W)."""
    return values_BCHW[..., 1:, :] - values_BCHW[..., :-1, :]


def mean_of_steps(along_x: Tensor, along_y: Tensor, mask: Tensor) -> Tensor:
    """Mean of what was made of `step_x`, plus that of `step_y`, over the steps of which both ends are valid."""
    both_x = mask[..., :, 1:] & mask[..., :, :-1]
    both_y = mask[..., 1:, :] & mask[..., :-1, :]
    return masked_mean(along_x, both_x) + masked_mean(along_y, both_y)
