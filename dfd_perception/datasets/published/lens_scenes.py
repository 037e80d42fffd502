# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Scenes seen through a true lens, with exact depth: renderings by a thin-lens camera, or a bench's photographs.

    NAME/{defocused.png|jpg, aif.png|jpg, depth.png, meta.json}

One folder a scene. depth.png is uint16 millimetres, 0 where there is none; meta.json holds `lens` (focal_m, f_number,
focus_m, pitch_m, all in metres) and `fx` [px]. `aif` may be absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.frame_files import files_by_stem
from dfd_perception.datasets.sample import DefocusSample, tail_split
from dfd_perception.errors import DatasetError, LensError
from dfd_perception.files.images import read_depth_m, read_rgb


def is_lens_scenes(folder: Path) -> bool:
    """Whether the folder has this layout."""
    return any(path.is_file() for path in folder.glob("*/defocused.*")) and any(folder.glob("*/meta.json"))


class LensScenes:
    """A DefocusDataset of such scenes; each carries its own lens.

    Raises:
        DatasetError: no scene, or one that lacks a part, by name.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._scenes = [path for path in sorted(folder.iterdir()) if (path / "meta.json").is_file()]
        if not self._scenes:
            raise DatasetError(f"{folder}: no folder with defocused, depth.png and meta.json in it")
        self.splits: Mapping[str, Sequence[int]] = tail_split(len(self._scenes))

    @property
    def names(self) -> list[str]:
        """Names of the scenes."""
        return [scene.name for scene in self._scenes]

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, index: int) -> DefocusSample:
        scene = self._scenes[index]
        parts = files_by_stem(scene)
        if "defocused" not in parts:
            raise DatasetError(f"{scene}: no defocused.png or defocused.jpg in it; add it or remove the folder")
        defocused = read_rgb(parts["defocused"])
        size = (defocused.shape[0], defocused.shape[1])
        fx_px, curve = _lens(scene / "meta.json")
        camera = CameraIntrinsics.centred(size, fx_px)
        return DefocusSample(
            name=scene.name,
            defocused=defocused,
            aif=read_rgb(parts["aif"]) if "aif" in parts else None,
            depth_m=read_depth_m(scene / "depth.png", size),
            camera=camera,
            curve=curve,
        )


def _lens(path: Path) -> tuple[float, DefocusCurve]:
    """fx [px] and the lens of meta.json."""
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        lens = meta["lens"]
        fx_px = float(meta["fx"])
        diameter_mm = float(lens["focal_m"]) / float(lens["f_number"]) * 1e3
        return fx_px, DefocusCurve.from_aperture(fx_px, diameter_mm, float(lens["focus_m"]))
    except (ValueError, KeyError, TypeError, ZeroDivisionError, RecursionError, LensError) as error:
        raise DatasetError(
            f"{path}: cannot read fx and lens (focal_m, f_number, focus_m) from it ({error!r})"
        ) from error
