# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A frame as it is shown to the model and measured: resolution, blur floor, and the side that the lens sees."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.errors import DatasetError
from dfd_perception.evaluation.scoring.floors import SourceFloor
from dfd_perception.evaluation.scoring.protocol import Protocol
from dfd_perception.evaluation.sources.frame import EvaluationFrame


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
