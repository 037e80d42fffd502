# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The upper head of `2hded-small` for blur: a distribution over the circle of confusion, upsampled along image edges.

The thesis' up-projections end at 1/4 of the size, where each pixel states how likely each bin of blur is. A reading and
its spread follow from that, so the spread is a real uncertainty (ordinal targets: Fu et al., DORN, CVPR 2018), and what
a lens makes impossible enters as a log-prior. The reading is taken in u = asinh(c / 2), where the bins are evenly
spaced: blurs are told apart by their ratio. The spread is taken in pixels: where a plain surface could as well be far
wider than the reading, a spread that grows with the reading itself would be small just there.

The reading is a quantile and not the mean. At a border two blurs are likely: the mean is the one between them that is
neither, a quantile is one of the two. It lies a little below the median: depth grows faster than blur, so that too much
blur costs more than too little (a quantile has the least absolute error of that kind: Koenker & Bassett, Econometrica
46, 1978). While a network learns, the mean stands in: its gradient reaches every bin.

The likelihoods are learnt from scenes that are drawn. On other images they are as often right and much too sure, since
what the network never saw misleads it alike over a whole surface. Tempered (raised to a power below one, `evidence`),
they leave more to the prior: what lens and range allow (Guo et al., On Calibration of Modern Neural Networks, ICML
2017), and, to the power `image_prior`, how often the image shows each blur: one step of expectation maximisation for
the weights of a mixture (Dempster, Laird & Rubin, JRSS B 39, 1977). The likelihoods themselves, which the cross-entropy
is of, stay as they are.

The maps grow to 1/2 as convex combinations of their neighbours (Teed & Deng, RAFT, ECCV 2020), weighted by features of
1/2 of the size, which see the borders. Each of the 2x2 new pixels has weights of its own, which differ a little where
the blur is the same: a fine grid, which a binomial filter takes out. The rest is linear.

The head is also given how much detail of each size an image holds, place by place: the classical evidence of blur,
which takes fine detail before coarse, whatever the contrast. In logarithms that is a difference between bands, which a
convolution can take, while a network of ReLUs has to build a quotient first (ratios of band energies as a measure of
blur: Subbarao & Surya, IJCV 13, 1994; of gradients: Zhuo & Sim, Pattern Recognition 44, 2011).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dfd_perception.core.blur_bins import bin_centres_px, bin_levels
from dfd_perception.network.compact_encoder import conv_bn_relu
from dfd_perception.network.decoder import UpBlock

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


QUANTILE = 0.43
"""Share of the distribution below the reading."""

LEAST_VARIANCE_PX2 = 0.01

LEAST_LIKELIHOOD = 0.01
"""Of a bin that the quantile is looked for in: between two blurs that are both likely, what rounding does to a share
moves the reading no farther than a hundred times as many bins."""

LEAST_SHARE = 1e-3
"""Added to the share of an image that a blur has: what it shows nowhere stays possible."""


class BlurDistribution(NamedTuple):
    """What the head says of the blur; maps have the size of the head's input image."""

    coc_px: Tensor
    """(B, 1, H, W) 2 sinh of the quantile of asinh(c / 2) [px]; of its mean while the network learns."""
    variance_px2: Tensor
    """(B, 1, H, W) mean square of the distribution about it [px^2]."""
    logits: Tensor
    """(B, bins, H / 4, W / 4) log-likelihood of each bin, without the prior and unnormalised."""


