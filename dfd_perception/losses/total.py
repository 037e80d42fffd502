# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Total loss of 2HDED:NET, equation 3.7: depth + lambda * deblurring."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dfd_perception.errors import ConfigError


class WeightedTotal(nn.Module):
    """depth + lambda * deblurring, lambda given or measured.

    The thesis prints no lambda; it asks for "approximately equal contributions". So `deblur_weight=None`
    measures it on the first batch: lambda = depth / deblurring, fixed from then on, the same on all processes,
    and part of the state_dict so that a resumed run goes on unchanged.
    """

    def __init__(self, deblur_weight: float | None = None) -> None:
        super().__init__()
        if deblur_weight is not None and not (math.isfinite(deblur_weight) and deblur_weight >= 0):
            raise ConfigError(f"deblur_weight (lambda) is {deblur_weight}; it must be 0 or more, or null to balance")
        self.deblur_weight = deblur_weight

    def forward(self, depth: Tensor, deblurring: Tensor) -> Tensor:
        """Equation 3.7 of two scalar losses; the first call sets lambda if it was left open."""
        weight = self._balanced(depth, deblurring) if self.deblur_weight is None else self.deblur_weight
        return depth + weight * deblurring

    @torch.no_grad()
    def _balanced(self, depth: Tensor, deblurring: Tensor) -> float:
        values = torch.stack([depth.detach().float().abs(), deblurring.detach().float().abs()])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(values)
        depth_size, deblurring_size = values.tolist()
        # A first batch without depth says nothing: weigh it 1 and measure at the next.
        if not (
            math.isfinite(depth_size) and depth_size > 0 and math.isfinite(deblurring_size) and deblurring_size > 0
        ):
            return 1.0
        self.deblur_weight = depth_size / deblurring_size
        return self.deblur_weight

    def get_extra_state(self) -> dict[str, float | None]:
        """What a checkpoint keeps: lambda, None while it is open."""
        return {"deblur_weight": self.deblur_weight}

    def set_extra_state(self, state: dict[str, float | None]) -> None:
        """Go on with the lambda of a checkpoint."""
        self.deblur_weight = state["deblur_weight"]
