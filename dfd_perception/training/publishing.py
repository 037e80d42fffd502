# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The end of a run: a model folder that the node loads, its card saying what it has seen and how well it does."""

from __future__ import annotations

import copy
import datetime
from pathlib import Path
from typing import Literal

import torch

from dfd_perception.core.blur_error import BY_BLUR_KEY, BlurErrorBin
from dfd_perception.core.image_protocol import ImageProtocol
from dfd_perception.core.size import Size
from dfd_perception.datasets.sample import DefocusDataset, Subset
from dfd_perception.errors import ConfigError, counted
from dfd_perception.files.model_folder import FileHash, ModelCard, TrainedRange
from dfd_perception.network.checkpoint import save_model
from dfd_perception.training.config import TrainConfig
from dfd_perception.training.run_directory import git_revision
from dfd_perception.training.sources import Sources
from dfd_perception.training.state import TrainingState, set_layout
from dfd_perception.training.validation import Validation, calibrate_std, temper, validate

MODEL_FOLDER = "model"


def publish_model(
    state: TrainingState,
    config: TrainConfig,
    sources: Sources,
    validation: DefocusDataset,
    device: torch.device,
    folder: Path,
) -> tuple[dict[str, float], Path]:
    """Temper and calibrate a `coc` model, measure, and write RUN/model; returns the figures and the folder."""
    network = copy.deepcopy(state.measured_network)
    temper(network, config.model.evidence, config.model.image_prior)
    how = (device, config.channels_last, config.validation_max_side_px)
    fitted_on, validation = halves(validation) if config.model.target == "coc" else (None, validation)
    if fitted_on is not None:
        calibrate_std(network, validate(network, state.objective, fitted_on, *how).std_factor)
    result = validate(network, state.objective, validation, *how)
    set_layout(network, channels_last=False)
    card = model_card(state, config, sources, validation, result)
    save_model(network, folder / MODEL_FOLDER, card, config.onnx)
    return result.metrics, folder / MODEL_FOLDER


def halves(dataset: DefocusDataset) -> tuple[DefocusDataset | None, DefocusDataset]:
    """Every second sample to fit the std on, and the others to measure on; one sample alone is measured on."""
    if len(dataset) < 2:
        return None, dataset
    every = range(len(dataset))
    return Subset(dataset, [*every[1::2]], "calibration"), Subset(dataset, [*every[::2]], dataset.name)


def model_card(
    state: TrainingState,
    config: TrainConfig,
    sources: Sources,
    validation: DefocusDataset,
    result: Validation,
) -> ModelCard:
    """What `model.yaml` says of a trained network."""
    gain = config.data.gain_px_per_dioptre
    if gain is None and sources.curve is not None:
        gain = (sources.curve.gain_px_per_dioptre, sources.curve.gain_px_per_dioptre)
    is_coc = config.model.target == "coc"
    heads: dict[str, tuple[Literal["depth", "deblurred"], ...]] = {
        "both": ("depth", "deblurred"),
        "depth": ("depth",),
        "deblurred": ("deblurred",),
    }
    return ModelCard(
        variant=config.model.variant,
        target=config.model.target,
        blur="total" if is_coc else "lens",
        blur_floor_px=_floor_px(config, sources) if is_coc else None,
        options=config.model.options,
        heads=heads[state.objective.heads],
        lens=None if is_coc else sources.lens,
        trained=TrainedRange(
            input_size=config.augmentation.crop_px or validation_size(sources),
            coc_px=state.seen.of("coc_px") if is_coc else None,
            gain_px_per_dioptre=gain if is_coc else None,
            depth_m=None if is_coc else state.seen.of("depth_m"),
        ),
        weights=FileHash(file="", sha256=""),
        training={
            "recipe": config.name,
            "data": sources.kind,
            "licences": dict(config.data.licences),
            "objective": config.objective.mode,
            "steps": state.step,
            "batch_size": config.batch_size * config.accumulate,
            "minutes": round(state.elapsed_s / 60, 1),
            "date": datetime.date.today().isoformat(),
            "git_revision": git_revision(),
        },
        protocol=ImageProtocol(
            lens=config.data.lens, point_spread=config.data.point_spread, crop_px=config.augmentation.crop_px
        ),
        metrics={
            "validation": {
                **{name: round(value, 5) for name, value in result.metrics.items()},
                **({BY_BLUR_KEY: [_rounded(row) for row in result.by_blur]} if result.by_blur else {}),
            },
            "protocol": f"{counted(len(validation), 'image')} of {sources.validation.name}, pooled over pixels"
            + ("; std fitted on other images of it" if is_coc else ""),
        },
    )


def _rounded(row: BlurErrorBin) -> dict[str, float]:
    return {name: round(value, 5) for name, value in row._asdict().items()}


def _floor_px(config: TrainConfig, sources: Sources) -> float | None:
    """What the card says of cameras in focus: the recipe's word, else the calibrated floor of the lens learnt from."""
    if config.data.typical_floor_px is not None:
        return config.data.typical_floor_px
    return None if sources.curve is None else sources.curve.blur_floor_px


def require_publishable(config: TrainConfig, sources: Sources) -> None:
    """Check before the first step what the card will need after the last.

    Raises:
        ConfigError: a depth model without the lens that it belongs to.
    """
    if config.model.target == "depth" and sources.lens is None:
        raise ConfigError(
            "a model with target depth belongs to one lens and the data do not say which; give data.lens with "
            "focal_length_mm, f_number, focus_distance_m and pixel_pitch_um"
        )


def validation_size(sources: Sources) -> Size:
    """Height and width of the images, for runs that do not crop."""
    return sources.validation[0].size
