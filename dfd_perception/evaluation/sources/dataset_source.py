# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Frames of a data set, with the protocol's resolution left to the scoring."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from dfd_perception.core.lens import LensDescription
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.depth_units import unit_lines_of
from dfd_perception.datasets.sample import DefocusDataset, DefocusSample, Subset
from dfd_perception.errors import ConfigError, DatasetError
from dfd_perception.evaluation.sources.frame import EvaluationFrame, LensRecord


@dataclass(frozen=True, kw_only=True)
class FrameFilter:
    """Which frames of a data set count, by name and by place.

    only, without: patterns of names (`*` and `?`), such as "osd_*"; empty: all, none.
    every: each n-th of those.
    """

    only: str = ""
    without: str = ""
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"every is {self.every}; expected 1 or more, to take each n-th frame")

    def applied(self, dataset: DefocusDataset) -> DefocusDataset:
        """The data set with the chosen frames.

        Raises:
            DatasetError: none is left, or the data set cannot say its names without being read.
        """
        if self == FrameFilter():
            return dataset
        indices = list(range(len(dataset)))
        if self.only or self.without:
            names = getattr(dataset, "names", None)
            if names is None:
                raise DatasetError(f"{dataset.name}: its frames cannot be chosen by name; use --every alone")
            indices = [i for i in indices if self._counts(names[i])]
        if not indices:
            raise DatasetError(f"{dataset.name}: no frame is called {self.only or '*'} and not {self.without or '-'}")
        return Subset(dataset, indices[:: self.every], self._name())

    def _counts(self, name: str) -> bool:
        return fnmatch(name, self.only or "*") and not fnmatch(name, self.without)

    def _name(self) -> str:
        parts = [self.only, self.without and f"not {self.without}", f"every {self.every}" if self.every > 1 else ""]
        return " ".join(part for part in parts if part)


class DatasetSource:
    """A data set, or every n-th frame of it, as a FrameSource."""

    def __init__(
        self,
        dataset: DefocusDataset,
        path: Path,
        split: str | None = None,
        lens: LensDescription | None = None,
        model_curve: DefocusCurve | None = None,
        share: tuple[int, int] = (0, 1),
        fx_px: float | None = None,
        max_frames: int | None = None,
    ) -> None:
        """Wrap an opened data set.

        Args:
            dataset: its frames.
            path: where it came from, for the report.
            split: which split of it `dataset` is.
            lens: overrides the lens that the data set knows.
            model_curve: for a set that knows none.
            share: (i, n): every n-th frame from the i-th on, one worker's part.
            fx_px: focal length of the images, instead of that of their camera.
            max_frames: only so many of them; None: all.
        """
        self.unit = dataset.name
        self._dataset, self._path, self._split = dataset, path, split
        self._lens, self._model_curve, self._fx_px = lens, model_curve, fx_px
        self._count = len(dataset) if max_frames is None else min(max_frames, len(dataset))
        origin = "the data set's own" if model_curve is None else "the data set's own, or the model's card"
        self._record = LensRecord(
            origin if lens is None else "the lens that was given, with the fx of the data set's camera",
            "the data set states no lens and none was given (--lens), so that a model of blur gives no depth",
        )
        self._notes = unit_lines_of(dataset, "--depth-unit")
        self._share = share

    @property
    def all_frames(self) -> int:
        """Frames of all shares together."""
        return self._count

    def __len__(self) -> int:
        return len(range(self._share[0], self._count, self._share[1]))

    def frames(self, skip: Collection[int] = ()) -> Iterator[EvaluationFrame]:
        """The share's frames in order.

        Raises:
            DatasetError: a file that is wrong, by name.
        """
        for index in range(self._share[0], self._count, self._share[1]):
            if index not in skip:
                yield self._frame(index)

    def reread(self, indices: Collection[int]) -> Iterator[EvaluationFrame]:
        """A few frames, of any share."""
        for index in sorted(indices):
            yield self._frame(index)

    def description(self) -> dict[str, Any]:
        """Name, size, split."""
        return {
            "kind": "dataset",
            "unit": self.unit,
            "path": str(self._path),
            "split": self._split,
            "pictures": self._count,
            "lens": self._record.described(),
            "lost": [*getattr(self._dataset, "problems", []), *self._notes],
        }

    def close(self) -> None:
        """Nothing stays open."""

    def _curve(self, lens: LensDescription, sample: DefocusSample) -> DefocusCurve:
        fx_px = sample.camera.fx if self._fx_px is None and sample.camera is not None else self._fx_px
        resolved = lens.resolved(fx_px)
        self._notes += [note for note in resolved.notes if note not in self._notes]
        return resolved.curve

    def _frame(self, index: int) -> EvaluationFrame:
        sample = self._dataset[index]
        curve = sample.curve or self._model_curve
        if self._lens is not None:
            curve = self._curve(self._lens, sample)
        self._record.add(curve)
        return EvaluationFrame.of_sample(sample, self.unit, index, curve)
