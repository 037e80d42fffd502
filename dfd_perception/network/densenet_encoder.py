# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""DenseNet-121 with the changed stem of 2HDED:NET (Carvalho et al. 2018; thesis section 3.1).

Names follow torchvision's `densenet121().features`, so that its weights load one to one; only the stem
differs: a 3x3 stride-2 convolution instead of 7x7, and a 4x4 stride-2 convolution instead of max-pooling.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

GROWTH = 32
BLOCK_LAYERS = (6, 12, 24, 16)


class DenseLayer(nn.Module):
    """BN, ReLU, 1x1 to 4 x GROWTH; BN, ReLU, 3x3 to GROWTH (pre-activation)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 4 * GROWTH, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * GROWTH)
        self.conv2 = nn.Conv2d(4 * GROWTH, GROWTH, 3, padding=1, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        hidden = self.conv1(torch.relu(self.norm1(x_BCHW)))
        return self.conv2(torch.relu(self.norm2(hidden)))


class DenseBlock(nn.Module):
    """Layers that each see the concatenation of all before them."""

    def __init__(self, layers: int, in_channels: int) -> None:
        super().__init__()
        for index in range(layers):
            self.add_module(f"denselayer{index + 1}", DenseLayer(in_channels + index * GROWTH))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        features = [x_BCHW]
        for layer in self.children():
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


class Transition(nn.Module):
    """BN, ReLU, 1x1; the pooling that follows is applied by the encoder, after the skip is taken."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.conv(torch.relu(self.norm(x_BCHW)))


class DenseNetEncoder(nn.Module):
    """Image to four skips and a bottleneck: 7,011,840 parameters.

    `skip_channels` are those of the taps at 1/2, 1/4, 1/8 and 1/16 of the input size;
    `out_channels` that of the bottleneck at 1/32.
    """

    skip_channels = (64, 128, 256, 512)
    out_channels = 1024

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.norm0 = nn.BatchNorm2d(64)
        self.downconv0 = nn.Conv2d(64, 64, 4, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(64)
        channels = 64
        for index, layers in enumerate(BLOCK_LAYERS, start=1):
            self.add_module(f"denseblock{index}", DenseBlock(layers, channels))
            channels += layers * GROWTH
            if index < len(BLOCK_LAYERS):
                self.add_module(f"transition{index}", Transition(channels, channels // 2))
                channels //= 2
        self.norm5 = nn.BatchNorm2d(channels)

    def forward(self, x_BCHW: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, 3, H, W) with H, W multiples of 32 to ([skip at 1/2, 1/4, 1/8, 1/16], bottleneck at 1/32)."""
        stem = nn.functional.leaky_relu(self.norm0(self.conv0(x_BCHW)), 0.2)
        skips = [stem]
        x = nn.functional.leaky_relu(self.norm1(self.downconv0(stem)), 0.2)
        for index in (1, 2, 3):
            x = self.get_submodule(f"denseblock{index}")(x)
            x = self.get_submodule(f"transition{index}")(x)
            skips.append(x)
            x = nn.functional.avg_pool2d(x, 2)
        x = self.get_submodule("denseblock4")(x)
        return skips, nn.functional.leaky_relu(self.norm5(x), 0.2)
