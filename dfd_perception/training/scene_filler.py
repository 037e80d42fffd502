# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Scenes blurred on a GPU ahead of the training that reads them, by processes of their own.

A GPU learns from crops faster than processors blur scenes. The folder of kept scenes is what both share: these
processes write the exposures to come, the loading ones read them, and draw on a processor what is not there yet.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from dfd_perception.core.point_spread import PointSpread
from dfd_perception.datasets.generated.exposure import FloatMap
from dfd_perception.datasets.generated.scenes import WINDOW
from dfd_perception.errors import DfdPerceptionError
from dfd_perception.losses.layered_blur_torch import blur_layers
from dfd_perception.training.config_sections import DataConfig
from dfd_perception.training.sources import open_sources

AHEAD = 2000
"""Exposures drawn before their turn: enough for minutes, and little of a disk."""

PAUSE_S = 0.2
PATIENCE_S = 20.0
"""For a process to end once it was asked to."""


@dataclass(frozen=True)
class TorchBlur:
    """The layered blur on a torch device, for `GeneratedScenes.blur`."""

    device: str

    def __call__(self, light: FloatMap, signed_coc_px: FloatMap, point_spread: PointSpread) -> FloatMap:
        """(H, W, 3) defocused."""
        image = torch.from_numpy(np.ascontiguousarray(light.transpose(2, 0, 1)))[None].to(self.device)
        beta = torch.from_numpy(signed_coc_px)[None, None].to(self.device)
        with torch.inference_mode():
            blurred = blur_layers(image, beta, point_spread)
        return np.ascontiguousarray(blurred[0].permute(1, 2, 0).cpu().numpy())


class SceneFiller:
    """Processes that fill the folder of `data.keep_scenes`, up to AHEAD exposures before those in use.

    Args:
        config: data of the recipe, with `keep_scenes`.
        seed: of the run.
        device: torch device that blurs.
        processes: how many share the work.
        newest: which exposure may stand last at a position of the stream; the WINDOW before it may, too.
    """

    def __init__(
        self, config: DataConfig, seed: int, device: str, processes: int, newest: Callable[[int], int]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._newest = newest
        self._first = context.Value("q", 0)
        self._stop = context.Event()
        self._errors: Any = context.SimpleQueue()
        self._processes = [
            context.Process(
                target=_fill,
                args=(config, seed, device, (place, processes), self._first, self._stop, self._errors),
                daemon=True,
            )
            for place in range(processes)
        ]
        for process in self._processes:
            process.start()

    def reach(self, position: int) -> None:
        """Tell how far the training is; returns at once.

        Raises:
            DfdPerceptionError: what stopped a process, such as a full disk.
        """
        self._first.value = max(self._newest(position) - WINDOW, 0)
        if not self._errors.empty():
            raise self._errors.get()

    def close(self) -> None:
        """End the processes; what they have written stays."""
        self._stop.set()
        for process in self._processes:
            process.join(PATIENCE_S)
            process.terminate()


def _fill(
    config: DataConfig, seed: int, device: str, share: tuple[int, int], first: Any, stop: Any, errors: Any
) -> None:
    """Draw every number of this process's share, in order, AHEAD of the first that is in use."""
    # Ctrl-C and a scheduler's SIGTERM reach every process; the trainer decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    number, step = share
    try:
        kept = open_sources(config, seed).kept
        assert kept is not None, "a recipe without data.keep_scenes has nothing to fill"
        kept = kept.blurred_by(TorchBlur(device))
        while not stop.is_set():
            # What was used before a resumed run went on is not drawn again.
            number = max(number, first.value - first.value % step + share[0])
            if number < min(first.value + AHEAD, kept.exposure_count):
                kept.draw(number)
                number += step
            else:
                time.sleep(PAUSE_S)
    except DfdPerceptionError as error:
        errors.put(error)
