# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Opens a data set by what its folder looks like, and says what is in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.point_spread import DISK, PointSpread
from dfd_perception.core.sensor import SensorNoise
from dfd_perception.core.size import Size
from dfd_perception.datasets import folder, rgbd
from dfd_perception.datasets.depth_units import FRAMES_LOOKED_AT, depth_unit_lines
from dfd_perception.datasets.published import (
    defocus_maps,
    dfd_indoor,
    diode,
    idfd,
    lens_scenes,
    make3d,
    nyu_depth_v2,
    zedd,
)
from dfd_perception.datasets.rgbd import NO_NOISE, DefocusedRgbd, SharpSource
from dfd_perception.datasets.sample import DefocusDataset, DefocusSample, select_split, spread_over
from dfd_perception.errors import DatasetError, DfdPerceptionError

LARGEST_CHECK = 200


class Layout(NamedTuple):
    """A kind of data set: how its folder is recognised, how it is opened, and whether it needs a lens."""

    recognised: Callable[[Path], bool]
    opened: Callable[..., Any]
    sharp: bool = False
    any_unit: bool = False
    """`opened` takes the unit of depth; published sets have theirs."""


LAYOUTS: dict[str, Layout] = {
    "folder": Layout(lambda path: (path / folder.DESCRIPTION_NAME).is_file(), folder.open_folder, any_unit=True),
    "idfd": Layout(lambda path: idfd.is_idfd(path, "idfd"), idfd.open_idfd),
    "idfd-raw": Layout(lambda path: idfd.is_idfd(path, "idfd-raw"), lambda path: idfd.open_idfd(path, "idfd-raw")),
    "dfd-indoor": Layout(dfd_indoor.is_dfd_indoor, dfd_indoor.open_dfd_indoor),
    "ded": Layout(defocus_maps.is_ded, defocus_maps.open_ded),
    "rtf": Layout(defocus_maps.is_rtf, defocus_maps.open_rtf),
    "syndof": Layout(defocus_maps.is_syndof, defocus_maps.open_syndof),
    "nyu-depth-v2": Layout(
        lambda path: path.name == nyu_depth_v2.FILE_NAME or (path / nyu_depth_v2.FILE_NAME).is_file(),
        nyu_depth_v2.NyuDepthV2,
        sharp=True,
    ),
    "diode": Layout(diode.is_diode, diode.Diode, sharp=True),
    "make3d": Layout(make3d.is_make3d, make3d.Make3D, sharp=True),
    "zedd": Layout(zedd.is_zedd, zedd.Zedd),
    "lens-scenes": Layout(lens_scenes.is_lens_scenes, lens_scenes.LensScenes),
    "rgbd": Layout(rgbd.is_rgbd_folder, rgbd.RgbdFolder, sharp=True, any_unit=True),
}
"""Asked in this order; the first that recognises the folder is taken."""


def recognise(path: Path) -> str:
    """Kind of the data set at `path`.

    Raises:
        DatasetError: no such folder, or of no known layout.
    """
    if not path.exists():
        raise DatasetError(f"{path}: no such data set")
    for kind, layout in LAYOUTS.items():
        if layout.recognised(path):
            return kind
    raise DatasetError(
        f"{path}: no known data set layout. Expected dataset.yaml with defocused/, aif/, depth/ (your own folder), "
        f"or the published layout of one of: {', '.join(LAYOUTS)}"
    )


