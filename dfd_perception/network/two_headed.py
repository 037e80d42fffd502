# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""2HDED:NET: one encoder, an upper head for depth or defocus, a lower head for the all-in-focus image.

S. Nazir, L. Vaquero, M. Mucientes, V. Brea, D. Coltuc, "Depth Estimation and Image Restoration by Deep
Learning from Defocused Images", IEEE TCI 9, 2023; PhD thesis, chapters 3 (depth) and 5 (defocus map).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from dfd_perception.core.network_geometry import SIZE_MULTIPLE
from dfd_perception.core.prediction import Heads
from dfd_perception.core.size import Size
from dfd_perception.errors import ModelError
from dfd_perception.network.blur_head import BlurHead
from dfd_perception.network.compact_encoder import CompactEncoder
from dfd_perception.network.decoder import CompactDecoder, Decoder
from dfd_perception.network.densenet_encoder import DenseNetEncoder

Target = Literal["depth", "coc"]
HeadDecoder: TypeAlias = Decoder | CompactDecoder | BlurHead

COC_UNIT_PX = 4.0
"""Pixels per unit of the raw upper output, so that it starts near the middle of the usual range."""

LOG_VAR_LIMIT = 8.0

START_DEPTH_M = 2.0
"""Where depth starts: at nothing, losses on logarithms and ratios of depth drown every other term."""


class TwoHeadedOutput(NamedTuple):
    """What the heads give; None for a head or target that did not run. All maps have the input's size."""

    depth_m: Tensor | None = None
    """(B, 1, H, W) z-depth in metres, unbounded (thesis chapter 3)."""
    coc_px: Tensor | None = None
    """(B, 1, H, W) circle of confusion diameter in pixels, not negative."""
    coc_log_var: Tensor | None = None
    """(B, 1, H, W) log of the variance of `coc_px` [log px^2]."""
    coc_logits: Tensor | None = None
    """(B, bins, h, w) log-likelihood of each bin of blur at 1/4 of the padded size (networks that state one)."""
    deblurred: Tensor | None = None
    """(B, 3, H, W) all-in-focus RGB in [0, 1]; not clamped while training."""


class TwoHeadedNet(nn.Module):
    """One encoder, two heads that run together or alone."""

    log_var_offset: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        upper_head: HeadDecoder,
        lower_head: HeadDecoder,
        target: Target,
        *,
        tanh: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.upper_head = upper_head
        self.lower_head = lower_head
        self.target = target
        self.tanh = tanh
        self.register_buffer("log_var_offset", torch.zeros(()))

    def forward(
        self, image_B3HW: Tensor, heads: Heads = "both", blur_log_prior: Tensor | None = None
    ) -> TwoHeadedOutput:
        """Run the asked heads on (B, 3, H, W) float32 RGB in [0, 1], any size: padded to 32 and cropped back.

        `blur_log_prior` (1 or B, bins, 1, 1): what lens and working range leave possible (core.blur_bins), for
        networks that state a distribution over blur; the others take no notice.
        """
        height, width = image_B3HW.shape[-2:]
        x = pad_to_multiple(image_B3HW * 2 - 1)
        skips, bottleneck = self.encoder(x)
        upper, deblurred = TwoHeadedOutput(), None
        if heads != "deblurred":
            upper = self._upper(x, skips, bottleneck, (height, width), blur_log_prior)
        if heads != "depth":
            deblurred = self._deblurred(x, skips, bottleneck)[..., :height, :width]
        return upper._replace(deblurred=deblurred)

    @property
    def bins(self) -> int:
        """Number of bins of blur that the network states a distribution over; 0: it states none."""
        return len(self.upper_head.centres_px) if isinstance(self.upper_head, BlurHead) else 0

    def _upper(
        self, x: Tensor, skips: list[Tensor], bottleneck: Tensor, size: Size, blur_log_prior: Tensor | None
    ) -> TwoHeadedOutput:
        height, width = size
        if isinstance(self.upper_head, BlurHead):
            blur = self.upper_head(x, skips, bottleneck, blur_log_prior)
            return TwoHeadedOutput(
                coc_px=blur.coc_px[..., :height, :width],
                coc_log_var=blur.variance_px2[..., :height, :width].log() + self.log_var_offset,
                coc_logits=blur.logits,
            )
        upper = self.upper_head(skips, bottleneck)[..., :height, :width]
        if self.target == "depth":
            return TwoHeadedOutput(depth_m=upper)
        coc_px = COC_UNIT_PX * nn.functional.softplus(upper[:, :1])
        log_var = upper[:, 1:].clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT) + self.log_var_offset
        return TwoHeadedOutput(coc_px=coc_px, coc_log_var=log_var)

    def _deblurred(self, x: Tensor, skips: list[Tensor], bottleneck: Tensor) -> Tensor:
        # The "input joint layer" of the thesis: the head predicts what to add to the defocused image.
        deblurred = x + self.lower_head(skips, bottleneck)
        if self.tanh:
            deblurred = torch.tanh(deblurred)
        deblurred = (deblurred + 1) / 2
        return deblurred if self.training else deblurred.clamp(0, 1)


