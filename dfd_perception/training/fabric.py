# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Devices, arithmetic and processes of a run, by Lightning Fabric; several processes are torchrun's to start.

Ctrl-C and SIGTERM end a run after the step that is under way; a second Ctrl-C ends it at once.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor

from dfd_perception.training.config import TrainConfig
from dfd_perception.training.state import TrainingState

FabricPrecision = Literal["32-true", "bf16-mixed"]
CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def chosen_precision(precision: str, accelerator: str) -> FabricPrecision:
    """bf16 autocast where asked, or where `auto` finds a processor that computes in it."""
    if precision == "auto":
        on_gpu = accelerator != "cpu" and torch.cuda.is_available()
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else cpu_computes_bf16()
        precision = "bf16" if fast else "fp32"
    return "bf16-mixed" if precision == "bf16" else "32-true"


def cpu_computes_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU has bfloat16 products; without them autocast is slower than float32."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    return any(CPU_FLAGS & set(line.split()) for line in lines if line.lower().startswith(("flags", "features")))


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


class StopRequest:
    """Whether a signal asked to stop."""

    def __init__(self) -> None:
        self.received: str | None = None


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Listen while the block runs. Only the main thread can; elsewhere nothing is changed."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before: dict[signal.Signals, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        request.received = signal.Signals(number).name
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for wanted in (signal.SIGINT, signal.SIGTERM):
        before[wanted] = signal.signal(wanted, note)
    try:
        yield request
    finally:
        for wanted, handler in before.items():
            signal.signal(wanted, handler)
