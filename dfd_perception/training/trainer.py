# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Training by recipe: setup -> fit -> validate, in one process, or in many under torchrun.

torchrun --nproc-per-node 2 -m dfd_perception.cli train RECIPE.yaml
"""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from tqdm import tqdm

from dfd_perception.core.image_bytes import png_bytes
from dfd_perception.files.configuration import plain
from dfd_perception.training.checkpointing import (
    BEST_FILE,
    LAST_FILE,
    full_disk_explained,
    load_checkpoint,
    locked,
    save_checkpoint,
)
from dfd_perception.training.config import TrainConfig
from dfd_perception.training.config_sections import Part
from dfd_perception.training.fabric import StopRequest, agreed_to_stop, setup_fabric, stop_on_signal
from dfd_perception.training.loader import Batch, SampleStream, open_loader
from dfd_perception.training.objectives import create_objective
from dfd_perception.training.optimisation import OptimisationStep
from dfd_perception.training.panels import draw_panel
from dfd_perception.training.progress import Progress, StepMeans
from dfd_perception.training.publishing import publish_model, require_publishable
from dfd_perception.training.run_directory import RunDirectory, create_run_folder
from dfd_perception.training.scene_filler import SceneFiller
from dfd_perception.training.sources import Sources, evenly_chosen, open_sources
from dfd_perception.training.state import (
    AveragedWeights,
    TrainingState,
    build_network,
    build_optimiser,
    set_layout,
    typical_floor_px,
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
    sources = open_sources(config.data, config.seed, typical_floor_px(config))
    require_publishable(config, sources)
    fabric = setup_fabric(config)
    if fabric.is_global_zero:
        for note in sources.notes:
            tqdm.write(f"note: {note}", file=sys.stderr)
    runs_there = config.runs.exists()
    folder = Path(fabric.broadcast(str(resume or (create_run_folder(config) if fabric.is_global_zero else ""))))
    if not fabric.is_global_zero:
        return Trainer(fabric, config, sources, folder).run(resume is not None)
    if resume is None and folder.name != config.name:
        tqdm.write(f"note: {folder.with_name(config.name)} exists; this run is {folder}", file=sys.stderr)
    try:
        with locked(folder), full_disk_explained(folder):
            return Trainer(fabric, config, sources, folder).run(resume is not None)
    except BaseException:
        # A run that never came to a checkpoint would only take the name from the next.
        if resume is None and not (folder / LAST_FILE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            if not runs_there:
                with suppress(OSError):  # another run may have begun meanwhile
                    folder.parent.rmdir()
        raise


class Trainer:
    """A run in one process."""

    def __init__(self, fabric: Fabric, config: TrainConfig, sources: Sources, folder: Path) -> None:
        self.fabric, self.config, self.sources, self.folder = fabric, config, sources, folder
        torch.manual_seed(config.seed)
        # Numbers below 1e-38 take a CPU tens of times as long, and mean nothing here.
        torch.set_flush_denormal(True)
        objective = create_objective(config.objective, config.model.target).to(fabric.device)
        network = build_network(config.model, IDLE_PARTS[objective.heads])
        set_layout(network, config.channels_last)
        network.to(fabric.device)
        averaged = AveragedWeights(network, config.optimiser.ema_decay) if config.optimiser.ema_decay else None
        wrapped, optimiser = fabric.setup(network, build_optimiser(network, config.optimiser))
        self.state = TrainingState(network, averaged, optimiser, objective)
        self.optimisation_step = OptimisationStep(fabric, wrapped, self.state, config, folder / LAST_FILE)
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
                metrics, model = self.publish()
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
        interval = StepMeans(config.batch_size * config.accumulate * world_size)
        started = saved = time.monotonic()
        elapsed_before = state.elapsed_s
        filler = self._filler()
        with closing(batches), nullcontext() if filler is None else closing(filler):
            while self.progress_share() < 1 and not agreed_to_stop(self.fabric, stop, state):
                if filler is not None:
                    filler.reach(state.step * config.accumulate * config.batch_size * world_size)
                interval.add(self.step([next(batches) for _ in range(config.accumulate)]))
                now = time.monotonic()
                state.elapsed_s = elapsed_before + now - started
                self.progress.update(self.progress_share(), state.step, interval.mean("loss"), interval.images_per_s)
                if state.step % config.log_every == 0:
                    self._log_training(interval)
                    interval.reset()
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
        return self.optimisation_step(batches, self.progress_share())

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
            self.files.save_panel(state.step, panel, png_bytes(panel))
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
            save_checkpoint(self.folder / name, self.state.as_mapping(plain(self.config)))

    def _filler(self) -> SceneFiller | None:
        """What blurs the scenes to come, on the first process; None where nothing does."""
        data, kept, device = self.config.data, self.sources.kept, self.fabric.device
        processes = data.fill_processes
        if processes is None:
            processes = max(1, self.config.workers // 4) if device.type == "cuda" else 0
        if kept is None or not processes or not self.fabric.is_global_zero:
            return None
        return SceneFiller(data, self.config.seed, str(device), processes, kept.newest_at)

    def _log_training(self, interval: StepMeans) -> None:
        if self.files is not None:
            timing = {"images_per_s": interval.images_per_s, "elapsed_min": self.state.elapsed_s / 60}
            self.files.log(self.state.step, "train", {**interval.means(), **timing})

    def publish(self) -> tuple[dict[str, float], Path | None]:
        """Write the model of the best checkpoint, measured once more after its std is calibrated."""
        if self.files is None:
            return {}, None
        best = self.folder / BEST_FILE
        if best.exists():
            self.state.restore(load_checkpoint(best), str(best))
        return publish_model(self.state, self.config, self.sources, self.validation, self.fabric.device, self.folder)
