# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The two kinds of decoder head: the thesis' five up-projection blocks, and the compact one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dfd_perception.network.compact_encoder import conv_bn_relu


class UpBlock(nn.Module):
    """4x4 transposed convolution (x2), then 3x3 against its aliasing; BN and ReLU after each (section 3.1).

    `dropout` is element-wise, as in the reference implementation's two deepest blocks.
    """

    def __init__(self, in_channels: int, out_channels: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = torch.relu(self.dropout(self.bn1(self.conv1(x_BCHW))))
        return torch.relu(self.dropout(self.bn2(self.conv2(x))))


class Decoder(nn.Module):
    """Blocks 5 to 1 and a linear 3x3 output: 1/32 to full size (thesis: 17.2 M parameters a head).

    Skips are concatenated encoder first, decoder second.
    """

    widths = (512, 256, 128, 64, 64)

    def __init__(
        self,
        bottleneck: int,
        skip_channels: tuple[int, ...],
        out_channels: int,
        *,
        skips: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.skips = skips
        joins = (0, *reversed(skip_channels)) if skips else (0,) * 5
        ins = [bottleneck, *self.widths[:-1]]
        self.blocks = nn.ModuleList(
            UpBlock(i + join, width, dropout if index < 2 else 0.0)
            for index, (i, join, width) in enumerate(zip(ins, joins, self.widths, strict=True))
        )
        self.last_conv = nn.Conv2d(self.widths[-1], out_channels, 3, padding=1, bias=False)

    def forward(self, skips: list[Tensor], bottleneck: Tensor) -> Tensor:
        x = self.blocks[0](bottleneck)
        for block, skip in zip(self.blocks[1:], reversed(skips), strict=True):
            x = block(torch.cat((skip, x), 1) if self.skips else x)
        return self.last_conv(x)


class CompactDecoder(nn.Module):
    """The first of those blocks, narrower; the rest mirror the stem: coarse features shuffled to full size.

    `widths` are those of the up-projections and, last, of the layer that merges them with the finest skip: four
    stop at 1/4 of the input size (enough for a blur map), five at 1/2 (for an image). The last up-projection
    has no 3x3 layer of its own: the merging one takes its place.
    """

    def __init__(
        self, bottleneck: int, skip_channels: tuple[int, ...], out_channels: int, widths: tuple[int, ...]
    ) -> None:
        super().__init__()
        *up_widths, merged = widths
        coarse_first = tuple(reversed(skip_channels))[: len(up_widths)]
        joins = (0, *coarse_first[:-1])
        ins = [i + j for i, j in zip((bottleneck, *up_widths), joins, strict=False)]
        self.blocks = nn.ModuleList(UpBlock(i, w, bias=False) for i, w in zip(ins[:-1], up_widths[:-1], strict=True))
        self.up = nn.Sequential(
            nn.ConvTranspose2d(ins[-1], up_widths[-1], 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(up_widths[-1]),
            nn.ReLU(inplace=True),
        )
        self.merge = conv_bn_relu(up_widths[-1] + coarse_first[-1], merged)
        upscale = 2 ** (5 - len(up_widths))
        self.last_conv = nn.Conv2d(merged, upscale**2 * out_channels, 3, padding=1)
        self.shuffle = nn.PixelShuffle(upscale)

    def forward(self, skips: list[Tensor], bottleneck: Tensor) -> Tensor:
        x = bottleneck
        joins = skips[::-1][: len(self.blocks) + 1]
        for block, skip in zip(self.blocks, joins[:-1], strict=True):
            x = torch.cat((skip, block(x)), 1)
        merged = self.merge(torch.cat((joins[-1], self.up(x)), 1))
        return self.shuffle(self.last_conv(merged))