def layout_of(kind: str) -> Layout:
    """One of LAYOUTS.

    Raises:
        DatasetError: no such kind.
    """
    if kind not in LAYOUTS:
        raise DatasetError(f"data set kind {kind!r} is not known; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[kind]


def open_sharp(path: Path, kind: str | None = None, depth_unit_m: float | None = None) -> SharpSource:
    """Open sharp RGB-D images.

    Args:
        path: their folder.
        kind: a key of LAYOUTS; None: by the look of the folder.
        depth_unit_m: metres per count of depth that does not say; None: not stated, millimetres.

    Raises:
        DatasetError: not recognised, not a set of sharp images, or incomplete.
    """
    kind = kind or recognise(path)
    if not layout_of(kind).sharp:
        raise DatasetError(f"{path}: {kind} is defocused already; expected sharp images with depth")
    return _opened(path, kind, depth_unit_m)


def _opened(path: Path, kind: str, depth_unit_m: float | None) -> Any:
    layout = layout_of(kind)
    if depth_unit_m is None:
        return layout.opened(path)
    if not layout.any_unit:
        raise DatasetError(f"{path}: {kind} is published with the unit of its depth; leave the depth unit out")
    return layout.opened(path, depth_unit_m)


def open_dataset(
    path: Path,
    kind: str | None = None,
    split: str | None = None,
    curve: DefocusCurve | None = None,
    point_spread: PointSpread = DISK,
    noise: SensorNoise = NO_NOISE,
    seed: int = 0,
    depth_unit_m: float | None = None,
) -> DefocusDataset:
    """Open a data set for training or evaluation.

    Args:
        path: its folder (or file).
        kind: a key of LAYOUTS; None: by the look of the folder.
        split: one of its splits; None: everything.
        curve: lens for sharp RGB-D images; ignored by sets that were photographed defocused.
        point_spread: shape of the blur given to sharp images.
        noise: of the sensor, for sharp images.
        seed: of the noise.
        depth_unit_m: metres per count of depth; None: as the set says, or millimetres.

    Raises:
        DatasetError: not recognised, incomplete, without the split, or sharp and no lens given.
    """
    kind = kind or recognise(path)
    opened = _opened(path, kind, depth_unit_m)
    if layout_of(kind).sharp:
        if curve is None:
            raise DatasetError(f"{path}: {kind} holds sharp images; give the lens that shall defocus them")
        opened = DefocusedRgbd(opened, curve, point_spread, noise, seed)
    return select_split(opened, split)


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """What `dfd doctor --data` says. Sizes are (height, width) [px]; `checked` frames were read whole."""

    path: str
    kind: str
    frames: int
    splits: dict[str, int]
    parts: list[str]
    sizes: list[Size]
    depth_range_m: tuple[float, float] | None
    checked: int
    problems: list[str]
    depth_unit: list[str]
    """What the depth would be in other units, where nobody stated one."""


def describe_dataset(path: Path) -> DatasetSummary:
    """Recognise a data set, count it, and read its frames (at most 200, evenly spread) to find what is wrong.

    Raises:
        DatasetError: not recognised, or it cannot be opened at all.
    """
    kind = recognise(path)
    opened = layout_of(kind).opened(path)
    problems = list(getattr(opened, "problems", []))
    parts: set[str] = set()
    sizes: set[Size] = set()
    depths: list[float] = []
    maps_m: list[np.ndarray] = []
    chosen = spread_over(len(opened), LARGEST_CHECK)
    for index in chosen:
        try:
            frame = opened[index]
        except DfdPerceptionError as error:
            problems.append(str(error))
            continue
        arrays = _parts_of(frame)
        parts |= set(arrays)
        sizes.add(arrays[next(iter(arrays))].shape[:2])
        if "depth" in arrays:
            maps_m += [arrays["depth"]] if len(maps_m) < FRAMES_LOOKED_AT else []
            depths += [float(np.nanmin(arrays["depth"])), float(np.nanmax(arrays["depth"]))]
    return DatasetSummary(
        path=str(path),
        kind=kind,
        frames=len(opened),
        splits={name: len(indices) for name, indices in opened.splits.items()},
        parts=sorted(parts),
        sizes=sorted(sizes),
        depth_range_m=(min(depths), max(depths)) if depths else None,
        checked=len(chosen),
        problems=problems,
        depth_unit=depth_unit_lines(unit, maps_m, "depth_unit_m in dataset.yaml, or --depth-unit")
        if (unit := getattr(opened, "depth_unit", None))
        else [],
    )


def _parts_of(frame: Any) -> dict[str, np.ndarray]:
    if isinstance(frame, DefocusSample):
        every = {"defocused": frame.defocused, "aif": frame.aif, "depth": frame.depth_m, "coc": frame.coc_px}
    else:
        every = {"sharp": frame.rgb, "depth": frame.depth_m}
    return {name: array for name, array in every.items() if array is not None}
