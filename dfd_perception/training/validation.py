# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Measuring a network on samples that it does not learn from, and making its standard deviation true."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from dfd_perception.core.blur_error import BlurErrorBin
from dfd_perception.datasets.sample import DefocusDataset, DefocusSample
from dfd_perception.errors import TrainingError
from dfd_perception.metrics.defocus import BlurErrorAccumulator, DefocusAccumulator
from dfd_perception.metrics.depth import DepthAccumulator
from dfd_perception.metrics.image_quality import DeblurAccumulator
from dfd_perception.network.blur_head import BlurHead
from dfd_perception.network.two_headed import TwoHeadedNet, TwoHeadedOutput
from dfd_perception.training.config_sections import Mode
from dfd_perception.training.loader import tensors_of
from dfd_perception.training.objectives import Objective
from dfd_perception.training.panels import PanelRow
from dfd_perception.training.sources import centre_crop

SHARE_WITHIN_ONE_STD = 0.6827
PIXELS_PER_IMAGE = 4000
PANEL_ROWS = 4


@dataclass
class Validation:
    """Figures of a set: pooled over its pixels, beside the mean loss of its images."""

    metrics: dict[str, float] = field(default_factory=dict)
    rows: list[PanelRow] = field(default_factory=list)
    by_blur: tuple[BlurErrorBin, ...] = ()
    """Error of blur readings by the true blur."""
    std_factor: float = 1.0
    """What every standard deviation must be multiplied by so that 68.27 % of the errors lie within one."""


def monitored(mode: Mode, target: str) -> tuple[str, float]:
    """The figure that says which weights are best, and +1 when less is better, -1 when more is."""
    if mode == "deblur_only":
        return "deblurred.psnr_db", -1.0
    if mode == "self_supervised":
        return "loss", 1.0
    return ("defocus.mae", 1.0) if target == "coc" else ("depth.rmse_m", 1.0)


@torch.inference_mode()
def validate(
    network: TwoHeadedNet,
    objective: Objective,
    dataset: DefocusDataset,
    device: torch.device,
    channels_last: bool = True,
    longest_side_px: int | None = None,
) -> Validation:
    """Run the network in float32 on whole images, one at a time.

    Raises:
        DatasetError: a sample that cannot be read or lacks what the objective needs.
        TrainingError: the network answers what is no number.
    """
    figures = _Figures()
    network.eval()
    for index in range(len(dataset)):
        sample = centre_crop(dataset[index], longest_side_px)
        batch = tensors_of(sample, objective.parts).to(device, channels_last)
        output = network(batch.image, heads=objective.heads)
        _require_numbers(output, sample.name)
        figures.add(sample, output, float(objective(output, batch).total))
    return figures.result()


def calibrate_std(network: TwoHeadedNet, factor: float) -> None:
    """Multiply every standard deviation that the network says by `factor`."""
    if math.isfinite(factor) and factor > 0:
        offset = network.state_dict()["log_var_offset"]
        offset += 2 * math.log(factor)


def temper(network: TwoHeadedNet, evidence: float | None, image_prior: float | None) -> None:
    """Let likelihoods and the image's shares of blur count to these powers (`network.blur_head`); None: as they do."""
    head = network.upper_head
    if isinstance(head, BlurHead):
        for power, value in ((head.evidence, evidence), (head.image_prior, image_prior)):
            if value is not None:
                power.fill_(value)


def _require_numbers(output: TwoHeadedOutput, name: str) -> None:
    for what, answer in (("depth", output.depth_m), ("blur", output.coc_px), ("deblurred image", output.deblurred)):
        if answer is not None and not bool(torch.isfinite(answer).all()):
            raise TrainingError(
                f"validation: the network's {what} of {name} is no number: training has diverged (lower "
                "optimiser.learning_rate), or the weights that it started from are broken; earlier checkpoints are kept"
            )


class _Figures:
    """Sums of a validation."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._ratios: list[NDArray[np.float32]] = []
        self._pairs: list[NDArray[np.float32]] = []
        self._defocus, self._deblurred = DefocusAccumulator(), DeblurAccumulator()
        self._by_blur = BlurErrorAccumulator()
        self._depth = DepthAccumulator(with_edges=False)
        self._has = {"defocus": False, "depth": False, "deblurred": False}
        self._rows: list[PanelRow] = []

    def add(self, sample: DefocusSample, output: TwoHeadedOutput, loss: float) -> None:
        """Take in one image."""
        self._losses.append(loss)
        deblurred = None
        if output.deblurred is not None:
            light = output.deblurred[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy()
            deblurred = (light * 255 + 0.5).astype(np.uint8)
            if sample.aif is not None:
                self._has["deblurred"] = True
                self._deblurred.update(deblurred, sample.aif, sample.defocused, sample.seen)
        predicted, target = self._add_map(sample, output)
        if len(self._rows) < PANEL_ROWS:
            kind: Literal["depth", "blur"] = "blur" if output.depth_m is None else "depth"
            self._rows.append(PanelRow(sample.defocused, deblurred, sample.aif, predicted, target, kind))

    def result(self) -> Validation:
        """The figures of all images."""
        metrics = {"loss": float(np.mean(self._losses))}
        for name, accumulator in (("defocus", self._defocus), ("depth", self._depth), ("deblurred", self._deblurred)):
            if self._has[name]:
                pooled = accumulator.pooled()._asdict()
                metrics |= {f"{name}.{key}": value for key, value in pooled.items() if math.isfinite(value)}
        factor = 1.0
        ratios = np.concatenate(self._ratios) if self._ratios else np.empty(0, np.float32)
        if ratios.size:
            metrics["defocus.share_within_one_std"] = float((ratios <= 1).mean())
            factor = float(np.quantile(ratios, SHARE_WITHIN_ONE_STD))
            predicted, target = np.concatenate(self._pairs, axis=1)
            if predicted.std() > 0 and target.std() > 0:
                metrics["defocus.correlation"] = float(np.corrcoef(predicted, target)[0, 1])
        return Validation(metrics, self._rows, self._by_blur.bins(), factor)

    def _add_map(
        self, sample: DefocusSample, output: TwoHeadedOutput
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        if output.depth_m is not None:
            depth_m = output.depth_m[0, 0].float().cpu().numpy()
            self._add_depth(sample, depth_m)
            return depth_m, sample.depth_m
        if output.coc_px is None or output.coc_log_var is None:
            return None, None
        coc_px = output.coc_px[0, 0].float().cpu().numpy()
        target_px = sample.coc_target_px()
        if target_px is not None:
            self._has["defocus"] = True
            self._defocus.update(coc_px, target_px)
            self._by_blur.update(coc_px, target_px)
            std_px = output.coc_log_var[0, 0].float().mul(0.5).exp().cpu().numpy()
            ratio = (np.abs(coc_px - target_px) / std_px).ravel()
            known = np.isfinite(ratio)
            chosen = np.flatnonzero(known)[:: max(1, np.count_nonzero(known) // PIXELS_PER_IMAGE)]
            self._ratios.append(ratio[chosen])
            self._pairs.append(np.stack([coc_px.ravel()[chosen], target_px.ravel()[chosen]]))
        if sample.curve is not None:
            self._add_depth(sample, sample.curve.depth_m(coc_px))
        return coc_px, target_px

    def _add_depth(self, sample: DefocusSample, depth_m: NDArray[np.float32]) -> None:
        if sample.depth_m is not None:
            self._has["depth"] = True
            self._depth.update(depth_m, sample.depth_m)
