# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images a second of a training step: the trainer's (precision, layout, averaged weights, checks) against a plain loop.

    python benchmarks/training_step.py [--variant 2hded-small] [--batch 12] [--crop 160] [--threads 1] [--json]

The plain loop is float32, NCHW, the same network, loss and optimiser, and nothing else. Both work on the same batch, in
turns, so that what else the machine does falls on both; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from dfd_perception.files.configuration import from_mapping
from dfd_perception.network import create_network
from dfd_perception.training.config import TrainConfig
from dfd_perception.training.loader import Batch
from dfd_perception.training.objectives import create_objective
from dfd_perception.training.sources import open_sources
from dfd_perception.training.state import build_optimiser
from dfd_perception.training.trainer import Trainer, setup_fabric


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="2hded-small")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--crop", type=int, default=160)
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = recipe(args, Path(folder))
        trainer = Trainer(setup_fabric(config), config, open_sources(config.data, 0), Path(folder))
        batch = some_batch(args.batch, args.crop)
        plain = plain_step(config, batch.to(trainer.fabric.device, channels_last=False))
        steps: dict[str, Callable[[], object]] = {"plain": plain, "trainer": lambda: trainer.step([batch])}
        for step in steps.values():
            step()
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(args.rounds):
            for name, step in steps.items():
                seconds[name].append(timed(step))
    rate = {name: args.batch / statistics.median(values) for name, values in seconds.items()}
    result = {
        "variant": args.variant, "batch": args.batch, "crop_px": args.crop, "threads": torch.get_num_threads(),
        "device": str(trainer.fabric.device), "precision": trainer.fabric._precision.precision,
        "plain_images_per_s": rate["plain"], "trainer_images_per_s": rate["trainer"],
        "ratio": rate["trainer"] / rate["plain"],
    }  # fmt: skip
    print(json.dumps(result) if args.json else "\n".join(f"{name:22} {value}" for name, value in result.items()))


def recipe(args: argparse.Namespace, folder: Path) -> TrainConfig:
    """The shipped model's recipe as far as a step depends on it."""
    settings = {
        "name": "benchmark", "model": {"variant": args.variant, "target": "coc"}, "data": {"kind": "generated"},
        "augmentation": {"crop_px": [args.crop, args.crop]}, "batch_size": args.batch, "max_steps": 1_000_000,
        "threads": args.threads, "runs": str(folder),
    }  # fmt: skip
    return from_mapping(TrainConfig, settings, "benchmark")


def some_batch(size: int, crop_px: int) -> Batch:
    """Images and maps of the shapes that training sees; their content does not change the time."""
    torch.manual_seed(0)
    image = torch.rand(size, 3, crop_px, crop_px)
    parts = {"aif": torch.rand_like(image), "coc_px": 20 * torch.rand(size, 1, crop_px, crop_px)}
    return Batch(tuple(str(i) for i in range(size)), image, parts)


def plain_step(config: TrainConfig, batch: Batch) -> Callable[[], None]:
    """A step as one writes it without thinking of speed."""
    network = create_network(config.model.variant, "coc").to(batch.image.device).train()
    objective = create_objective(config.objective, "coc")
    optimiser = build_optimiser(network, config.optimiser)

    def step() -> None:
        optimiser.zero_grad()
        loss = objective(network(batch.image), batch).total
        loss.backward()
        optimiser.step()

    return step


def timed(step: Callable[[], object]) -> float:
    """Seconds of one step, the device's work included."""
    started = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
