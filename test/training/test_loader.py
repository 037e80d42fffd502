# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import multiprocessing
import os
import signal

import cv2
import numpy as np
import pytest
import torch

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.augmentation import Augmentation
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.errors import DatasetError, TrainingError
from dfd_perception.training.loader import (
    PositionSampler,
    SampleStream,
    collate,
    open_loader,
    sample_order,
    tensors_of,
)


class Numbered:
    """Ten images that hold their number."""

    name = "numbered"
    splits = {}

    def __init__(self, broken: int | None = None, size: tuple[int, int] = (20, 30)) -> None:
        self.broken, self.size = broken, size

    def __len__(self):
        return 10

    def __getitem__(self, index):
        if index == self.broken:
            raise DatasetError(f"frame {index}: not a readable image")
        image = np.full((*self.size, 3), index, np.uint8)
        coc = np.full(self.size, index, np.float32)
        return DefocusSample(name=str(index), defocused=image, aif=image, coc_px=coc)


def untouched(sample, rng):
    return sample


def take(loader, count: int) -> list[list[str]]:
    return [list(next(loader).names) for _ in range(count)]


def test_an_epoch_shows_every_sample_once():
    loader = open_loader(SampleStream(Numbered(), untouched, 0, ("aif",)), 0, 5, workers=0)
    epochs = [sum(take(loader, 2), []) for _ in range(3)]
    assert all(sorted(epoch, key=int) == [str(i) for i in range(10)] for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_the_order_depends_on_the_seed_alone():
    assert (sample_order(1, 4, 100) == sample_order(1, 4, 100)).all()
    assert (sample_order(1, 4, 100) != sample_order(2, 4, 100)).any()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_opened_later_goes_on_where_another_was(workers):
    stream = SampleStream(Numbered(size=(40, 40)), Augmentation(crop_px=(16, 16), white_balance=0.2), 3, ("aif",))
    whole = open_loader(stream, 0, 3, workers=0)
    expected = [next(whole) for _ in range(6)]
    later = open_loader(stream, 4, 3, workers)
    for batch in expected[4:]:
        again = next(later)
        assert again.names == batch.names
        assert torch.equal(again.image, batch.image)
        assert torch.equal(again.parts["aif"], batch.parts["aif"])


def test_processes_share_the_stream_without_a_gap():
    whole = iter(PositionSampler(0, 6, 0, 1))
    ranks = [iter(PositionSampler(0, 2, rank, 3)) for rank in range(3)]
    for _ in range(3):
        assert sum((next(rank) for rank in ranks), []) == next(whole)


def test_workers_start_after_opencv_has_run_in_parallel():
    cv2.setNumThreads(4)
    cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (1500, 1500), interpolation=cv2.INTER_CUBIC)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.float32), (0, 0), 5)
    loader = open_loader(SampleStream(Numbered(), untouched, 0, ("aif",)), 0, 2, workers=2)
    assert len(take(loader, 4)) == 4


class Deadly(Numbered):
    """A data set that takes its process with it."""

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_loading_process_that_was_killed_is_said():
    loader = open_loader(SampleStream(Deadly(), untouched, 0, ()), 0, 2, workers=1)
    with pytest.raises(TrainingError, match="loading process ended.*lower workers"):
        next(loader)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_sample_is_one_line(workers):
    loader = open_loader(SampleStream(Numbered(broken=4), untouched, 0, ()), 0, 10, workers)
    with pytest.raises(DatasetError) as caught:
        next(loader)
    assert str(caught.value) == "frame 4: not a readable image"


def test_a_missing_part_is_named():
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(DatasetError, match="frame7: has no depth_m"):
        tensors_of(DefocusSample(name="frame7", defocused=image), ("depth_m",))
    with pytest.raises(DatasetError, match="coc_px .or depth and a lens."):
        tensors_of(DefocusSample(name="frame7", defocused=image), ("coc_px",))


def test_images_of_several_sizes_ask_for_a_crop():
    batches = [tensors_of(Numbered(size=(8, width))[1], ()) for width in (8, 12)]
    with pytest.raises(DatasetError, match=r"8 x 8, 8 x 12 px.*crop_px"):
        raise collate(batches)


def test_tensors_hold_what_the_sample_holds():
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.7, 3, (6, 9)).astype(np.float32)
    depth[0, 0] = np.nan
    image = rng.integers(0, 256, (6, 9, 3), np.uint8)
    curve = DefocusCurve(gain_px_per_dioptre=10.0, focus_distance_m=0.6)
    sample = DefocusSample(name="a", defocused=image, aif=image, depth_m=depth, curve=curve)
    batch = tensors_of(sample, ("depth_m", "coc_px"))
    assert batch.image.shape == (1, 3, 6, 9)
    assert batch.image[0, 1, 2, 3] == np.float32(image[2, 3, 1]) / np.float32(255)
    assert torch.isnan(batch.parts["depth_m"][0, 0, 0, 0])
    expected = 10 * (1 / 0.6 - 1 / depth[3, 4])
    assert float(batch.parts["coc_px"][0, 0, 3, 4]) == pytest.approx(abs(expected), rel=1e-5)


def test_a_batch_says_what_is_in_it():
    batch = collate([tensors_of(Numbered()[i], ()) for i in range(5)])
    assert str(batch) == "batch of 5 at 20 x 30 px (0, 1, 2 and 2 more)"


def test_closing_ends_the_processes_that_load():
    before = set(multiprocessing.active_children())
    loader = open_loader(SampleStream(Numbered(), untouched, 0, ("aif",)), 0, 2, workers=2)
    next(loader)
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 2
    loader.close()
    assert not any(process.is_alive() for process in started)
