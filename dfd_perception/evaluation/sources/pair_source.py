# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Aperture pairs as a FrameSource: each small-aperture image aligned to its wide one, the reference blur beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from dfd_perception.core.sensor import linear_from_encoded
from dfd_perception.errors import DatasetError
from dfd_perception.evaluation.aperture_pairs.alignment import AlignedPair, align_pair
from dfd_perception.evaluation.aperture_pairs.reference_blur import ReferenceBlur, reference_blur
from dfd_perception.evaluation.sources.dataset_source import DatasetSource
from dfd_perception.evaluation.sources.frame import EvaluationFrame, MeasuredPair

KEPT = 24
"""Pairs kept in memory: the floor is fitted on some of those that are scored later."""

STRIDE_PX = 16


class PairSource:
    """Frames of a DatasetSource whose `aif` was taken at a smaller aperture.

    Args:
        source: the pairs as they lie on disk.
        aperture_ratio: f-number of the defocused image over that of the small aperture; 0 where it is not known.
    """

    def __init__(self, source: DatasetSource, aperture_ratio: float = 0.0) -> None:
        self.unit = source.unit
        self._source, self._ratio = source, aperture_ratio
        self._kept: dict[int, tuple[AlignedPair, ReferenceBlur]] = {}
        self._lost: dict[int, str] = {}
        self._shifts_px: dict[int, float] = {}

    @property
    def all_frames(self) -> int:
        """Pairs of all shares together."""
        return self._source.all_frames

    def __len__(self) -> int:
        return len(self._source)

    def frames(self, skip: Collection[int] = ()) -> Iterator[EvaluationFrame]:
        """All pairs that can be aligned and have texture; those that cannot are named in the description."""
        yield from self._measured(self._source.frames(skip))

    def reread(self, indices: Collection[int]) -> Iterator[EvaluationFrame]:
        """A few pairs, of any share."""
        yield from self._measured(self._source.reread(indices))

    def description(self) -> dict[str, Any]:
        """As DatasetSource, with the shifts that were found."""
        described = self._source.description()
        described["lost"] = [*described["lost"], *self._lost.values()]
        shifts = list(self._shifts_px.values())
        described["aperture_pairs"] = {
            "aperture_ratio": self._ratio,
            "median_shift_px": float(np.median(shifts)) if shifts else None,
            "largest_shift_px": max(shifts, default=None),
        }
        return described

    def close(self) -> None:
        """Release the source."""
        self._kept.clear()
        self._source.close()

    def _measured(self, frames: Iterator[EvaluationFrame]) -> Iterator[EvaluationFrame]:
        for frame in frames:
            try:
                yield self._pair(frame)
            except DatasetError as error:
                self._lost[frame.index] = str(error)

    def _pair(self, frame: EvaluationFrame) -> EvaluationFrame:
        if frame.aif is None:
            raise DatasetError(f"{frame.name}: no image at a small aperture; a pair has two")
        if frame.index not in self._kept:
            aligned = align_pair(frame.defocused, frame.aif, frame.name)
            wide = linear_from_encoded(frame.defocused.astype(np.float32) / 255)
            reference = reference_blur(wide, aligned.narrow, aligned.valid, STRIDE_PX)
            if not len(reference):
                raise DatasetError(
                    f"{frame.name}: a scene without texture, its blur cannot be measured; photograph something with "
                    "detail"
                )
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[frame.index] = (aligned, reference)
        aligned, reference = self._kept[frame.index]
        self._shifts_px[frame.index] = aligned.shift_px
        pair = MeasuredPair(
            row=reference.row,
            column=reference.column,
            disk_px=reference.diameter_px,
            aperture_ratio=self._ratio,
            valid=aligned.valid,
        )
        seen = aligned.valid if frame.seen is None else aligned.valid & frame.seen
        return replace(frame, aif=aligned.narrow_rgb(), seen=seen, pair=pair)
