# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""DIODE: laser-scanned sharp RGB-D, indoors and outdoors.

    {train,val}/{indoors,outdoor}/scene_NNNNN/scan_NNNNN/NAME.png, NAME_depth.npy, NAME_depth_mask.npy

Depth is float32 metres, (768, 1024) or (768, 1024, 1); the mask is 1 where the laser measured. Open it with a lens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.size import Size
from dfd_perception.datasets.frame_files import named
from dfd_perception.datasets.rgbd import SharpFrame
from dfd_perception.errors import DatasetError, reason_of
from dfd_perception.files.images import read_rgb

CAMERA = CameraIntrinsics(width=1024, height=768, fx=886.81, fy=927.06, cx=512.0, cy=384.0)
"""As the authors give it for the 1024 x 768 images."""


def is_diode(folder: Path) -> bool:
    """Whether there are scenes under the names of splits."""
    return any(True for split in ("train", "val") for _ in (folder / split).glob("*/scene_*"))


class Diode:
    """A SharpSource; splits "train" and "val", and of each "_indoors" and "_outdoor"."""

    def __init__(self, folder: Path) -> None:
        self.name = "diode"
        self._images: list[Path] = []
        splits: dict[str, list[int]] = {}
        for split in ("train", "val"):
            for place in ("indoors", "outdoor"):
                images = sorted((folder / split / place).glob("scene_*/scan_*/*.png"))
                indices = range(len(self._images), len(self._images) + len(images))
                self._images += images
                for name in (split, f"{split}_{place}") if images else ():
                    splits.setdefault(name, []).extend(indices)
        if not self._images:
            raise DatasetError(f"{folder}: no scene_*/scan_*/*.png under train or val; expected the layout of DIODE")
        lacking = [image.stem for image in self._images if not all(path.is_file() for path in _maps(image))]
        if lacking:
            raise DatasetError(f"{folder}: no _depth.npy or _depth_mask.npy for {named(lacking)}; add or remove them")
        self.splits: Mapping[str, Sequence[int]] = splits

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> SharpFrame:
        image = self._images[index]
        rgb = read_rgb(image)
        size = (rgb.shape[0], rgb.shape[1])
        depth_m, mask = (_read_map(path, size) for path in _maps(image))
        valid = (mask > 0) & (depth_m > 0) & np.isfinite(depth_m)
        if not valid.any():
            raise DatasetError(f"{image}: no valid depth at all; remove this frame")
        depth_m = np.where(valid, depth_m, np.nan).astype(np.float32)
        return SharpFrame(image.stem, rgb, depth_m, CAMERA.scaled(size=size))


def _maps(image: Path) -> tuple[Path, Path]:
    return image.with_name(f"{image.stem}_depth.npy"), image.with_name(f"{image.stem}_depth_mask.npy")


def _read_map(path: Path, size: Size) -> NDArray[np.floating]:
    try:
        values = np.squeeze(np.load(path))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable .npy ({reason_of(error)})") from error
    if values.shape != size:
        raise DatasetError(f"{path}: map is {values.shape}, its image {size} (height, width)")
    return values
