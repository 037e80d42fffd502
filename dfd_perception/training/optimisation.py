# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The learning rate, and one step of the optimiser: forward and backward over its batches, clipping, update."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from dfd_perception.errors import TrainingError
from dfd_perception.training.config import TrainConfig
from dfd_perception.training.config_sections import OptimiserConfig
from dfd_perception.training.loader import Batch
from dfd_perception.training.state import TrainingState, set_training


def learning_rate(config: OptimiserConfig, step: int, progress: float) -> float:
    """Rate of a step (counted from 0); `progress` is the share of the run that is over.

    >>> learning_rate(OptimiserConfig(learning_rate=1.0, warmup_steps=4), 0, 0.0)
    0.25
    """
    rise = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    factor = 1.0
    if config.schedule == "cosine":
        half_wave = 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
        factor = config.final_share + (1 - config.final_share) * half_wave
    elif config.schedule == "step":
        factor = config.step_factor ** (step // config.step_every)
    return config.learning_rate * rise * factor


class OptimisationStep:
    """Changes the state by one step; a loss or gradient that is no number never reaches the weights."""

    def __init__(
        self, fabric: Fabric, wrapped: Any, state: TrainingState, config: TrainConfig, last_checkpoint: Path
    ) -> None:
        """Take a run's parts.

        Args:
            wrapped: the state's network as Fabric wrapped it.
            last_checkpoint: named in errors once it exists.
        """
        self.fabric, self.wrapped, self.state, self.config = fabric, wrapped, state, config
        self.last_checkpoint = last_checkpoint

    def __call__(self, batches: list[Batch], progress_share: float) -> dict[str, float]:
        """Make the step; returns the loss and its terms.

        Raises:
            TrainingError: no memory left, or the loss is no number; the weights are those of the step before.
        """
        state, config = self.state, self.config
        # The step's own seed: dropout is the same whether or not the run was interrupted before it.
        seed = np.random.SeedSequence((config.seed, state.step, self.fabric.global_rank)).generate_state(1)[0]
        torch.manual_seed(int(seed))
        rate = learning_rate(config.optimiser, state.step, progress_share)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        set_training(state.network, config)
        sums: dict[str, float] = defaultdict(float)
        for number, batch in enumerate(batches, start=1):
            state.seen.add(batch)
            for name, value in self._gradients(batch, len(batches), last=number == len(batches)).items():
                sums[name] += value / len(batches)
        if config.optimiser.gradient_clip:
            norm = self.fabric.clip_gradients(
                self.wrapped, state.optimiser, max_norm=config.optimiser.gradient_clip, error_if_nonfinite=False
            )
            assert norm is not None, "Fabric returns the norm that it clips"
            self._require_finite({"gradient": float(norm)}, batches[-1])
        state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        state.step += 1
        if state.averaged is not None:
            state.averaged.update(state.network, state.step)
        return {**sums, "learning_rate": rate}

    def _gradients(self, batch: Batch, count: int, last: bool) -> dict[str, float]:
        """As `backward`; processes exchange gradients with the last of the batches."""
        try:
            with self.fabric.no_backward_sync(self.wrapped, enabled=not last):
                return self.backward(batch.to(self.fabric.device, self.config.channels_last), count)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise TrainingError(
                f"step {self.state.step}: out of memory in the {batch} on {self.fabric.device}; lower batch_size (and "
                f"raise accumulate) or augmentation.crop_px, or freeze the encoder{self._way_back()}"
            ) from error

    def backward(self, batch: Batch, count: int) -> dict[str, float]:
        """Add the gradients of one of `count` batches; returns its losses by name."""
        output = self.wrapped(batch.image, heads=self.state.objective.heads)
        loss = self.state.objective(output, batch)
        # The one place that waits for a GPU: a loss that is no number must not reach the weights.
        values = {"loss": loss.total.item(), **{name: term.item() for name, term in loss.terms.items()}}
        self._require_finite(values, batch)
        self.fabric.backward(loss.total / count)
        return values

    def _require_finite(self, values: dict[str, float], batch: Batch) -> None:
        wrong = [f"{name} {value}" for name, value in values.items() if not abs(value) < float("inf")]
        if wrong:
            raise TrainingError(
                f"step {self.state.step}: {', '.join(wrong)} in the {batch}; the weights before it are kept. "
                f"Look at these samples or lower optimiser.learning_rate{self._way_back()}"
            )

    def _way_back(self) -> str:
        return f"; last checkpoint: {self.last_checkpoint}" if self.last_checkpoint.exists() else ""


def _is_out_of_memory(error: BaseException) -> bool:
    # On a CPU torch has no class of its own for it.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)
