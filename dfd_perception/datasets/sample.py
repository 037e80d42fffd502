# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One example for training or evaluation, and what every data set promises. No torch: the trainer makes tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.size import Size
from dfd_perception.errors import DatasetError

Sample = TypeVar("Sample", bound="DefocusSample")


@dataclass(frozen=True, kw_only=True)
class DefocusSample:
    """A defocused image and what is known about it; a part that the data set lacks is None.

    name: unique within the data set, fit for a file name.
    defocused: (H, W, 3) uint8 RGB.
    aif: all-in-focus image, (H, W, 3) uint8 RGB.
    seen: (H, W) bool, where `aif` was really seen; elsewhere something else stands in, and no loss and no metric counts
        it. None: everywhere.
    depth_m: z-depth [m], (H, W) float32, NaN where there is none, or where it was filled in and not measured.
    coc_px: diameter of the total blur [px], (H, W) float32, NaN where unknown.
    camera: intrinsics of the defocused image.
    curve: the lens of the defocused image at its size.
    """

    same_size: ClassVar[bool] = True
    """Whether every part has the size of the defocused image."""

    name: str
    defocused: NDArray[np.uint8]
    aif: NDArray[np.uint8] | None = None
    seen: NDArray[np.bool_] | None = None
    depth_m: NDArray[np.float32] | None = None
    coc_px: NDArray[np.float32] | None = None
    camera: CameraIntrinsics | None = None
    curve: DefocusCurve | None = None

    def __post_init__(self) -> None:
        if self.defocused.ndim != 3 or self.defocused.shape[2] != 3 or self.defocused.dtype != np.uint8:
            raise DatasetError(
                f"{self.name}: defocused is {self.defocused.dtype} {self.defocused.shape}; expected uint8 (H, W, 3)"
            )
        height, width = self.defocused.shape[:2]
        self._require("aif", self.aif, np.uint8, (height, width, 3))
        self._require("seen", self.seen, np.bool_, (height, width))
        self._require("depth_m", self.depth_m, np.float32, (height, width))
        self._require("coc_px", self.coc_px, np.float32, (height, width))
        if self.camera is not None and (self.camera.height, self.camera.width) != (height, width):
            raise DatasetError(
                f"{self.name}: image is {width} x {height}, its camera {self.camera.width} x {self.camera.height}; "
                "scale or crop the camera with the image"
            )

    def _require(self, part: str, array: NDArray | None, dtype: type, shape: tuple[int, ...]) -> None:
        if array is None:
            return
        alike = array.shape == shape if self.same_size else array.ndim == len(shape) and array.shape[2:] == shape[2:]
        if not alike or array.dtype != dtype:
            raise DatasetError(
                f"{self.name}: {part} is {array.dtype} {array.shape}; expected {np.dtype(dtype)} {shape}, "
                "the size of the defocused image"
            )

    @property
    def size(self) -> Size:
        """(height, width) [px]."""
        return self.defocused.shape[0], self.defocused.shape[1]

    def coc_target_px(self) -> NDArray[np.float32] | None:
        """Total blur [px]: the simulated one, or that of depth and lens; None where neither is."""
        if self.coc_px is not None:
            return self.coc_px
        if self.depth_m is None or self.curve is None:
            return None
        return self.curve.coc_px(self.depth_m).astype(np.float32)

    def with_floor(self: Sample, floor_px: float) -> Sample:
        """The sample of a camera that softens what is in focus, too: blur without a floor becomes the total blur."""
        curve = None if self.curve is None else replace(self.curve, blur_floor_px=floor_px)
        coc_px = None if self.coc_px is None else np.hypot(self.coc_px, np.float32(floor_px))
        return replace(self, curve=curve, coc_px=coc_px)


@runtime_checkable
class DefocusDataset(Protocol):
    """A sequence of samples in a fixed order; reading the same index twice gives the same sample.

    name: kind of data set, for messages and reports.
    splits: name of a split to the indices of its samples. Published splits keep their published names.
    """

    name: str
    splits: Mapping[str, Sequence[int]]

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __getitem__(self, index: int) -> DefocusSample:
        """Read one sample; DatasetError names the file that is wrong."""
        ...


class Subset:
    """Some samples of a data set, in the given order; its only split is itself."""

    def __init__(self, dataset: DefocusDataset, indices: Sequence[int], split: str) -> None:
        self.name = f"{dataset.name}/{split}"
        self.splits: Mapping[str, Sequence[int]] = {split: range(len(indices))}
        self._dataset = self.underlying = dataset
        self._indices = list(indices)
        self.problems: list[str] = list(getattr(dataset, "problems", []))
        self.aperture_ratio: float | None = getattr(dataset, "aperture_ratio", None)

    @property
    def names(self) -> list[str] | None:
        """Names of the frames; None where the data set can only say them by reading."""
        names = getattr(self._dataset, "names", None)
        return None if names is None else [names[i] for i in self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> DefocusSample:
        return self._dataset[self._indices[index]]


def select_split(dataset: DefocusDataset, split: str | None) -> DefocusDataset:
    """The samples of one split; all of them when `split` is None.

    Raises:
        DatasetError: the data set has no such split, or it is empty.
    """
    if split is None:
        return dataset
    if split not in dataset.splits:
        known = ", ".join(dataset.splits) or "none"
        raise DatasetError(f"{dataset.name} has no split {split!r}; it has: {known}")
    if not len(dataset.splits[split]):
        raise DatasetError(f"{dataset.name}: split {split!r} is empty; choose another or add samples")
    return Subset(dataset, dataset.splits[split], split)


def spread_over(count: int, most: int) -> list[int]:
    """At most so many of `count` positions, evenly spread from the first to the last.

    >>> spread_over(10, 4)
    [0, 3, 6, 9]
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def tail_split(count: int, tail: str = "val", share: float = 0.2) -> dict[str, range]:
    """Split in stored order: the last fifth is held out, so that neighbouring video frames do not straddle it.

    >>> tail_split(10)
    {'train': range(0, 8), 'val': range(8, 10)}
    """
    held_out = max(1, round(count * share)) if count > 1 else 0
    return {"train": range(count - held_out), tail: range(count - held_out, count)}
