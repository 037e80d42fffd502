# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""NYU-Depth-V2, labelled part: 1449 sharp RGB-D frames in one MATLAB 7.3 file, 795 for training and 654 for tests.

    nyu_depth_v2_labeled.mat    images (N, 3, W, H) uint8, depths (N, W, H) float32 [m], in-filled (as HDF5 stores them)
    splits.mat                  trainNdxs, testNdxs, counted from 1; published beside it

The images are sharp: open them with a lens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.datasets.rgbd import SharpFrame
from dfd_perception.errors import DatasetError, counted

HOME = "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
FILE_NAME = "nyu_depth_v2_labeled.mat"
SPLIT_NAME = "splits.mat"
CAMERA = CameraIntrinsics(width=640, height=480, fx=518.8579, fy=519.4696, cx=325.5824, cy=253.7362)
"""Colour camera of the toolbox, 640 x 480."""


class NyuDepthV2:
    """A SharpSource. `path` is the .mat file or its folder; the file is opened at the first read of each process."""

    def __init__(self, path: Path) -> None:
        self.name = "nyu-depth-v2"
        self._path = path / FILE_NAME if path.is_dir() else path
        self._file: Any = None
        images, depths = self._arrays()
        if images.ndim != 4 or images.shape[1] != 3 or depths.shape != (images.shape[0], *images.shape[2:]):
            raise DatasetError(
                f"{self._path}: images are {images.shape}, depths {depths.shape}; expected (N, 3, W, H) and (N, W, H)"
            )
        self._count = int(images.shape[0])
        self.splits: Mapping[str, Sequence[int]] = _read_splits(self._path.with_name(SPLIT_NAME), self._count)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> SharpFrame:
        images, depths = self._arrays()
        rgb = np.ascontiguousarray(images[index].transpose(2, 1, 0))
        depth_m = np.ascontiguousarray(depths[index].T, dtype=np.float32)
        depth_m[~(depth_m > 0)] = np.nan
        camera = CAMERA if rgb.shape[:2] == (480, 640) else CAMERA.scaled(size=(rgb.shape[0], rgb.shape[1]))
        return SharpFrame(f"nyu_{index:04d}", rgb, depth_m, camera)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def _arrays(self) -> tuple[Any, Any]:
        import h5py

        if self._file is None:
            if not self._path.is_file():
                raise DatasetError(f"{self._path}: missing; it is the labelled part of NYU-Depth-V2, from {HOME}")
            try:
                self._file = h5py.File(self._path, "r")
            except OSError as error:  # the library's own words are about blocks and signatures
                raise DatasetError(
                    f"{self._path}: not a MATLAB 7.3 file, or one that is cut off; get it again from {HOME}"
                ) from error
        try:
            return self._file["images"], self._file["depths"]
        except KeyError as error:
            raise DatasetError(f"{self._path}: has no 'images' or 'depths'; expected {FILE_NAME}") from error


def _read_splits(path: Path, count: int) -> dict[str, list[int]]:
    if not path.is_file():
        raise DatasetError(f"{path}: missing; it is published beside {FILE_NAME} and says which frames are for tests")
    from scipy.io import loadmat

    try:
        content = loadmat(str(path))
        splits = {split: (content[f"{split}Ndxs"].ravel().astype(int) - 1).tolist() for split in ("train", "test")}
    except (ValueError, KeyError, NotImplementedError, OSError) as error:
        raise DatasetError(f"{path}: cannot read trainNdxs and testNdxs from it ({error})") from error
    every = sorted(splits["train"] + splits["test"])
    if every != list(range(count)):
        raise DatasetError(
            f"{path}: its splits name {counted(len(every), 'frame')} and do not cover the {count} of the set once"
        )
    return splits
