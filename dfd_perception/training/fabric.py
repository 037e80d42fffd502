# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Devices and processes of a run, by Lightning Fabric; several processes are torchrun's to start."""

from __future__ import annotations

import logging
import os

import torch
from lightning_fabric import Fabric
from torch import Tensor

from dfd_perception.training.config import TrainConfig
from dfd_perception.training.fabric_precision import chosen_precision
from dfd_perception.training.interruption import StopRequest
from dfd_perception.training.state import TrainingState


def setup_fabric(config: TrainConfig) -> Fabric:
    """Devices, precision and threads of a recipe."""
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


def agreed_to_stop(fabric: Fabric, stop: StopRequest, state: TrainingState) -> bool:
    """Whether any process was asked to stop; all take the same decision at the same step, by the same clock."""
    if fabric.world_size == 1:
        return stop.received is not None
    wishes = torch.tensor([float(stop.received is not None), state.elapsed_s], device=fabric.device)
    reduced = fabric.all_reduce(wishes, reduce_op="max")
    assert isinstance(reduced, Tensor)
    state.elapsed_s = float(reduced[1])
    if reduced[0] and stop.received is None:
        stop.received = "a signal to another process"
    return bool(reduced[0])
