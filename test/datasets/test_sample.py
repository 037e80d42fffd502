# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.sample import DefocusDataset, DefocusSample, select_split, tail_split
from dfd_perception.errors import DatasetError

IMAGE = np.zeros((3, 4, 3), np.uint8)


class _Frames:
    name = "frames"
    splits = {"train": [0, 2], "empty": []}

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> DefocusSample:
        return DefocusSample(name=f"f{index}", defocused=IMAGE)


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"defocused": IMAGE.astype(np.float32)}, "defocused"),
        ({"aif": np.zeros((4, 3, 3), np.uint8)}, "aif"),
        ({"depth_m": np.ones((3, 4))}, "depth_m"),
        ({"depth_m": np.ones((4, 3), np.float32)}, "depth_m"),
        ({"coc_px": np.ones((3, 4, 1), np.float32)}, "coc_px"),
        ({"camera": CameraIntrinsics(width=3, height=4, fx=1, fy=1, cx=0, cy=0)}, "scale or crop"),
    ],
)
def test_a_part_that_does_not_fit_is_named(parts: dict, word: str) -> None:
    with pytest.raises(DatasetError, match=word):
        DefocusSample(**{"name": "x", "defocused": IMAGE, **parts})


def test_coc_comes_from_depth_and_lens_and_the_simulated_one_wins() -> None:
    depth_m = np.full((3, 4), 1.0, np.float32)
    depth_m[0, 0] = np.nan
    curve = DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6)
    coc_px = DefocusSample(name="x", defocused=IMAGE, depth_m=depth_m, curve=curve).coc_target_px()
    assert coc_px is not None
    assert coc_px.dtype == np.float32
    assert coc_px[1, 1] == pytest.approx(11.0)
    assert np.isnan(coc_px[0, 0])
    simulated = np.full((3, 4), 2.0, np.float32)
    both = DefocusSample(name="x", defocused=IMAGE, depth_m=depth_m, curve=curve, coc_px=simulated)
    assert both.coc_target_px() is simulated
    assert DefocusSample(name="x", defocused=IMAGE, depth_m=depth_m).coc_target_px() is None


def test_splits_select_by_index_and_unknown_or_empty_ones_are_named() -> None:
    frames = _Frames()
    assert isinstance(frames, DefocusDataset)
    train = select_split(frames, "train")
    assert [train[i].name for i in range(len(train))] == ["f0", "f2"]
    assert select_split(frames, None) is frames
    with pytest.raises(DatasetError, match="no split 'test'; it has: train, empty"):
        select_split(frames, "test")
    with pytest.raises(DatasetError, match="empty"):
        select_split(frames, "empty")


def test_tail_split_covers_everything_once() -> None:
    for count in (1, 2, 7, 81):
        splits = tail_split(count)
        assert sorted([*splits["train"], *splits["val"]]) == list(range(count))
    assert len(tail_split(81)["val"]) == 16
