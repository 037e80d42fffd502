"""Training by recipe: setup -> fit -> validate, in one process, or in many under torchrun.

torchrun --nproc-per-node 2 -m dfd_perception.cli train RECIPE.yaml
"""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from dfd_perception.errors import TrainingError
from dfd_perception.training.checkpointing import (
    BEST_FILE,
    LAST_FILE,
    full_disk_said,
    load_checkpoint,
    locked,
    save_checkpoint,
)
from dfd_perception.training.config import Part, TrainConfig, as_mapping
from dfd_perception.training.interruption import StopRequest, stop_on_signal
from dfd_perception.training.loader import Batch, SampleStream, open_loader
from dfd_perception.training.objectives import create_objective
from dfd_perception.training.panels import draw_panel, png_of
from dfd_perception.training.precision import chosen_precision
from dfd_perception.training.progress import Progress
from dfd_perception.training.publishing import publish_model, require_publishable
from dfd_perception.training.run_directory import RunDirectory, create_run_folder
from dfd_perception.training.schedule import AveragedWeights, learning_rate
from dfd_perception.training.sources import Sources, evenly_chosen, open_sources
from dfd_perception.training.state import (
    TrainingState,
    build_network,
    build_optimiser,
    set_layout,
    set_training,
)
from dfd_perception.training.validation import Validation, monitored, validate

IDLE_PARTS: dict[str, tuple[Part, ...]] = {"depth": ("lower_head",), "deblurred": ("upper_head",), "both": ()}
"""Parts that learn nothing when only some heads run."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended."""

    folder: Path
    step: int
    interrupted_by: str | None
    """Name of the signal that ended it early."""
    metrics: dict[str, float]
    """Of the model that was written; of the last validation when interrupted."""
    model: Path | None
    """The model folder; None when interrupted."""


def train(config: TrainConfig, resume: Path | None = None) -> TrainingResult:
    """Run a recipe to its end, or until a signal.

    Args:
        config: the recipe.
        resume: folder of a run to go on with, from its last checkpoint.

    Raises:
        UsageError: what the user can mend, in one line.
        TrainingError: out of memory, or a loss that is no number.
    """
    sources = open_sources(config.data, config.seed)
    require_publishable(config, sources)
    fabric = setup_fabric(config)
    folder = Path(fabric.broadcast(str(resume or (create_run_folder(config) if fabric.is_global_zero else ""))))
    if not fabric.is_global_zero:
        return Trainer(fabric, config, sources, folder).run(resume is not None)
    with locked(folder), full_disk_said(folder):
        return Trainer(fabric, config, sources, folder).run(resume is not None)