def pad_to_multiple(x_BCHW: Tensor, multiple: int = SIZE_MULTIPLE) -> Tensor:
    """Extend right and bottom to a multiple of `multiple` by repeating the border; unchanged if it is one already."""
    height, width = x_BCHW.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if not (bottom or right):
        return x_BCHW
    # Replication, since reflection refuses a pad larger than the image (a 16-pixel strip, say).
    return nn.functional.pad(x_BCHW, (0, right, 0, bottom), mode="replicate")


def create_network(variant: str, target: Target = "depth", **options: Any) -> TwoHeadedNet:
    """Build `2hded` (thesis, 41,414,400 parameters for depth) or `2hded-small` with random weights.

    Options of `2hded`: skips (True), dropout (0.0; the reference used 0.5 on NYU), tanh (False).
    Options of `2hded-small`: tanh, `encoder` (a mapping, see CompactEncoder), `upper_widths`, `lower_widths`, and with
    target coc `bins` (28) of the distribution that the upper head states.

    Raises:
        ModelError: unknown variant, target or option.
    """
    if target not in ("depth", "coc"):
        raise ModelError(f"target is {target!r}; expected 'depth' or 'coc'")
    if variant not in BUILDERS:
        raise ModelError(f"variant is {variant!r}; expected one of {', '.join(BUILDERS)}")
    tanh = options.pop("tanh", False)
    try:
        encoder, upper, lower = BUILDERS[variant](target, **options)
    except TypeError as error:
        raise ModelError(f"options of {variant}: {error}") from error
    network = TwoHeadedNet(encoder, upper, lower, target, tanh=tanh)
    network.apply(_initialise)
    # Heads that start near nothing: the all-in-focus image begins as the input itself, not as noise on it.
    for head in (network.upper_head, network.lower_head):
        if isinstance(head, BlurHead):
            head.start_at_little_blur()
            continue
        nn.init.normal_(head.last_conv.weight, std=1e-3)
        if head is network.upper_head and target == "depth" and head.last_conv.bias is not None:
            nn.init.constant_(head.last_conv.bias, START_DEPTH_M)
    return network


def _thesis_parts(target: Target, *, skips: bool = True, dropout: float = 0.0) -> tuple[nn.Module, Decoder, Decoder]:
    encoder = DenseNetEncoder()
    upper_channels = 1 if target == "depth" else 2
    heads = [
        Decoder(encoder.out_channels, encoder.skip_channels, channels, skips=skips, dropout=dropout)
        for channels in (upper_channels, 3)
    ]
    return encoder, heads[0], heads[1]


def _compact_parts(
    target: Target,
    *,
    encoder: dict[str, Any] | None = None,
    upper_widths: tuple[int, ...] | None = None,
    lower_widths: tuple[int, ...] = (64, 48, 32, 16, 16),
    bins: int = 28,
) -> tuple[nn.Module, CompactDecoder | BlurHead, CompactDecoder]:
    if not 2 <= len(lower_widths) <= 5:
        raise ModelError(f"lower_widths is {list(lower_widths)}; expected two to five numbers of channels")
    trunk = CompactEncoder(**{"fine": 24, **(encoder or {})})
    lower = CompactDecoder(trunk.out_channels, trunk.skip_channels, 3, tuple(lower_widths))
    if target == "depth":
        widths = tuple(upper_widths or (64, 64, 16, 32))
        if not 2 <= len(widths) <= 5:
            raise ModelError(f"upper_widths is {list(widths)}; expected two to five numbers of channels")
        return trunk, CompactDecoder(trunk.out_channels, trunk.skip_channels, 1, widths), lower
    widths = tuple(upper_widths or (64, 64, 40, 24))
    if len(widths) != 4:
        raise ModelError(
            f"upper_widths is {list(widths)}; a head for blur has four: two up-projections, merge, guidance. "
            "A model of an older release still runs by its model.onnx; to train it further, start from new weights"
        )
    return trunk, BlurHead(trunk.out_channels, trunk.skip_channels, bins, widths), lower


BUILDERS: dict[str, Callable[..., tuple[nn.Module, HeadDecoder, Decoder | CompactDecoder]]] = {
    "2hded": _thesis_parts,
    "2hded-small": _compact_parts,
}


def _initialise(module: nn.Module) -> None:
    """He initialisation; the reference's N(0, 0.02) starves a narrow network of gradient."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
