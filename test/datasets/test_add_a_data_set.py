# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""docs/add-a-data-set.md, followed: a reader and a row of LAYOUTS, and the rest of the package opens the set."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.registry import LAYOUTS, Layout, open_dataset, recognise
from dfd_perception.datasets.rgbd import SharpFrame
from dfd_perception.errors import DatasetError


class Arrays:
    """NAME.npz with `rgb` and `depth_m`."""

    def __init__(self, folder):
        self.name = "arrays"
        self._files = sorted(folder.glob("*.npz"))
        if not self._files:
            raise DatasetError(f"{folder}: no .npz in it")
        self.splits = {"train": range(len(self._files))}

    def __len__(self):
        return len(self._files)

    def __getitem__(self, index):
        content = np.load(self._files[index])
        return SharpFrame(self._files[index].stem, content["rgb"], content["depth_m"], None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setitem(LAYOUTS, "arrays", Layout(lambda path: (path / "ARRAYS").is_file(), Arrays, sharp=True))
    (tmp_path / "ARRAYS").touch()
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 60, 3), np.uint8)
    np.savez(tmp_path / "one.npz", rgb=rgb, depth_m=rng.uniform(1, 3, (40, 60)).astype(np.float32))
    return tmp_path


def test_it_is_recognised_and_blurred_by_a_lens(folder):
    assert recognise(folder) == "arrays"
    curve = DefocusCurve(gain_px_per_dioptre=8.0, focus_distance_m=0.8)
    item = open_dataset(folder, split="train", curve=curve)[0]
    assert item.coc_px is not None or item.depth_m is not None
    assert item.aif.shape == item.defocused.shape == (40, 60, 3)
    assert np.diff(item.defocused.astype(float), axis=1).std() < np.diff(item.aif.astype(float), axis=1).std()
    with pytest.raises(DatasetError, match="give the lens"):
        open_dataset(folder)


def test_doctor_describes_it(folder, capsys):
    assert main(["doctor", "--data", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], said["frames"], said["splits"]) == ("arrays", 1, {"train": 1})