def setup_fabric(config: TrainConfig) -> Fabric:
    """Devices, precision and threads; several processes are torchrun's to start."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if config.threads:
        torch.set_num_threads(config.threads)
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    nodes = int(os.environ.get("WORLD_SIZE", 1)) // processes
    fabric = Fabric(
        accelerator=config.accelerator,
        devices=processes,
        num_nodes=nodes,
        strategy="ddp" if processes * nodes > 1 else "auto",
        precision=chosen_precision(config.precision, config.accelerator),
    )
    fabric.launch()
    return fabric


class Trainer:
    """A run in one process."""

    def __init__(self, fabric: Fabric, config: TrainConfig, sources: Sources, folder: Path) -> None:
        self.fabric, self.config, self.sources, self.folder = fabric, config, sources, folder
        torch.manual_seed(config.seed)
        objective = create_objective(config.objective, config.model.target).to(fabric.device)
        network = build_network(config.model, IDLE_PARTS[objective.heads])
        set_layout(network, config.channels_last)
        network.to(fabric.device)
        averaged = AveragedWeights(network, config.optimiser.ema_decay) if config.optimiser.ema_decay else None
        wrapped, optimiser = fabric.setup(network, build_optimiser(network, config.optimiser))
        self.wrapped = wrapped
        self.state = TrainingState(network, averaged, optimiser, objective)
        self.validation = evenly_chosen(sources.validation, config.validation_samples)
        self.figure, self.sign = monitored(config.objective.mode, config.model.target)

    def run(self, resumed: bool) -> TrainingResult:
        """Fit, then write the model; or stop at a signal with everything saved."""
        state, config = self.state, self.config
        if resumed:
            path = self.folder / LAST_FILE
            state.restore(load_checkpoint(path), str(path))
        self.files = RunDirectory(self.folder, state.step) if self.fabric.is_global_zero else None
        self.progress = Progress(config.name, self.progress_share(), shown=self.fabric.is_global_zero)
        try:
            with stop_on_signal() as stop:
                metrics = self.fit(stop)
            step, model = state.step, None
            if stop.received is None:
                metrics, model = self._publish()
            return TrainingResult(self.folder, step, stop.received, metrics, model)
        finally:
            self.progress.close()
            if self.files is not None:
                self.files.close()

    def fit(self, stop: StopRequest) -> dict[str, float]:
        """Step until the recipe's end or a signal; returns the figures of the last validation."""
        state, config = self.state, self.config
        metrics = self.validate().metrics if state.step == 0 else {}
        stream = SampleStream(self.sources.train, config.augmentation, config.seed, state.objective.parts)
        rank, world_size = self.fabric.global_rank, self.fabric.world_size
        first_batch = state.step * config.accumulate
        batches = open_loader(stream, first_batch, config.batch_size, config.workers, rank, world_size)
        sums: dict[str, float] = defaultdict(float)
        started = saved = logged = time.monotonic()
        elapsed_before = state.elapsed_s
        logged_step = state.step
        while self.progress_share() < 1 and not self._agreed(stop):
            for name, value in self.step([next(batches) for _ in range(config.accumulate)]).items():
                sums[name] += value
            now = time.monotonic()
            state.elapsed_s = elapsed_before + now - started
            made = (state.step - logged_step) * config.batch_size * config.accumulate * world_size
            steps, rate = state.step - logged_step, made / (now - logged)
            self.progress.update(self.progress_share(), state.step, sums["loss"] / steps, rate)
            if state.step % config.log_every == 0:
                self._log_training(sums, steps, rate)
                logged, logged_step = now, state.step
                sums.clear()
            if state.step % config.validate_every == 0:
                metrics = self.validate().metrics
                self.save(LAST_FILE)
                saved = time.monotonic()
            elif now - saved > 60 * config.save_every_minutes:
                self.save(LAST_FILE)
                saved = now
        if state.step % config.validate_every and stop.received is None:
            metrics = self.validate().metrics
        self.save(LAST_FILE)
        return metrics

    def step(self, batches: list[Batch]) -> dict[str, float]:
        """One step of the optimiser; returns the loss and its terms.

        Raises:
            TrainingError: no memory left, or the loss is no number; the weights are those of the step before.
        """
        state, config = self.state, self.config
        # The step's own seed: dropout is the same whether or not the run was interrupted before it.
        seed = np.random.SeedSequence((config.seed, state.step, self.fabric.global_rank)).generate_state(1)[0]
        torch.manual_seed(int(seed))
        rate = learning_rate(config.optimiser, state.step, self.progress_share())
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        set_training(state.network, config)
        sums: dict[str, float] = defaultdict(float)
        for number, batch in enumerate(batches, start=1):
            state.seen.add(batch)
            try:
                with self.fabric.no_backward_sync(self.wrapped, enabled=number < len(batches)):
                    values = self._backward(batch.to(self.fabric.device, config.channels_last), len(batches))
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                raise TrainingError(
                    f"step {state.step}: out of memory in the {batch} on {self.fabric.device}; lower batch_size (and "
                    f"raise accumulate) or augmentation.crop_px, or freeze the encoder{self._way_back()}"
                ) from error
            for name, value in values.items():
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

    def progress_share(self) -> float:
        """Share of the run that is over, by steps or by the clock, whichever is further."""
        shares = [0.0]
        if self.config.max_steps is not None:
            shares.append(self.state.step / self.config.max_steps)
        if self.config.max_minutes is not None:
            shares.append(self.state.elapsed_s / (60 * self.config.max_minutes))
        return max(shares)

    def validate(self) -> Validation:
        """Measure on the first process, keep the figures, and the weights if they are the best so far."""
        result = Validation()
        if self.files is not None:
            state, config = self.state, self.config
            result = validate(
                state.measured_network,
                state.objective,
                self.validation,
                self.fabric.device,
                config.channels_last,
                config.validation_max_side_px,
            )
            self.files.log(state.step, "validation", result.metrics)
            panel = draw_panel(result.rows)
            self.files.save_panel(state.step, panel, png_of(panel))
            figure = self.sign * result.metrics.get(self.figure, float("inf"))
            wanted = ("loss", self.figure, "deblurred.psnr_db")
            shown = [f"{name} {value:.4g}" for name, value in result.metrics.items() if name in wanted]
            self.progress.write(f"step {state.step}, validation: {', '.join(shown)}")
            if state.step and (state.best is None or figure < state.best):
                state.best = figure
                self.save(BEST_FILE)
        self.fabric.barrier()
        return result

    def save(self, name: str) -> None:
        """Write a checkpoint, from the first process."""
        if self.files is not None:
            save_checkpoint(self.folder / name, self.state.as_mapping(as_mapping(self.config)))

    def _backward(self, batch: Batch, count: int) -> dict[str, float]:
        said = self.wrapped(batch.image, heads=self.state.objective.heads)
        loss = self.state.objective(said, batch)
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
        return f"; last checkpoint: {self.folder / LAST_FILE}" if (self.folder / LAST_FILE).exists() else ""

    def _agreed(self, stop: StopRequest) -> bool:
        """Whether any process was asked to stop; all take the same decision at the same step."""
        if self.fabric.world_size == 1:
            return stop.received is not None
        wishes = torch.tensor([float(stop.received is not None), self.state.elapsed_s], device=self.fabric.device)
        reduced = self.fabric.all_reduce(wishes, reduce_op="max")
        assert isinstance(reduced, Tensor)
        self.state.elapsed_s = float(reduced[1])
        if reduced[0] and stop.received is None:
            stop.received = "a signal to another process"
        return bool(reduced[0])

    def _log_training(self, sums: dict[str, float], steps: int, images_per_s: float) -> None:
        if self.files is not None:
            values = {name: value / steps for name, value in sums.items()}
            minutes = self.state.elapsed_s / 60
            self.files.log(self.state.step, "train", {**values, "images_per_s": images_per_s, "elapsed_min": minutes})

    def _publish(self) -> tuple[dict[str, float], Path | None]:
        """Write the model of the best checkpoint, measured once more after its std is calibrated."""
        if self.files is None:
            return {}, None
        best = self.folder / BEST_FILE
        if best.exists():
            self.state.restore(load_checkpoint(best), str(best))
        return publish_model(self.state, self.config, self.sources, self.validation, self.fabric.device, self.folder)


def _is_out_of_memory(error: BaseException) -> bool:
    # On a CPU torch has no class of its own for it.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)
