# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""DFD-indoor (Carvalho et al. 2018): DSLR images at f/2.8 (defocused) and f/8 (near all-in-focus), Xtion depth.

Published layout, inside the D3-Net repository; "N8" may be absent:

    dfd_indoor/dfd_dataset_indoor_N2_8/{rgb,depth}/{train,test}/TIMESTAMP.JPG|png
    dfd_indoor/dfd_dataset_indoor_N8/{rgb,depth}/{train,test}/TIMESTAMP.JPG|png

or with the parts side by side: {train,test}/{defocused,aif,depth}/TIMESTAMP.*. Depth is uint16 millimetres, taken a
fraction of a second before the image. Sorted lists of the published test split do not match (9 of 29 pairs
are wrong): everything is paired by the nearest stamp. The f/8 image still carries one to two pixels of blur.
"""

from __future__ import annotations

from pathlib import Path

from dfd_perception.datasets.frame_files import FilesDataset, FrameFiles, files_by_stem, named, pair_by_stamp
from dfd_perception.errors import DatasetError

STAMP_BOUND_S = 1.0
"""Pairs of the training set are at most 0.31 s apart, wrong ones minutes."""

FOLDS = 5
HELD_OUT = 16
WIDE, NARROW = "dfd_dataset_indoor_N2_8", "dfd_dataset_indoor_N8"


def is_dfd_indoor(folder: Path) -> bool:
    """Whether the folder has one of the two layouts."""
    return (folder / WIDE / "rgb").is_dir() or any(
        all((folder / split / part).is_dir() for part in ("defocused", "aif", "depth")) for split in ("train", "test")
    )


def open_dfd_indoor(folder: Path) -> FilesDataset:
    """Open it. Splits: "train" and "test" as published; of the published training scenes, "train65" and "val16", and
    five folds "fold1_train", "fold1_val" and so on, each fold a contiguous fifth in order of time.

    Raises:
        DatasetError: nothing could be paired.
    """  # noqa: D205 (the splits are one list)
    frames: list[FrameFiles] = []
    splits: dict[str, list[int]] = {}
    problems: list[str] = []
    for split in ("train", "test"):
        folders = _folders(folder, split)
        if folders is None:
            continue
        pairs, left_out = _frames(*folders)
        splits[split] = list(range(len(frames), len(frames) + len(pairs)))
        frames += pairs
        problems += [f"{split}: {line}" for line in left_out]
    if not frames:
        raise DatasetError(f"{folder}: no image of DFD-indoor could be paired with its depth by time stamp")
    splits |= _folds(splits.get("train", []))
    return FilesDataset("dfd-indoor", frames, splits, problems=problems, aperture_ratio=2.8 / 8)


def _folders(folder: Path, split: str) -> tuple[Path, Path, Path] | None:
    if (folder / WIDE / "rgb" / split).is_dir():
        return tuple(folder / part / split for part in (f"{WIDE}/rgb", f"{NARROW}/rgb", f"{WIDE}/depth"))  # type: ignore[return-value]
    if (folder / split / "defocused").is_dir():
        return tuple(folder / split / part for part in ("defocused", "aif", "depth"))  # type: ignore[return-value]
    return None


def _frames(defocused: Path, aif: Path, depth: Path) -> tuple[list[FrameFiles], list[str]]:
    images = files_by_stem(defocused)
    depths, without_depth = pair_by_stamp(images, files_by_stem(depth, (".png",)), STAMP_BOUND_S)
    sharp: dict[str, Path] = {}
    left_out = [f"no depth within {STAMP_BOUND_S} s of {named(without_depth)}"] if without_depth else []
    if aif.is_dir():
        sharp, without_sharp = pair_by_stamp(images, files_by_stem(aif), STAMP_BOUND_S)
        if without_sharp:
            left_out.append(f"no f/8 image within {STAMP_BOUND_S} s of {named(without_sharp)}")
    complete = [stem for stem in images if stem in depths and (stem in sharp or not aif.is_dir())]
    frames = [
        # Colons are not fit for file names everywhere.
        FrameFiles(name=stem.replace(":", "-"), defocused=images[stem], aif=sharp.get(stem), depth=depths[stem])
        for stem in complete
    ]
    return frames, left_out


def _folds(train: list[int]) -> dict[str, list[int]]:
    if len(train) < FOLDS:
        return {}
    held_out = round(len(train) * HELD_OUT / 81)
    splits = {"train65": train[:-held_out], "val16": train[-held_out:]}
    borders = [round(len(train) * fold / FOLDS) for fold in range(FOLDS + 1)]
    for fold in range(FOLDS):
        held = train[borders[fold] : borders[fold + 1]]
        splits[f"fold{fold + 1}_train"] = [index for index in train if index not in held]
        splits[f"fold{fold + 1}_val"] = held
    return splits
