# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""ZEDD (Princeton 2026, CC BY 4.0): a 50 mm lens at nine focus distances and five apertures, with dense true depth.

Published layout, of which only `val` has depth:

    ZEDD/metadata.txt                         run_1 <tab> motor code <tab> focus distance [m]; # starts a comment
    ZEDD/val/SCENE/focus_stack/img_run_R_motor_CODE_aperture_FN.jpg     N: 1.4, 2.0, 2.8, 4.0, 5.6, and one F16.0
    ZEDD/val/SCENE/gt/{depth.npy, K.txt}      metres, and the 3x3 intrinsics of depth.npy's size

Here every image is a sample of its own, with the lens that its name and metadata.txt say and the F16 image as the
all-in-focus one, at the size of the published evaluation: 480 rows, the 640 columns in the middle. Splits: "val",
one for each aperture ("f1.4") and each focus distance ("run_1").
Sources: github.com/princeton-vl/FOSSA dd7758d, README.md and dataset/zedd.py; huggingface.co/datasets/venkatsubra/ZEDD.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.errors import DatasetError
from dfd_perception.files.images import read_rgb

METADATA = "metadata.txt"
FOCAL_LENGTH_MM = 50.0
SHARP_F_NUMBER = 16.0
ROWS, COLUMNS = 480, 640
FARTHEST_M = 1000.0
"""Depth beyond is no measurement (the published loader's bound)."""

IMAGE = re.compile(r"img_(?P<run>run_\d+)_motor_[0-9A-Fa-f]+_aperture_F(?P<number>\d+(?:\.\d+)?)\.jpe?g", re.IGNORECASE)


class ZeddImage(NamedTuple):
    """One image and what its name says."""

    scene: Path
    path: Path
    run: str
    f_number: float


def is_zedd(folder: Path) -> bool:
    """Whether the folder is the root of ZEDD."""
    return (folder / METADATA).is_file() and any(folder.glob("val/*/focus_stack"))


class Zedd:
    """The validation half as a DefocusDataset, one image at a time.

    Raises:
        DatasetError: metadata.txt is not as published, or there is no scene with images and depth.
    """

    def __init__(self, folder: Path) -> None:
        self.name = "zedd"
        self.problems: list[str] = []
        self._focus_m = _focus_distances(folder / METADATA)
        self._images: list[ZeddImage] = []
        self._sharp: dict[Path, Path] = {}
        for scene in sorted(path for path in (folder / "val").iterdir() if path.is_dir()):
            self._add_scene(scene)
        if not self._images:
            raise DatasetError(f"{folder / 'val'}: no scene with focus_stack and gt/depth.npy in it")
        splits: dict[str, list[int]] = {"val": list(range(len(self._images)))}
        for index, image in enumerate(self._images):
            splits.setdefault(f"f{image.f_number:.1f}", []).append(index)
            splits.setdefault(image.run, []).append(index)
        self.splits: Mapping[str, Sequence[int]] = splits

    @property
    def names(self) -> list[str]:
        """Names of the images."""
        return [f"{image.scene.name}_{image.run}_F{image.f_number:.1f}" for image in self._images]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> DefocusSample:
        image = self._images[index]
        depth_m, fx_px, cx, cy = _truth(image.scene / "gt")
        height, width = depth_m.shape
        scale = ROWS / height
        offset = max(0, (round(width * scale) - COLUMNS) // 2)
        depth_m = _fitted(depth_m, scale, offset, cv2.INTER_NEAREST_EXACT)
        fx_px *= scale
        curve = DefocusCurve.from_aperture(fx_px, FOCAL_LENGTH_MM / image.f_number, self._focus_m[image.run])
        rows, columns = depth_m.shape
        sharp = self._sharp.get(image.scene)
        return DefocusSample(
            name=self.names[index],
            defocused=_image(image.path, height, width, scale, offset),
            aif=None if sharp is None else _image(sharp, height, width, scale, offset),
            depth_m=depth_m,
            camera=CameraIntrinsics(
                width=columns, height=rows, fx=fx_px, fy=fx_px, cx=cx * scale - offset, cy=cy * scale
            ),
            curve=curve,
        )

    def _add_scene(self, scene: Path) -> None:
        if not (scene / "gt/depth.npy").is_file():
            self.problems.append(f"{scene.name} has no gt/depth.npy")
            return
        for path in sorted((scene / "focus_stack").glob("*")):
            match = IMAGE.fullmatch(path.name)
            if match is None:
                continue
            f_number = float(match["number"])
            if f_number == SHARP_F_NUMBER:
                self._sharp[scene] = path
            elif match["run"] not in self._focus_m:
                self.problems.append(f"{path.name}: {METADATA} has no focus distance of {match['run']}")
            else:
                self._images.append(ZeddImage(scene, path, match["run"], f_number))


def _focus_distances(path: Path) -> dict[str, float]:
    """Run to focus distance [m]."""
    distances_m = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = line.strip().split("\t")
        try:
            run, _, focus_m = parts
            distances_m[run] = float(focus_m)
        except ValueError as error:
            raise DatasetError(
                f"{path}, line {number}: {line.strip()!r}; expected run, motor code and focus distance [m], with tabs"
            ) from error
    return distances_m


def _truth(folder: Path) -> tuple[NDArray[np.float32], float, float, float]:
    """Depth [m] with NaN, and fx, cx, cy [px] of its size."""
    try:
        depth_m = np.load(folder / "depth.npy").astype(np.float32)
        k = np.loadtxt(folder / "K.txt").reshape(3, 3)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder}: depth.npy or K.txt cannot be read ({error})") from error
    if depth_m.ndim != 2:
        raise DatasetError(f"{folder / 'depth.npy'}: shape {depth_m.shape}; expected (height, width)")
    with np.errstate(invalid="ignore"):
        valid = np.isfinite(depth_m) & (depth_m > 0.01) & (depth_m <= FARTHEST_M)
    return np.where(valid, depth_m, np.float32(np.nan)), float(k[0, 0]), float(k[0, 2]), float(k[1, 2])


def _image(path: Path, height: int, width: int, scale: float, offset: int) -> NDArray[np.uint8]:
    image = read_rgb(path)
    if abs(image.shape[1] / image.shape[0] - width / height) > 0.01:
        raise DatasetError(
            f"{path}: image is {image.shape[1]} x {image.shape[0]} px, its depth {width} x {height}; "
            "they must show the same field of view"
        )
    return _fitted(image, ROWS / image.shape[0], offset, cv2.INTER_AREA, round(width * scale))


def _fitted(
    values: NDArray[Any], scale: float, offset: int, interpolation: int, width: int | None = None
) -> NDArray[Any]:
    """At 480 rows, the columns in the middle."""
    width = round(values.shape[1] * scale) if width is None else width
    if values.shape[:2] != (ROWS, width):
        values = cv2.resize(values, (width, ROWS), interpolation=interpolation)
    return np.ascontiguousarray(values[:, offset : offset + COLUMNS])
