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
from dfd_perception.datasets.files import named
from dfd_perception.datasets.pictures import read_rgb
from dfd_perception.datasets.rgbd import SharpFrame
from dfd_perception.errors import DatasetError

CAMERA = CameraIntrinsics(width=1024, height=768, fx=886.81, fy=927.06, cx=512.0, cy=384.0)
"""As the authors give it for the 1024 x 768 pictures."""


def is_diode(folder: Path) -> bool:
    """Whether there are scenes under the names of splits."""
    return any(True for split in ("train", "val") for _ in (folder / split).glob("*/scene_*"))


class Diode:
    """A SharpSource; splits "train" and "val", and of each "_indoors" and "_outdoor"."""

    def __init__(self, folder: Path) -> None:
        self.name = "diode"
        self._pictures: list[Path] = []
        splits: dict[str, list[int]] = {}
        for split in ("train", "val"):
            for place in ("indoors", "outdoor"):
                pictures = sorted((folder / split / place).glob("scene_*/scan_*/*.png"))
                indices = range(len(self._pictures), len(self._pictures) + len(pictures))
                self._pictures += pictures
                for name in (split, f"{split}_{place}") if pictures else ():
                    splits.setdefault(name, []).extend(indices)
        if not self._pictures:
            raise DatasetError(f"{folder}: no scene_*/scan_*/*.png under train or val; expected the layout of DIODE")
        lacking = [picture.stem for picture in self._pictures if not all(path.is_file() for path in _maps(picture))]
        if lacking:
            raise DatasetError(f"{folder}: no _depth.npy or _depth_mask.npy for {named(lacking)}; add or remove them")
        self.splits: Mapping[str, Sequence[int]] = splits

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> SharpFrame:
        picture = self._pictures[index]
        rgb = read_rgb(picture)
        size = (rgb.shape[0], rgb.shape[1])
        depth_m, mask = (_read_map(path, size) for path in _maps(picture))
        valid = (mask > 0) & (depth_m > 0) & np.isfinite(depth_m)
        if not valid.any():
            raise DatasetError(f"{picture}: no valid depth at all; remove this frame")
        depth_m = np.where(valid, depth_m, np.nan).astype(np.float32)
        return SharpFrame(picture.stem, rgb, depth_m, CAMERA.scaled(size=size))


def _maps(picture: Path) -> tuple[Path, Path]:
    return picture.with_name(f"{picture.stem}_depth.npy"), picture.with_name(f"{picture.stem}_depth_mask.npy")


def _read_map(path: Path, size: tuple[int, int]) -> NDArray[np.floating]:
    try:
        values = np.squeeze(np.load(path))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable .npy ({error})") from error
    if values.shape != size:
        raise DatasetError(f"{path}: map is {values.shape}, its picture {size} (height, width)")
    return values
