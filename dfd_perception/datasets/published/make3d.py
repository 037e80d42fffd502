# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Make3D (Saxena et al. 2009): sharp outdoor images with a coarse laser map of 55 x 305.

    Train400Img/img-NAME.jpg     Train400Depth/depth_sph_corr-NAME.mat
    Test134/img-NAME.jpg         Gridlaserdata/depth_sph_corr-NAME.mat

A map is Position3DGrid, (55, 305, 4), its fourth plane the depth in metres.
Some archives have one more folder of the same name inside. Images are 2272 x 1704 and are reduced to 460 x 345, the
size at which the set is usually scored; depth is enlarged to it by nearest neighbour. 81 m and more is "no return".
Open it with a lens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.datasets.frame_files import files_by_stem, named
from dfd_perception.datasets.rgbd import SharpFrame
from dfd_perception.errors import DatasetError
from dfd_perception.files.images import read_rgb

FOLDERS = {"train": ("Train400Img", "Train400Depth"), "test": ("Test134", "Gridlaserdata")}
SIZE = (460, 345)
NO_RETURN_M = 80.0


def is_make3d(folder: Path) -> bool:
    """Whether one of the published pairs of folders is there."""
    return any(all((folder / part).is_dir() for part in parts) for parts in FOLDERS.values())


class Make3D:
    """A SharpSource; splits "train" (400) and "test" (134)."""

    def __init__(self, folder: Path) -> None:
        self.name = "make3d"
        self._frames: list[tuple[str, Path, Path]] = []
        splits: dict[str, Sequence[int]] = {}
        for split, (image_folder, maps) in FOLDERS.items():
            if (folder / image_folder).is_dir():
                pairs = _pairs(_inner(folder / image_folder), _inner(folder / maps))
                splits[split] = range(len(self._frames), len(self._frames) + len(pairs))
                self._frames += pairs
        if not self._frames:
            raise DatasetError(f"{folder}: no Train400Img or Test134 with images in it")
        self.splits: Mapping[str, Sequence[int]] = splits

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> SharpFrame:
        name, image, depth = self._frames[index]
        width_height = (SIZE[1], SIZE[0])
        rgb = cv2.resize(read_rgb(image), width_height, interpolation=cv2.INTER_AREA)
        depth_m = cv2.resize(_read_grid(depth), width_height, interpolation=cv2.INTER_NEAREST)
        depth_m[~((depth_m > 0) & (depth_m < NO_RETURN_M))] = np.nan
        if np.isnan(depth_m).all():
            raise DatasetError(f"{depth}: no valid depth at all; remove this frame")
        return SharpFrame(name, rgb, depth_m, None)


def _inner(folder: Path) -> Path:
    return folder / folder.name if (folder / folder.name).is_dir() else folder


def _pairs(image_folder: Path, maps: Path) -> list[tuple[str, Path, Path]]:
    images = {stem.removeprefix("img-"): path for stem, path in files_by_stem(image_folder).items()}
    grids = {stem.removeprefix("depth_sph_corr-"): path for stem, path in files_by_stem(maps, (".mat",)).items()}
    if set(images) != set(grids):
        lacking = sorted(set(images) ^ set(grids))
        raise DatasetError(f"{images} and {maps}: {named(lacking)} is in one of them only; add or remove the files")
    return [(name, path, grids[name]) for name, path in images.items()]


def _read_grid(path: Path) -> NDArray[np.float32]:
    from scipy.io import loadmat

    try:
        grid = loadmat(str(path))["Position3DGrid"]
    except (ValueError, KeyError, OSError, NotImplementedError) as error:
        raise DatasetError(f"{path}: cannot read Position3DGrid from it ({error})") from error
    if grid.ndim != 3 or grid.shape[2] != 4:
        raise DatasetError(f"{path}: Position3DGrid is {grid.shape}; expected (55, 305, 4)")
    return np.ascontiguousarray(grid[..., 3], dtype=np.float32)