class BlurHead(nn.Module):
    """Bottleneck and skips to a distribution over blur.

    `widths` are those of two up-projections (to 1/8), of the merge at 1/4, and of the guidance of the upsampling; the
    last is also that of what is made of the band energies.
    """

    centres_px: Tensor
    levels: Tensor
    """asinh(c / 2) of the bins, evenly spaced."""
    evidence: Tensor
    """Power that the likelihoods are raised to before reading and spread are taken from them; 1: as learnt."""
    image_prior: Tensor
    """Power of the image's own shares of blur in the prior; 0: they count for nothing."""

    def __init__(
        self, bottleneck: int, skip_channels: tuple[int, ...], bins: int, widths: tuple[int, int, int, int]
    ) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = skip_channels
        first, second, merged, guide = widths
        self.blocks = nn.ModuleList(
            (UpBlock(bottleneck, first, bias=False), UpBlock(first + sixteenth, second, bias=False))
        )
        # Interpolated, not transposed: the checkerboard of a transposed convolution would carry signal here.
        self.energies = nn.Sequential(BandEnergies(), conv_bn_relu(CHANNELS, guide, kernel=1))
        self.up = conv_bn_relu(second + eighth + guide, guide, kernel=1)
        self.merge = conv_bn_relu(guide + quarter + guide, merged)
        self.refine = conv_bn_relu(merged, merged)
        self.logits = nn.Conv2d(merged, bins, 1)
        self.borders = nn.Sequential(nn.PixelUnshuffle(2), conv_bn_relu(4 * half, guide, kernel=1))
        self.guide = conv_bn_relu(guide + merged, guide)
        self.weights = nn.Conv2d(guide, 9 * 4, 1)
        self.register_buffer("centres_px", torch.from_numpy(bin_centres_px(bins)), persistent=False)
        self.register_buffer("levels", torch.from_numpy(bin_levels(bins)).float(), persistent=False)
        self.register_buffer("evidence", torch.ones(()))
        self.register_buffer("image_prior", torch.zeros(()))

    def start_at_little_blur(self) -> None:
        """Say about 2 px everywhere: the same for every image, and within the range of any re-blurring loss."""
        nn.init.normal_(self.logits.weight, std=1e-3)
        with torch.no_grad():
            assert self.logits.bias is not None
            self.logits.bias.copy_(-self.centres_px / 4)

    def forward(
        self, image: Tensor, skips: list[Tensor], bottleneck: Tensor, log_prior: Tensor | None = None
    ) -> BlurDistribution:
        """The image in [-1, 1], skips at 1/2, 1/4, 1/8, 1/16 and the bottleneck; `log_prior` (1 or B, bins, 1, 1)."""
        half, quarter, eighth, sixteenth = skips
        energies = self.energies(image)
        x = torch.cat((sixteenth, self.blocks[0](bottleneck)), 1)
        x = torch.cat((eighth, self.blocks[1](x), nn.functional.avg_pool2d(energies, 2)), 1)
        x = nn.functional.interpolate(self.up(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        features = self.refine(self.merge(torch.cat((quarter, x, energies), 1)))
        logits = self.logits(features)
        moments = self._moments(torch.softmax(self._log_posterior(logits, log_prior), dim=1))
        weights = self.weights(self.guide(torch.cat((self.borders(half), features), 1)))
        fine = without_grid(convex_upsampled(moments, weights))
        fine = torch.cat((_in_pixels(fine[:, :1]), fine[:, 1:]), 1)
        fine = nn.functional.interpolate(fine, scale_factor=2.0, mode="bilinear", align_corners=False)
        coc_px, square_px2 = fine[:, :1], fine[:, 1:]
        # Mixed like the blur, the square says at a border how far apart both sides are.
        variance_px2 = (square_px2 - coc_px.square()).clamp(min=0) + LEAST_VARIANCE_PX2
        return BlurDistribution(coc_px, variance_px2, logits)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Weights of before hold neither power: all evidence counted, and no image's shares."""
        state_dict.setdefault(prefix + "evidence", torch.ones(()))
        state_dict.setdefault(prefix + "image_prior", torch.zeros(()))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _log_posterior(self, logits: Tensor, log_prior: Tensor | None) -> Tensor:
        """(B, bins, h, w), unnormalised: tempered likelihoods, what is possible, and what the image shows elsewhere."""
        tempered = logits.float() * self.evidence
        if log_prior is not None:
            tempered = tempered + log_prior
        shares = torch.softmax(tempered, dim=1).mean((2, 3), keepdim=True)
        return tempered + self.image_prior * (shares + LEAST_SHARE).log()

    def _moments(self, posterior: Tensor) -> Tensor:
        """(B, 2, h, w) the reading in u = asinh(c / 2), and the mean square of c about it plus its square [px^2]."""
        # In full precision, and as sums and not as a convolution, since what lies between convolutions is what a
        # float16 engine computes in half.
        levels, centres_px = (bins.float()[None, :, None, None] for bins in (self.levels, self.centres_px))
        reading = (posterior * levels).sum(1, keepdim=True) if self.training else self._quantile(posterior)
        coc_px = _in_pixels(reading)
        spread_px2 = (posterior * (centres_px - coc_px).square()).sum(1, keepdim=True)
        return torch.cat((reading, coc_px.square() + spread_px2), 1)

    def _quantile(self, posterior: Tensor) -> Tensor:
        """(B, 1, h, w) where QUANTILE of the distribution lies below; a bin's share is spread evenly over it."""
        before = posterior.cumsum(1) - posterior
        passed = ((QUANTILE - before) / posterior.clamp(min=LEAST_LIKELIHOOD)).clamp(0, 1).sum(1, keepdim=True)
        width = self.levels[1].float()
        return ((passed - 0.5) * width).clamp(min=0)


def _in_pixels(reading: Tensor) -> Tensor:
    """u = asinh(c / 2) to c [px]."""
    grown = reading.exp()
    return grown - grown.reciprocal()


def without_grid(maps_BCHW: Tensor) -> Tensor:
    """Filtered by the binomial of 3x3, which is zero at a period of two pixels: two means of 2x2."""
    padded = nn.functional.pad(maps_BCHW, (1, 1, 1, 1), mode="replicate")
    return nn.functional.avg_pool2d(nn.functional.avg_pool2d(padded, 2, stride=1), 2, stride=1)


def convex_upsampled(maps_BCHW: Tensor, weights_B36HW: Tensor) -> Tensor:
    """Twice the size: each new pixel a convex combination of the 3x3 neighbours of its old one.

    Args:
        maps_BCHW: values.
        weights_B36HW: logits of the nine neighbours for each of the 2x2 new pixels, neighbours first.
    """
    batch, channels, height, width = maps_BCHW.shape
    weights = torch.softmax(weights_B36HW.float().view(batch, 9, 4, height, width), dim=1)
    padded = nn.functional.pad(maps_BCHW, (1, 1, 1, 1), mode="replicate")
    total: Tensor | None = None
    for index in range(9):
        row, column = divmod(index, 3)
        neighbour = padded[:, :, row : row + height, column : column + width]
        term = neighbour[:, :, None] * weights[:, index, None]
        total = term if total is None else total + term
    assert total is not None
    return nn.functional.pixel_shuffle(total.view(batch, 4 * channels, height, width), 2)
