# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From samples to batches of tensors. Which sample comes at which step is arithmetic, so nothing of it needs saving.

Position p of the endless stream is sample order(epoch)[p mod n] of epoch p // n, augmented with a generator seeded by
(seed, p). Step s of a run with W processes takes positions s*B*W to (s + 1)*B*W, each process its B of them.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dfd_perception.datasets.sample import DefocusDataset, DefocusSample
from dfd_perception.errors import DatasetError, DfdPerceptionError, TrainingError

LONGEST_WAIT_S = 300.0
"""For one batch, before the processes that load are taken for dead."""

GRACE_S = 20
"""That a loading process lives on after SIGTERM, for the trainer to end in order."""

Augment = Callable[[DefocusSample, np.random.Generator], DefocusSample]


@dataclass(frozen=True)
class Batch:
    """Tensors of some samples; a part that the data set lacks is None."""

    names: tuple[str, ...]
    image: Tensor
    """(B, 3, H, W) float32 defocused RGB in [0, 1]."""
    parts: dict[str, Tensor] = field(default_factory=dict)
    """aif (B, 3, H, W) in [0, 1] and seen (B, 1, H, W) bool, where it counts; depth_m and coc_px (B, 1, H, W), NaN
    where unknown."""

    def __len__(self) -> int:
        return self.image.shape[0]

    def to(self, device: torch.device, channels_last: bool) -> Batch:
        """The batch on a device, images in the layout of the network."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        moved = {name: part.to(device, non_blocking=True) for name, part in self.parts.items()}
        image = self.image.to(device, non_blocking=True).contiguous(memory_format=layout)
        return Batch(self.names, image, moved)

    def __str__(self) -> str:
        height, width = self.image.shape[2:]
        shown = ", ".join(self.names[:3]) + (f" and {len(self) - 3} more" if len(self) > 3 else "")
        return f"batch of {len(self)} at {height} x {width} px ({shown})"


class SampleStream(Dataset):
    """Samples by position in the endless stream; an error of the data set is a value, raised in the trainer.

    A worker process would wrap it in a traceback of many lines.
    """

    def __init__(self, dataset: DefocusDataset, augment: Augment, seed: int, parts: tuple[str, ...]) -> None:
        self.dataset, self._augment, self._seed, self._parts = dataset, augment, seed, parts

    def __getitem__(self, position: int) -> Batch | DfdPerceptionError:
        index = self._index_at(position)
        try:
            sample = self._augment(self.dataset[index], np.random.default_rng((self._seed, position)))
            return tensors_of(sample, self._parts)
        except DfdPerceptionError as error:
            return error

    def _index_at(self, position: int) -> int:
        own_order = getattr(self.dataset, "index_at", None)
        if own_order is not None:
            return own_order(position, self._seed)
        epoch, place = divmod(position, len(self.dataset))
        return int(sample_order(self._seed, epoch, len(self.dataset))[place])


@lru_cache(maxsize=2)
def sample_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of an epoch's samples."""
    return np.random.default_rng((seed, epoch, count)).permutation(count)


def tensors_of(sample: DefocusSample, parts: tuple[str, ...]) -> Batch:
    """A batch of one.

    Raises:
        DatasetError: the sample lacks a part.
    """
    tensors = {}
    for name in parts:
        if name == "aif":
            tensor = None if sample.aif is None else _image(sample.aif)
        else:
            array = sample.depth_m if name == "depth_m" else sample.coc_target_px()
            tensor = None if array is None else torch.from_numpy(np.ascontiguousarray(array))[None, None]
        if tensor is None:
            need = " (or depth and a lens)" if name == "coc_px" else ""
            raise DatasetError(f"{sample.name}: has no {name}{need}, which this objective learns from")
        tensors[name] = tensor
        if name == "aif":
            tensors["seen"] = _mask(sample)
    return Batch((sample.name,), _image(sample.defocused), tensors)


def _mask(sample: DefocusSample) -> Tensor:
    seen = np.ones(sample.size, bool) if sample.seen is None else sample.seen
    return torch.from_numpy(np.ascontiguousarray(seen))[None, None]


def _image(rgb: NDArray[np.uint8]) -> Tensor:
    # Divided in numpy: the first torch operation of a forked worker may wait for threads that it does not have.
    chw = np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32) / 255
    return torch.from_numpy(chw)[None]


def collate(samples: list[Batch | DfdPerceptionError]) -> Batch | DfdPerceptionError:
    """One batch of many, or the first error among them."""
    batches = []
    for sample in samples:
        if isinstance(sample, DfdPerceptionError):
            return sample
        batches.append(sample)
    sizes = {tuple(batch.image.shape[2:]) for batch in batches}
    if len(sizes) > 1:
        listed = ", ".join(f"{height} x {width}" for height, width in sorted(sizes))
        return DatasetError(f"images of one batch differ in size ({listed} px); set augmentation.crop_px to cut them")
    return Batch(
        tuple(name for batch in batches for name in batch.names),
        torch.cat([batch.image for batch in batches]),
        {name: torch.cat([batch.parts[name] for batch in batches]) for name in batches[0].parts},
    )


class PositionSampler:
    """Endless positions of one process's batches, from a step on."""

    def __init__(self, first_batch: int, batch_size: int, rank: int, world_size: int) -> None:
        self._first_batch, self._batch_size = first_batch, batch_size
        self._rank, self._world_size = rank, world_size

    def __iter__(self) -> Iterator[list[int]]:
        number = self._first_batch
        while True:
            first = (number * self._world_size + self._rank) * self._batch_size
            yield list(range(first, first + self._batch_size))
            number += 1


def open_loader(
    stream: SampleStream, first_batch: int, batch_size: int, workers: int, rank: int = 0, world_size: int = 1
) -> Generator[Batch, None, None]:
    """Endless batches from `first_batch` on; closing it ends the processes that load.

    Raises:
        DfdPerceptionError: whatever the data set raised, from the process that asked for the batch.
    """
    # One worker is one processor. And before the fork: a child that inherits OpenCV's pool without its threads hangs.
    cv2.setNumThreads(0)
    with warnings.catch_warnings():
        # More workers than processors is the recipe's choice, and is said in its documentation.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        loader = DataLoader(
            stream,
            batch_sampler=PositionSampler(first_batch, batch_size, rank, world_size),
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=_start_worker,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if workers else None,
            timeout=LONGEST_WAIT_S if workers else 0,
        )
        iterator = iter(loader)
    while True:
        try:
            batch = next(iterator)
        except RuntimeError as error:
            if "DataLoader" not in str(error):
                raise
            reason = str(error).splitlines()[0]
            raise TrainingError(f"a loading process ended or hangs ({reason}); lower workers or batch_size") from error
        if isinstance(batch, DfdPerceptionError):
            raise batch
        yield batch


def _start_worker(worker: int) -> None:
    # Ctrl-C reaches every process of a terminal, and a job scheduler's SIGTERM every one of a job; the trainer decides
    # when its workers end. Not for ever: Python ends forgotten children with SIGTERM and waits for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(GRACE_S))
    torch.set_num_threads(1)
