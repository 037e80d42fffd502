# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Data sets that are folders of files: finding and pairing the parts of a frame, and reading one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.size import Size
from dfd_perception.datasets.depth_units import DepthUnit
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.errors import DatasetError
from dfd_perception.files.images import STORED_SUFFIXES, read_depth_m, read_mask, read_rgb

NAMED_AT_MOST = 3

MapReader = Callable[[Path, tuple[int, int]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class FrameFiles:
    """Files of one frame; None for a part that the data set lacks."""

    name: str
    defocused: Path
    aif: Path | None = None
    depth: Path | None = None
    coc: Path | None = None
    seen: Path | None = None
    """Mask: where `aif` was really seen."""
    measured: Path | None = None
    """Mask: where a sensor measured `depth`; elsewhere it was filled in."""


class FilesDataset:
    """A DefocusDataset over files.

    Args:
        name: kind of data set.
        frames: in their order.
        splits: split name to indices into `frames`.
        camera: intrinsics of the stored images, if known.
        curve: lens of the stored images, if known.
        read_depth: file and (height, width) to depth [m].
        read_coc: file and (height, width) to circle of confusion [px].
        problems: what was left out and why, for `dfd doctor`.
        depth_unit: of depth whose files do not say; None where the data set is published with its unit.
        aperture_ratio: where `aif` was taken at a smaller aperture of the same camera: f-number of the defocused image
            over that of `aif` (0: not known); None: `aif` is something else.
    """

    def __init__(
        self,
        name: str,
        frames: Sequence[FrameFiles],
        splits: Mapping[str, Sequence[int]],
        camera: CameraIntrinsics | None = None,
        curve: DefocusCurve | None = None,
        read_depth: MapReader = read_depth_m,
        read_coc: MapReader | None = None,
        problems: Sequence[str] = (),
        depth_unit: DepthUnit | None = None,
        aperture_ratio: float | None = None,
    ) -> None:
        if not frames:
            raise DatasetError(f"{name}: no complete frame found" + "".join(f"; {problem}" for problem in problems))
        self.name, self.frames, self.splits = name, list(frames), dict(splits)
        self.camera, self.curve = camera, curve
        self.problems = list(problems)
        self.depth_unit = depth_unit
        self.aperture_ratio = aperture_ratio
        self._read_depth, self._read_coc = read_depth, read_coc

    @property
    def names(self) -> list[str]:
        """Names of the frames, without reading them."""
        return [files.name for files in self.frames]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> DefocusSample:
        files = self.frames[index]
        beside_map = files.depth is not None or files.coc is not None or self.camera is not None
        defocused = read_rgb(files.defocused, beside_map)
        size = defocused.shape[:2]
        aif = None if files.aif is None else read_rgb(files.aif, beside_map)
        if aif is not None and aif.shape != defocused.shape:
            raise DatasetError(
                f"{files.aif}: image is {aif.shape[1]} x {aif.shape[0]} px, {files.defocused.name} is "
                f"{size[1]} x {size[0]}; parts of a frame must have one size"
            )
        if self.camera is not None and (self.camera.height, self.camera.width) != size:
            raise DatasetError(
                f"{files.defocused}: image is {size[1]} x {size[0]} px, the camera of the data set "
                f"{self.camera.width} x {self.camera.height}"
            )
        return DefocusSample(
            name=files.name,
            defocused=defocused,
            aif=aif,
            seen=None if files.seen is None or aif is None else read_mask(files.seen, size),
            depth_m=None if files.depth is None else self._measured_depth(files.depth, files.measured, size),
            coc_px=None if files.coc is None or self._read_coc is None else self._read_coc(files.coc, size),
            camera=self.camera,
            curve=self.curve,
        )

    def _measured_depth(self, depth: Path, measured: Path | None, size: Size) -> NDArray[np.float32]:
        depth_m = self._read_depth(depth, size)
        if measured is None:
            return depth_m
        kept = np.where(read_mask(measured, size), depth_m, np.float32(np.nan))
        if not np.isfinite(kept).any():
            raise DatasetError(f"{measured}: nothing of {depth.name} was measured; remove this frame")
        return kept


def files_by_stem(folder: Path, suffixes: Sequence[str] = STORED_SUFFIXES) -> dict[str, Path]:
    """Stem to file of a folder, sorted by stem; suffixes in any case, hidden and unfinished files left out.

    Raises:
        DatasetError: no such folder, or two files with one stem.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    by_stem: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes or not path.is_file():
            continue
        if path.stem in by_stem:
            raise DatasetError(f"{folder}: {by_stem[path.stem].name} and {path.name} have one stem; keep one of them")
        by_stem[path.stem] = path
    return by_stem


def named(stems: Sequence[str]) -> str:
    """The first stems, and how many more there are."""
    shown = ", ".join(sorted(stems)[:NAMED_AT_MOST])
    return shown if len(stems) <= NAMED_AT_MOST else f"{shown} and {len(stems) - NAMED_AT_MOST} more"


def unpaired(parts: Mapping[str, Mapping[str, Path]]) -> list[str]:
    """For each part of a data set, a line that names the stems that other parts have and it lacks."""
    every = set().union(*parts.values())
    lines = []
    for part, files in parts.items():
        lacking = sorted(every - set(files))
        if lacking:
            lines.append(f"{part} lacks {named(lacking)}")
    return lines


def pair_by_stamp(
    first: Mapping[str, Path], second: Mapping[str, Path], bound_s: float
) -> tuple[dict[str, Path], list[str]]:
    """For each stem of `first` (an ISO time stamp) the file of `second` nearest in time, one to one.

    Closest pairs are made first, so that a missing file cannot shift the others.

    Returns:
        Stem of `first` to file of `second`, and the stems of `first` without a partner within the bound.
    """
    stamps_s = [{stem: _stamp_s(path) for stem, path in files.items()} for files in (first, second)]
    distances = sorted(
        (abs(time - other_time), stem, other)
        for stem, time in stamps_s[0].items()
        for other, other_time in stamps_s[1].items()
        if abs(time - other_time) <= bound_s
    )
    pairs: dict[str, Path] = {}
    taken: set[str] = set()
    for _, stem, other in distances:
        if stem not in pairs and other not in taken:
            pairs[stem] = second[other]
            taken.add(other)
    return pairs, sorted(set(first) - set(pairs))


def _stamp_s(path: Path) -> float:
    try:
        return datetime.fromisoformat(path.stem).timestamp()
    except ValueError as error:
        raise DatasetError(f"{path}: the name is not a time stamp like 2018-04-26T16:38:31.655986") from error
