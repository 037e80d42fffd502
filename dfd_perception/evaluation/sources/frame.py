# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What an evaluation looks at: frames with whatever truth there is, from a source that can be read again.

A source also records which lens its frames had, how it came, and why there is no depth where there was none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.sample import DefocusSample


@dataclass(frozen=True, kw_only=True)
class MeasuredPair:
    """What an aligned pair of two apertures says about the blur of its wide image, window by window.

    row, column: centres of the windows [px].
    disk_px: diameter of the disk that turns the small-aperture image into the wide one.
    aperture_ratio: f-number of the wide image over that of the small aperture; 0 where it is not known.
    valid: (H, W), where the small-aperture image covers the wide one.
    """

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    disk_px: NDArray[np.float64]
    aperture_ratio: float
    valid: NDArray[np.bool_]

    @property
    def lens_px(self) -> NDArray[np.float64]:
        """Blur of the lens in the wide image: disk^2 = wide^2 - small^2, and small is the ratio times wide."""
        return self.disk_px / np.sqrt(1 - self.aperture_ratio**2)

    @property
    def small_px(self) -> NDArray[np.float64]:
        """Blur of the lens that the small-aperture image still has."""
        return self.aperture_ratio * self.lens_px


@dataclass(frozen=True, kw_only=True)
class EvaluationFrame(DefocusSample):
    """A sample with its place in an evaluation.

    Truth may have another size than the image as long as it shows the same field of view.
    """

    same_size = False

    unit: str
    """The part of the source that it belongs to: a bag's name, a data set's name."""
    index: int
    """Position within the unit: with the unit, the frame's identity."""
    stamp_ns: int | None = None
    frame_id: str = ""
    floor_px: float | None = None
    """Blur floor that was fitted for this frame off others; None: none was, the lens' own counts."""
    pair: MeasuredPair | None = None
    """Of an aperture pair."""
    camera_info: Any = None
    """camera_info record of the image, handed on to a bag of results."""

    @classmethod
    def of_sample(cls, sample: DefocusSample, unit: str, index: int, curve: DefocusCurve | None) -> EvaluationFrame:
        """A sample of a data set, with the lens that counts in this evaluation."""
        parts = {field.name: getattr(sample, field.name) for field in fields(DefocusSample)}
        # The camera has done its part: it gave the lens its scale.
        return cls(**parts | {"curve": curve, "camera": None}, unit=unit, index=index)

    @property
    def key(self) -> tuple[str, int]:
        """Identity within the evaluation."""
        return self.unit, self.index


class FrameSource(Protocol):
    """Frames of one data set or of one bag, always in the same order.

    unit: name, unique within an evaluation.
    """

    unit: str

    @property
    def all_frames(self) -> int:
        """Frames of all shares together."""
        ...

    def __len__(self) -> int:
        """Frames expected of this share; an estimate where only reading tells."""
        ...

    def frames(self, skip: Collection[int] = ()) -> Iterator[EvaluationFrame]:
        """All frames but those with an index in `skip`, one at a time, nothing kept."""
        ...

    def reread(self, indices: Collection[int]) -> Iterator[EvaluationFrame]:
        """A few frames once more, for their images."""
        ...

    def description(self) -> dict[str, Any]:
        """What was read and what was lost, for the report's `data` section; complete after `frames`."""
        ...

    def close(self) -> None:
        """Release what is open."""
        ...


class LensRecord:
    """The lens of a source, from the frames that were read.

    Args:
        origin: how the lens came, in words.
        absent: why there is none, for the frames that have none.
    """

    def __init__(self, origin: str, absent: str) -> None:
        self._origin, self._absent = origin, absent
        self._curves: list[DefocusCurve] = []
        self._without = 0

    def add(self, curve: DefocusCurve | None) -> None:
        """Take in the lens of one frame."""
        if curve is None:
            self._without += 1
        elif curve not in self._curves and len(self._curves) < 100:
            self._curves.append(curve)

    def described(self) -> dict[str, Any] | None:
        """Plain values for the report; None where no frame was read."""
        if not self._curves:
            return {"origin": None, "missing": self._absent} if self._without else None
        first = self._curves[0]
        gains = [curve.gain_px_per_dioptre for curve in self._curves]
        described: dict[str, Any] = {
            "gain_px_per_dioptre": first.gain_px_per_dioptre,
            "focus_distance_m": first.focus_distance_m,
            "side": first.side,
            "blur_floor_px": first.blur_floor_px,
            "origin": self._origin,
        }
        if len(gains) > 1:
            described["gain_range_px_per_dioptre"] = [min(gains), max(gains)]
        return described


def lens_of_report(sources: list[dict[str, Any]]) -> dict[str, Any]:
    """The section `lens`: that of all sources where they agree, else the first one's with a note."""
    lenses = [source["lens"] for source in sources if source.get("lens")]
    if not lenses:
        return {"origin": None, "missing": "no frame was read"}
    if any(lens != lenses[0] for lens in lenses):
        return lenses[0] | {"note": "the sources differ; each has its own under data.sources"}
    return lenses[0]


def lens_words(lens: dict[str, Any]) -> str:
    """The section in one line."""
    if lens.get("missing"):
        return f"none: {lens['missing']}"
    words = (
        f"blur grows {lens['gain_px_per_dioptre']:.2f} px per dioptre, focus at {lens['focus_distance_m']:.3g} m, "
        f"scene on the {lens['side']} side, {lens['blur_floor_px']:.2g} px in focus ({lens['origin']})"
    )
    return f"{words}; {lens['note']}" if lens.get("note") else words
