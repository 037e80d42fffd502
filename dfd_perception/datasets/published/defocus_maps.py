# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Data sets of blur without metric depth: SYNDOF, DED and RTF."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.size import Size
from dfd_perception.datasets.frame_files import FilesDataset, FrameFiles, files_by_stem, unpaired
from dfd_perception.datasets.sample import tail_split
from dfd_perception.errors import DatasetError

SYNDOF_CODES_PER_SIGMA = 10.0
COC_PER_SIGMA = 4.0
"""Disk of equal second moment."""


def is_syndof(folder: Path) -> bool:
    """image/ and blur_map/."""
    return (folder / "image").is_dir() and (folder / "blur_map").is_dir()


def open_syndof(folder: Path) -> FilesDataset:
    """SYNDOF (Lee et al. 2019) as its generator writes it: image/STEM.png and blur_map/STEM.png.

    A map holds ten times the sigma of the Gaussian blur in pixels. The circle of confusion given here
    is 4 sigma, the disk of equal second moment. There is no all-in-focus image among its outputs.
    """
    parts = {"image": files_by_stem(folder / "image"), "blur_map": files_by_stem(folder / "blur_map", (".png",))}
    _require_pairs(folder, parts)
    frames = [FrameFiles(name=s, defocused=path, coc=parts["blur_map"][s]) for s, path in parts["image"].items()]
    return FilesDataset("syndof", frames, tail_split(len(frames)), read_coc=_syndof_coc_px)


def is_ded(folder: Path) -> bool:
    """sharp/, image/ and filtered/."""
    return all((folder / part).is_dir() for part in ("sharp", "image", "filtered"))


def open_ded(folder: Path) -> FilesDataset:
    """DED (Ma et al. 2021): sharp/PREFIX_N.jpg, image/image_N.jpg, filtered/defocus_filterd_N.png (spelt so).

    The maps have no published scale in pixels, so none is given; they remain beside the images.
    """
    parts = {
        part: {stem.rpartition("_")[2]: path for stem, path in files_by_stem(folder / part, suffixes).items()}
        for part, suffixes in {"sharp": (".jpg",), "image": (".jpg",), "filtered": (".png",)}.items()
    }
    _require_pairs(folder, parts)
    frames = [FrameFiles(name=n, defocused=path, aif=parts["sharp"][n]) for n, path in parts["image"].items()]
    return FilesDataset("ded", frames, tail_split(len(frames), "test", 0.13))


def is_rtf(folder: Path) -> bool:
    """blurred/, sharp/ and gt/."""
    return all((folder / part).is_dir() for part in ("blurred", "sharp", "gt"))


def open_rtf(folder: Path) -> FilesDataset:
    """RTF (D'Andres et al. 2016), 22 light-field scenes for tests: blurred/STEM.*, sharp/STEM.*, gt/STEM.png.

    The unit of the maps is not stated with them, so none is given; they remain beside the images.
    """
    parts = {part: files_by_stem(folder / part) for part in ("blurred", "sharp", "gt")}
    _require_pairs(folder, parts)
    frames = [
        FrameFiles(name=stem, defocused=path, aif=parts["sharp"][stem]) for stem, path in parts["blurred"].items()
    ]
    return FilesDataset("rtf", frames, {"test": range(len(frames))})


def _require_pairs(folder: Path, parts: dict[str, dict[str, Path]]) -> None:
    lines = unpaired(parts)
    if lines or not any(parts.values()):
        raise DatasetError(f"{folder}: {'; '.join(lines) or 'no images'}; add the files or remove their partners")


def _syndof_coc_px(path: Path, size: Size) -> NDArray[np.float32]:
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if codes is None:
        raise DatasetError(f"{path}: not a readable image; replace or remove it")
    if codes.ndim == 3:
        codes = codes[..., 1]
    if codes.shape != size:
        raise DatasetError(f"{path}: map is {codes.shape[1]} x {codes.shape[0]} px, its image {size[1]} x {size[0]}")
    return codes.astype(np.float32) * np.float32(COC_PER_SIGMA / SYNDOF_CODES_PER_SIGMA)
