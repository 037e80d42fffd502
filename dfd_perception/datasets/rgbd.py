# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sharp RGB-D images, defocused on the fly by the layered simulator, in linear light."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.depth_encoding import MILLIMETRES
from dfd_perception.core.holes import filled_from_nearest
from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.point_spread import DISK, PointSpread
from dfd_perception.core.sensor import SensorNoise, encoded_from_linear, linear_from_encoded, uint8_from_encoded
from dfd_perception.datasets.depth_units import DepthUnit
from dfd_perception.datasets.frame_files import files_by_stem, unpaired
from dfd_perception.datasets.sample import DefocusSample, tail_split
from dfd_perception.errors import ConfigError, DatasetError
from dfd_perception.files.images import DEPTH_SUFFIXES, holds_float, read_depth_m, read_mask, read_rgb

NO_NOISE = SensorNoise()


class SharpFrame(NamedTuple):
    """A sharp image with depth: (H, W, 3) uint8 RGB, (H, W) float32 [m] with NaN, and its camera if known."""

    name: str
    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    camera: CameraIntrinsics | None
    measured: NDArray[np.bool_] | None = None
    """(H, W) where a sensor measured the depth; None: everywhere."""


class SharpSource(Protocol):
    """A sequence of sharp RGB-D frames."""

    name: str
    splits: Mapping[str, Sequence[int]]

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def __getitem__(self, index: int) -> SharpFrame:
        """Read one frame; DatasetError names the file that is wrong."""
        ...


class DefocusedRgbd:
    """A DefocusDataset that gives sharp frames the blur of one lens; item i depends on (seed, i) alone.

    The blur floor of the curve is what the sharp frames carry already: it is in the label, sqrt(c^2 + c0^2), and is
    not laid on again.

    Pixels without depth are blurred like the nearest pixel that has one (a hole in a table is table; blurred like the
    background, its borders would lie about the table), and stay NaN in depth and in the map.

    Args:
        source: sharp frames.
        curve: lens at the size of the stored images.
        point_spread: shape of the blur.
        noise: of the sensor, in linear light.
        seed: of the noise.
    """

    def __init__(
        self,
        source: SharpSource,
        curve: DefocusCurve,
        point_spread: PointSpread = DISK,
        noise: SensorNoise = NO_NOISE,
        seed: int = 0,
    ) -> None:
        if seed < 0:
            raise ConfigError(f"seed is {seed}; expected 0 or more")
        self.name, self.splits = source.name, source.splits
        self.curve = curve
        self.underlying = source
        self._source, self._point_spread, self._noise, self._seed = source, point_spread, noise, seed

    @property
    def names(self) -> list[str] | None:
        """Names of the frames; None where the source can only say them by reading."""
        return getattr(self._source, "names", None)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> DefocusSample:
        frame = self._source[index]
        known = np.isfinite(frame.depth_m)
        beta = self.curve.signed_coc_px(filled_from_nearest(frame.depth_m, known))
        total_px = np.hypot(beta, self.curve.blur_floor_px)
        sharp = linear_from_encoded(frame.rgb.astype(np.float32) / 255)
        light = blur_layers(sharp, beta.astype(np.float32), self._point_spread)
        light = self._noise.added_to(light, np.random.default_rng((self._seed, index)))
        return DefocusSample(
            name=frame.name,
            defocused=uint8_from_encoded(encoded_from_linear(light)),
            aif=frame.rgb,
            depth_m=_truth(frame.depth_m, frame),
            coc_px=_truth(np.where(known, total_px, np.nan).astype(np.float32), frame),
            camera=frame.camera,
            curve=self.curve,
        )


def _truth(values: NDArray[np.float32], frame: SharpFrame) -> NDArray[np.float32]:
    """A map without what was filled in."""
    return values if frame.measured is None else np.where(frame.measured, values, np.float32(np.nan))


