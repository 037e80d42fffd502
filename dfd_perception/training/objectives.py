# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a step minimises, by mode and target. Each says which heads run and which parts of a sample it needs."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dfd_perception.core.blur_bins import bin_centres_px
from dfd_perception.core.prediction import Heads
from dfd_perception.losses.defocus import blur_cross_entropy, border_loss, coc_nll, self_supervised_loss
from dfd_perception.losses.image import charbonnier, deblur_loss
from dfd_perception.losses.masking import masked_difference, masked_mean
from dfd_perception.losses.reblur import reblur_by_bank
from dfd_perception.losses.regularisers import depth_loss, find_regulariser, l1_depth
from dfd_perception.losses.total import WeightedTotal
from dfd_perception.network.two_headed import Target, TwoHeadedOutput
from dfd_perception.training.config_sections import ObjectiveConfig
from dfd_perception.training.loader import Batch


class LossTerms(NamedTuple):
    """A scalar to minimise and what it is made of, unweighted, for the log."""

    total: Tensor
    terms: dict[str, Tensor]


class Objective(nn.Module):
    """Base: `heads` to run, `parts` of a sample to load."""

    heads: Heads = "both"
    parts: tuple[str, ...] = ()

    def __init__(self, config: ObjectiveConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, output: TwoHeadedOutput, batch: Batch) -> LossTerms:
        """Loss of what the network said of a batch (float32)."""
        raise NotImplementedError


class SupervisedDepth(Objective):
    """Equation 3.7: depth (3.3, or L1 and a row of Table 2.1) + lambda * deblurring (3.6)."""

    parts = ("depth_m", "aif")

    def __init__(self, config: ObjectiveConfig) -> None:
        super().__init__(config)
        self.total = WeightedTotal(config.deblur_weight)

    def forward(self, output: TwoHeadedOutput, batch: Batch) -> LossTerms:
        depth = depth_term(output, batch, self.config)
        deblurring = deblurring_term(output, batch, self.config)
        return LossTerms(self.total(depth, deblurring), {"depth": depth, "deblurring": deblurring})


class DepthOnly(Objective):
    """The upper head alone, target depth."""

    heads = "depth"
    parts = ("depth_m",)

    def forward(self, output: TwoHeadedOutput, batch: Batch) -> LossTerms:
        depth = depth_term(output, batch, self.config)
        return LossTerms(depth, {"depth": depth})


class SupervisedCoc(Objective):
    """Blur (`coc_terms`) + Charbonnier (3.4) of the image."""

    parts = ("coc_px", "aif")

    def forward(self, output: TwoHeadedOutput, batch: Batch) -> LossTerms:
        blur, terms = coc_terms(output, batch, self.config)
        deblurring = charbonnier(_of(output.deblurred), batch.parts["aif"], mask=batch.parts.get("seen"))
        return LossTerms(blur + self.config.aif_weight * deblurring, {**terms, "deblurring": deblurring})


class CocOnly(Objective):
    """The upper head alone, target coc."""

    heads = "depth"
    parts = ("coc_px",)

    def forward(self, output: TwoHeadedOutput, batch: Batch) -> LossTerms:
        return LossTerms(*coc_terms(output, batch, self.config))


class DeblurOnly(Objective):
    """The lower head alone, equation 3.6."""

    heads = "deblurred"
    parts = ("aif",)

    def forward(self, output: TwoHeadedOutput, batch: Batch) -> LossTerms:
        deblurring = deblurring_term(output, batch, self.config)
        return LossTerms(deblurring, {"deblurring": deblurring})


SMALLEST_ADDED_PX = 0.05


