# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Which lens the frames of an evaluation had, how it came, and why there is no depth where there was none."""

from __future__ import annotations

from typing import Any

from dfd_perception.core.optics import DefocusCurve


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