class RgbdFolder:
    """A SharpSource of files, in one of two layouts.

    NAME/{rgb.png|jpg, depth.png, meta.json}, one folder a frame, meta.json with fx, fy, cx, cy (optional);
    or rgb/STEM.png|jpg and depth/STEM.png (and measured/STEM.png, 0 where depth was filled in: it blurs, and is no
    truth). Depth is uint16 of `depth_unit_m` (None: that of the first meta.json, or millimetres, nobody said), 0 and
    65535 none, or float metres (tif, npy). Last fifth in order: "val".
    """

    def __init__(self, folder: Path, depth_unit_m: float | None = None) -> None:
        self.name = folder.name
        self._measured = files_by_stem(folder / "measured") if (folder / "measured").is_dir() else {}
        self._frames = _flat_frames(folder) if (folder / "rgb").is_dir() else _nested_frames(folder)
        if depth_unit_m is None:
            depth_unit_m = _stated_unit_m(self._frames[0][2].with_name("meta.json"))
        self.depth_unit = DepthUnit(
            depth_unit_m or MILLIMETRES, stated=depth_unit_m is not None, is_float=holds_float(self._frames[0][2])
        )
        self.splits: Mapping[str, Sequence[int]] = tail_split(len(self._frames))

    @property
    def names(self) -> list[str]:
        """Names of the frames."""
        return [name for name, _, _ in self._frames]

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> SharpFrame:
        name, image, depth = self._frames[index]
        rgb = read_rgb(image, beside_map=True)
        size = rgb.shape[:2]
        depth_m = read_depth_m(depth, size, self.depth_unit.metres_per_count)
        measured = read_mask(self._measured[name], size) if name in self._measured else None
        return SharpFrame(name, rgb, depth_m, _camera(depth.with_name("meta.json"), size), measured)


def is_rgbd_folder(folder: Path) -> bool:
    """Whether the folder has one of the two layouts."""
    if (folder / "rgb").is_dir() and (folder / "depth").is_dir():
        return True
    return any(path.is_file() for path in folder.glob("*/depth.png"))


def _flat_frames(folder: Path) -> list[tuple[str, Path, Path]]:
    parts = {"rgb": files_by_stem(folder / "rgb"), "depth": files_by_stem(folder / "depth", DEPTH_SUFFIXES)}
    lines = unpaired(parts)
    if lines or not parts["rgb"]:
        raise DatasetError(f"{folder}: {'; '.join(lines) or 'rgb and depth hold no images'}; images pair by stem")
    return [(stem, path, parts["depth"][stem]) for stem, path in parts["rgb"].items()]


def _nested_frames(folder: Path) -> list[tuple[str, Path, Path]]:
    frames = []
    for frame in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        images = [path for path in files_by_stem(frame).values() if path.stem == "rgb"]
        depth = frame / "depth.png"
        if not images or not depth.is_file():
            raise DatasetError(f"{frame}: no {'depth.png' if images else 'rgb.png or rgb.jpg'} in it; add or remove it")
        frames.append((frame.name, images[0], depth))
    if not frames:
        raise DatasetError(f"{folder}: no folder with rgb.png (or rgb.jpg) and depth.png in it")
    return frames


def _stated_unit_m(path: Path) -> float | None:
    """Metres per count of depth, where meta.json says so (dfd register does)."""
    if not path.is_file():
        return None
    try:
        unit_m = json.loads(path.read_text(encoding="utf-8")).get("depth_unit_m")
        if unit_m is not None and not 0 < float(unit_m) < math.inf:
            raise ValueError(unit_m)
        return None if unit_m is None else float(unit_m)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{path}: depth_unit_m must be metres per count, above 0 ({error!r})") from error


def _camera(path: Path, size: tuple[int, ...]) -> CameraIntrinsics | None:
    if not path.is_file():
        return None
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        numbers = {name: float(meta[name]) for name in ("fx", "fy", "cx", "cy")}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(f"{path}: cannot read fx, fy, cx, cy from it ({error!r})") from error
    return CameraIntrinsics(width=size[1], height=size[0], **numbers)
