# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How much detail of each size an image holds, place by place: the classical evidence of blur, given to the head.

Blur takes fine detail before coarse, whatever the contrast: in logarithms that is a difference between bands, which a
convolution can take, while a network of ReLUs has to build a quotient first (ratios of band energies as a measure of
blur: Subbarao & Surya, IJCV 13, 1994; of gradients: Zhuo & Sim, Pattern Recognition 44, 2011).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 5
"""Octaves, from neighbouring pixels to sixteen pixels apart."""

CHANNELS = 2 * LEVELS
"""Each octave over a small neighbourhood and over a wide one."""

SCALE = 8.0
"""Of the image before it is squared: float16 holds the energies of an image in [-1, 1] with room on both sides."""

FLOOR = 1e-3
"""Added to an energy: detail of 0.2 % of the range, the step of 8 bits."""


class BandEnergies(nn.Module):
    """Logarithms of the local energy in octaves of detail, at 1/4 of the size. Nothing of it is learnt."""

    binomial: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("binomial", torch.outer(row, row)[None, None], persistent=False)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], H and W multiples of 32, to (B, CHANNELS, H / 4, W / 4)."""
        grey = SCALE * image_B3HW.mean(1, keepdim=True)
        energies = []
        for level in range(LEVELS):
            if level:
                grey = nn.functional.avg_pool2d(grey, 2)
            smooth = nn.functional.conv2d(nn.functional.pad(grey, (1, 1, 1, 1), mode="replicate"), self.binomial)
            energies.append(_at_quarter((grey - smooth).square(), level))
        near = torch.cat(energies, 1)
        wide = nn.functional.avg_pool2d(near, 5, stride=1, padding=2, count_include_pad=False)
        return torch.cat((near, wide), 1).add(FLOOR).log()


def _at_quarter(energy: Tensor, level: int) -> Tensor:
    """The mean energy of a level of the pyramid at 1/4 of the image's size."""
    if level < 2:
        return nn.functional.avg_pool2d(energy, 4 >> level)
    mean = nn.functional.avg_pool2d(energy, 3, stride=1, padding=1, count_include_pad=False)
    if level == 2:
        return mean
    return nn.functional.interpolate(mean, scale_factor=float(1 << (level - 2)), mode="bilinear", align_corners=False)
