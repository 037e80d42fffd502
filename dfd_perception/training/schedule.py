# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Learning rate over a run, and the weights averaged along it."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from dfd_perception.training.config_sections import OptimiserConfig


def learning_rate(config: OptimiserConfig, step: int, progress: float) -> float:
    """Rate of a step (counted from 0); `progress` is the share of the run that is over.

    >>> learning_rate(OptimiserConfig(learning_rate=1.0, warmup_steps=4), 0, 0.0)
    0.25
    """
    rise = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    factor = 1.0
    if config.schedule == "cosine":
        half_wave = 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
        factor = config.final_share + (1 - config.final_share) * half_wave
    elif config.schedule == "step":
        factor = config.step_factor ** (step // config.step_every)
    return config.learning_rate * rise * factor


class AveragedWeights:
    """Exponential average of a network's parameters and statistics, over fewer steps at the start."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step (counted from 1)."""
        decay = min(self._decay, step / (step + 50))
        averaged, current = [], []
        for mean, value in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                averaged.append(mean)
                current.append(value)
            else:
                mean.copy_(value)
        torch._foreach_lerp_(averaged, current, 1 - decay)
