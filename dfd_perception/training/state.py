# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""All that changes during a run, and the one mapping that a checkpoint holds of it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from dfd_perception.errors import ModelError
from dfd_perception.files.model_folder import find_model, load_model_folder
from dfd_perception.network.checkpoint import load_weights
from dfd_perception.network.pretrained import load_densenet_encoder, read_torch_file
from dfd_perception.network.two_headed import TwoHeadedNet, create_network
from dfd_perception.training.config import TrainConfig
from dfd_perception.training.config_sections import ModelConfig, OptimiserConfig, Part
from dfd_perception.training.loader import Batch
from dfd_perception.training.objectives import Objective


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


@dataclass
class SeenRange:
    """Least and greatest values of the training truth, for the model card."""

    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Take in a batch, before it goes to the device."""
        for name in ("depth_m", "coc_px"):
            if name in batch.parts:
                known = batch.parts[name]
                known = known[torch.isfinite(known)]
                if known.numel():
                    self.low[name] = min(self.low.get(name, float("inf")), float(known.min()))
                    self.high[name] = max(self.high.get(name, 0.0), float(known.max()))

    def of(self, name: str) -> tuple[float, float] | None:
        """Both ends, None when nothing was seen."""
        return (round(self.low[name], 4), round(self.high[name], 4)) if name in self.low else None


@dataclass
class TrainingState:
    """A run between two steps. The random numbers of a step depend on (seed, step, process), so none are kept."""

    network: TwoHeadedNet
    """Bare network; the one that Fabric wraps shares its tensors."""
    averaged: AveragedWeights | None
    optimiser: torch.optim.Optimizer
    objective: Objective
    seen: SeenRange = field(default_factory=SeenRange)
    step: int = 0
    elapsed_s: float = 0.0
    best: float | None = None
    """Least value so far of the monitored figure (its negative, where more is better)."""

    @property
    def measured_network(self) -> TwoHeadedNet:
        """The network that is validated and kept: the averaged one where there is one."""
        if self.averaged is None:
            return self.network
        assert isinstance(self.averaged.network, TwoHeadedNet)
        return self.averaged.network

    def as_mapping(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "recipe": dict(recipe),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "best": self.best,
            "network": self.network.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "objective": self.objective.state_dict(),
            "seen": {"low": self.seen.low, "high": self.seen.high},
        }

    def restore(self, mapping: Mapping[str, Any], where: str) -> None:
        """Go on from a checkpoint.

        Raises:
            ModelError: it belongs to another network.
        """
        try:
            self.network.load_state_dict(mapping["network"])
            if self.averaged is not None:
                self.averaged.network.load_state_dict(mapping["averaged"])
            self.optimiser.load_state_dict(mapping["optimiser"])
            self.objective.load_state_dict(mapping["objective"])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{where}: of another network or optimiser ({_second_line(error)})") from error
        self.step, self.elapsed_s, self.best = mapping["step"], mapping["elapsed_s"], mapping["best"]
        self.seen = SeenRange(dict(mapping["seen"]["low"]), dict(mapping["seen"]["high"]))


def build_network(config: ModelConfig, idle: Iterable[Part] = ()) -> TwoHeadedNet:
    """The network of a recipe with the weights that it starts from; frozen and idle parts do not learn.

    Raises:
        ModelError: weights of another variant, target or size.
    """
    network = create_network(config.variant, config.target, **config.options)
    if config.encoder_weights is not None:
        load_densenet_encoder(network, read_torch_file(config.encoder_weights))
    if config.start_from is not None:
        _start_from(network, config)
    for part in {*config.freeze, *idle}:
        network.get_submodule(part).requires_grad_(False)
    return network


def typical_floor_px(config: TrainConfig) -> float:
    """Blur floor [px] of cameras that state none: the recipe's, else that of the model it starts from; 0 for depth.

    Raises:
        ModelError: no such model.
    """
    if config.model.target != "coc":
        return 0.0
    if config.data.typical_floor_px is not None:
        return config.data.typical_floor_px
    if config.model.start_from is None:
        return 0.0
    return load_model_folder(find_model(config.model.start_from)).card.typical_floor_px


def build_optimiser(network: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """The optimiser of a recipe over what learns."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
    return kinds[config.name](learning, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay)


def set_layout(network: nn.Module, channels_last: bool) -> None:
    """Memory layout of all weights."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network.to(memory_format=layout)  # type: ignore[call-overload]


def set_training(network: TwoHeadedNet, config: TrainConfig) -> None:
    """Training mode, except for frozen parts: their batch statistics stay those of the data they know."""
    network.train()
    if config.model.keep_statistics:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    for part in config.model.freeze:
        network.get_submodule(part).eval()


def _start_from(network: TwoHeadedNet, config: ModelConfig) -> None:
    assert config.start_from is not None
    model = load_model_folder(find_model(config.start_from))
    card = model.card
    if card.variant != config.variant:
        raise ModelError(f"{model.path}: holds variant {card.variant}; the recipe trains {config.variant}")
    all_parts = len(set(config.start_parts)) == 3
    if all_parts and card.target != config.target:
        raise ModelError(
            f"{model.path}: its upper head says {card.target}, the recipe's {config.target}; "
            "set model.start_parts: [encoder, lower_head] to start that head anew"
        )
    if card.blur == "lens" and card.target == config.target == "coc" and "upper_head" in config.start_parts:
        raise ModelError(
            f"{model.path}: its blur is that of the lens alone (blur: lens), this recipe teaches the total blur; start "
            "from a model with blur: total, or set model.start_parts: [encoder, lower_head]"
        )
    source = create_network(card.variant, card.target, **card.options)
    load_weights(source, model.weights_path)
    for part in config.start_parts:
        try:
            network.get_submodule(part).load_state_dict(source.get_submodule(part).state_dict())
        except RuntimeError as error:
            raise ModelError(
                f"{model.path}: its {part} has other sizes ({_second_line(error)}); "
                "give the recipe the model's options, or leave the part out of model.start_parts"
            ) from error
    if all_parts:
        network.load_state_dict({"log_var_offset": source.state_dict()["log_var_offset"]}, strict=False)


def _second_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0] if lines else type(error).__name__)[:160]