class SelfSupervisedDefocus(Objective):
    """Equation 5.4: the true all-in-focus image, blurred again with the predicted map, must be the input.

    No depth and no lens are needed. The map is the total blur R; of it the all-in-focus image carries the camera's
    floor c0 already, so it is blurred by sqrt(R^2 - c0^2). The log-variance learns nothing here; the end of a run
    scales it where truth is.
    """

    parts = ("aif",)

    def forward(self, output: TwoHeadedOutput, batch: Batch) -> LossTerms:
        config, aif, coc_px = self.config, batch.parts["aif"], _of(output.coc_px)
        # Below the floor nothing is left to lay on; the small number keeps the slope of the root finite there.
        added_px = (coc_px**2 - config.blur_floor_px**2).clamp(min=SMALLEST_ADDED_PX**2).sqrt()
        light = reblur_by_bank(aif**config.gamma, added_px, config.sigma_per_coc, config.largest_coc_px)
        reblurred = light.clamp(min=1e-6) ** (1 / config.gamma)
        # The thesis does not state the unit of its map. In px the smoothness outweighs the rest and the map stays
        # flat (seen in a trial); as a share of the widest blur it does what it is for.
        share = coc_px / config.largest_coc_px
        loss = self_supervised_loss(
            reblurred, batch.image, share, _of(output.deblurred), aif,
            seen=batch.parts.get("seen"), reach_px=math.ceil(config.largest_coc_px / 2),
        )  # fmt: skip
        # The log-variance head takes part with weight zero: every trained tensor needs a gradient under DDP.
        total = loss.total + 0.0 * _of(output.coc_log_var).mean()
        return LossTerms(total, {"reblur": loss.reblur, "smoothness": loss.smooth, "deblurring": loss.deblur})


def create_objective(config: ObjectiveConfig, target: Target) -> Objective:
    """The objective of a recipe.

    Raises:
        ConfigError: an unknown regulariser.
    """
    find_regulariser(config.regulariser)
    if config.mode == "deblur_only":
        return DeblurOnly(config)
    if config.mode == "self_supervised":
        return SelfSupervisedDefocus(config)
    if target == "coc":
        return SupervisedCoc(config) if config.mode == "supervised" else CocOnly(config)
    return SupervisedDepth(config) if config.mode == "supervised" else DepthOnly(config)


def deblurring_term(output: TwoHeadedOutput, batch: Batch, config: ObjectiveConfig) -> Tensor:
    """Equation 3.6, where the all-in-focus image was seen."""
    return deblur_loss(_of(output.deblurred), batch.parts["aif"], config.ssim_weight, mask=batch.parts.get("seen"))


def depth_term(output: TwoHeadedOutput, batch: Batch, config: ObjectiveConfig) -> Tensor:
    """Equation 3.3, or L1 and the named row of Table 2.1."""
    prediction_m, target_m = _of(output.depth_m), batch.parts["depth_m"]
    if config.regulariser == "none":
        return depth_loss(prediction_m, target_m, config.gradient_weight)
    row = find_regulariser(config.regulariser)
    weight = row.weight if config.regulariser_weight is None else config.regulariser_weight
    return l1_depth(prediction_m, target_m) + weight * row.term(prediction_m, target_m)


def coc_terms(output: TwoHeadedOutput, batch: Batch, config: ObjectiveConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of the blur and its terms: mean |error| [px], likelihood, borders.

    The likelihood is the cross-entropy of the distribution where the network states one. Else it is Laplace's with the
    error held fixed: the log-variance learns the spread of the errors without telling the mean which of them to leave.
    """
    coc_px, target_px = _of(output.coc_px), batch.parts["coc_px"]
    mask = torch.isfinite(target_px)
    terms = {"coc_l1_px": masked_mean(masked_difference(coc_px, target_px, mask).abs(), mask)}
    if output.coc_logits is not None:
        centres_px = torch.from_numpy(bin_centres_px(output.coc_logits.shape[1])).to(coc_px.device)
        terms["coc_nll"] = blur_cross_entropy(output.coc_logits, target_px, centres_px)
    else:
        terms["coc_nll"] = coc_nll(coc_px.detach(), _of(output.coc_log_var), target_px)
    terms["border_px"] = border_loss(coc_px, target_px)
    weights = {"coc_l1_px": 1.0, "coc_nll": config.nll_weight, "border_px": config.border_weight}
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum(), terms


def _of(part: Tensor | None) -> Tensor:
    assert part is not None, "a head that this objective asked for did not run"
    return part.float()
