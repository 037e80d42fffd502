# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A frame as it is shown to the model and measured: resolution, blur floor, and the side that the lens sees.

The floor of a source may be read by the model itself off frames that are not scored with it: the frames are split in
two halves, and each is scored with the floor that the other gave, so that no frame decides its own truth. A floor
belongs to a camera (or to how images were made): what is fitted here is what `dfd calibrate-lens` would give its owner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.sample import spread_over
from dfd_perception.errors import DatasetError
from dfd_perception.evaluation.scoring.protocol import Protocol
from dfd_perception.evaluation.sources.frame import EvaluationFrame, FrameSource
from dfd_perception.inference.estimator import DepthEstimator

FRAMES_OF_HALF = 6
STRIDE_PX = 4
"""Every fourth pixel in both directions: neighbours say the same."""

NEAR_FOCUS_PX = 8.0
"""Blur of the lens up to which the floor shows in the reading of a defocused image."""


@dataclass(frozen=True, kw_only=True)
class SourceFloor:
    """Blur floor [px] of the two halves of a source.

    even_px, odd_px: for frames of even and odd index.
    frames: that it was fitted on.
    origin: how it came, for people.
    """

    even_px: float
    odd_px: float
    frames: int
    origin: str

    def of_px(self, index: int) -> float:
        """Floor to score a frame with."""
        return self.odd_px if index % 2 else self.even_px

    def described(self) -> dict[str, Any]:
        """For the report."""
        return {
            "blur_floor_px": (self.even_px + self.odd_px) / 2,
            "halves_px": [self.even_px, self.odd_px],
            "frames": self.frames,
            "origin": self.origin,
        }

    @classmethod
    def from_description(cls, described: dict[str, Any]) -> SourceFloor:
        """Read `described`."""
        even_px, odd_px = described["halves_px"]
        return cls(even_px=even_px, odd_px=odd_px, frames=described["frames"], origin=described["origin"])

    def applied(self, frame: EvaluationFrame) -> EvaluationFrame:
        """The frame with this floor in its lens and in its true blur, which holds none so far."""
        floor_px = self.of_px(frame.index)
        return replace(frame.with_floor(floor_px), floor_px=floor_px)


def fitted_floor(
    source: FrameSource, estimator: DepthEstimator, prepared: Callable[[EvaluationFrame], EvaluationFrame], count: int
) -> SourceFloor | None:
    """Fit both halves.

    Args:
        source: whose frames carry no floor of their own.
        estimator: of a model that reads total blur.
        prepared: brings a frame to the protocol's resolution.
        count: frames of the source.

    Returns:
        None where no frame tells: neither a sharp image nor depth with a lens, or fewer than two frames.
    """
    halves: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    origins = set()
    for frame in source.reread(_chosen(count)):
        squares = _squares(prepared(frame), estimator)
        if squares is not None:
            origins.add(squares[0])
            halves[frame.index % 2].append(squares[1])
    if not (halves[0] and halves[1]):
        return None
    even_px, odd_px = (float(np.sqrt(max(np.median(np.concatenate(half)), 0.0))) for half in halves)
    # Crosswise: what the odd frames gave is for the even ones.
    return SourceFloor(
        even_px=odd_px, odd_px=even_px, frames=len(halves[0]) + len(halves[1]), origin=", ".join(sorted(origins))
    )


def _chosen(count: int) -> list[int]:
    """Frames of both halves, evenly spread."""
    halves = (range(half, count, 2) for half in (0, 1))
    return sorted(half[place] for half in halves for place in spread_over(len(half), FRAMES_OF_HALF))


def _squares(frame: EvaluationFrame, estimator: DepthEstimator) -> tuple[str, NDArray[np.float64]] | None:
    """Squares of the floor [px^2] as single pixels or windows of a frame tell it; their median is robust."""
    if frame.pair is not None and frame.aif is not None:
        reading = _reading(frame.aif, estimator)[0]
        squares = reading[frame.pair.row, frame.pair.column] ** 2 - frame.pair.small_px**2
        return "small-aperture images", squares
    if frame.aif is not None:
        reading, std = _reading(frame.aif, estimator)
        reading, std = reading[::STRIDE_PX, ::STRIDE_PX], std[::STRIDE_PX, ::STRIDE_PX]
        return "sharp images", reading[std <= np.median(std)] ** 2
    if frame.depth_m is not None and frame.curve is not None and frame.depth_m.shape == frame.defocused.shape[:2]:
        reading, std = _reading(frame.defocused, estimator)
        lens_px = np.abs(frame.curve.signed_coc_px(frame.depth_m))
        with np.errstate(invalid="ignore"):
            near = np.isfinite(lens_px) & (lens_px < NEAR_FOCUS_PX)
        if np.count_nonzero(near) < 100:
            return None
        sure = near & (std <= np.median(std[near]))
        squares = (reading**2 - lens_px**2)[sure]
        return "readings against depth", squares[:: STRIDE_PX**2]
    return None


def _reading(
    image_rgb: NDArray[np.uint8], estimator: DepthEstimator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Blur and its std [px]."""
    prediction = estimator.predict(image_rgb, None, "depth")
    assert prediction.coc_px is not None
    assert prediction.coc_std_px is not None
    return prediction.coc_px.astype(np.float64), prediction.coc_std_px.astype(np.float64)


@dataclass(kw_only=True)
class Preparation:
    """What every frame of an evaluation goes through before it is measured.

    protocol: which pixels count, at which size.
    sharp_input: the all-in-focus image takes the place of the defocused one.
    one_sided: the model reads blur, which looks alike on both sides of the focus distance; only truth on the lens'
        own side counts.
    floors: fitted blur floors, by unit.
    """

    protocol: Protocol
    sharp_input: bool = False
    one_sided: bool = False
    floors: dict[str, SourceFloor] = field(default_factory=dict)

    def __call__(self, frame: EvaluationFrame) -> EvaluationFrame:
        """The frame prepared.

        Raises:
            DatasetError: the all-in-focus image is asked for, and there is none.
        """
        if self.sharp_input:
            if frame.aif is None:
                raise DatasetError(f"{frame.unit}: frame {frame.name} has no all-in-focus image to feed")
            frame = replace(frame, defocused=frame.aif)
        frame = self.protocol.applied(frame)
        if self.one_sided and frame.curve is not None and frame.depth_m is not None:
            frame = _on_side(frame, frame.curve)
        floor = self.floors.get(frame.unit)
        return frame if floor is None else floor.applied(frame)

    def add_floors(self, sources: list[dict[str, Any]]) -> None:
        """Take in the floors that the descriptions of sources hold."""
        for source in sources:
            if "blur_floor" in source:
                self.floors[source["unit"]] = SourceFloor.from_description(source["blur_floor"])


def _on_side(frame: EvaluationFrame, curve: DefocusCurve) -> EvaluationFrame:
    """Truth on the other side of the focus distance becomes unknown."""
    depth = frame.depth_m
    assert depth is not None
    with np.errstate(invalid="ignore"):
        seen = depth >= curve.focus_distance_m if curve.side == "far" else depth <= curve.focus_distance_m
    coc = frame.coc_px
    if coc is not None and coc.shape == depth.shape:
        coc = np.where(seen | ~np.isfinite(depth), coc, np.float32(np.nan))
    return replace(frame, depth_m=np.where(seen, depth, np.float32(np.nan)), coc_px=coc)
