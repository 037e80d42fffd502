# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The image of a validation: a row for each sample, input, deblurred, truth, predicted map, true map, error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import ColourScale, blur_scale, scene_depth_scale
from dfd_perception.core.sheet import Cell, map_cell, sheet

CELL_WIDTH_PX = 192
GREY = 128
Map = NDArray[np.float32]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class PanelRow:
    """What is known of one sample; a part that is None stays grey."""

    defocused: Rgb
    deblurred: Rgb | None
    aif: Rgb | None
    predicted: Map | None
    target: Map | None
    kind: Literal["depth", "blur"] = "blur"
    """What the maps are: depth [m], or blur diameter [px]."""


def draw_panel(rows: Sequence[PanelRow]) -> Rgb:
    """All rows; the maps of a row share one scale, fitted to the truth, with legends in metres or pixels."""
    return np.concatenate([sheet(_cells(row), columns=6, cell_width_px=CELL_WIDTH_PX) for row in rows])


def _cells(row: PanelRow) -> list[Cell]:
    reference = row.target if row.target is not None else row.predicted
    maps = () if reference is None else (reference,)
    scale = scene_depth_scale(*maps) if row.kind == "depth" else blur_scale(*maps)
    error, error_scale = None, ColourScale(0.0, 0.25 * scale.high, scale.unit, palette="std")
    if row.predicted is not None and row.target is not None:
        error = np.abs(row.predicted - row.target)
    return [
        Cell("defocused", row.defocused),
        _image("deblurred", row.deblurred, row.defocused),
        _image("all in focus", row.aif, row.defocused),
        _map(f"{row.kind}, predicted", row.predicted, scale, row.defocused),
        _map(f"{row.kind}, true", row.target, scale, row.defocused),
        _map("error", error, error_scale, row.defocused),
    ]


def _image(title: str, image_rgb: Rgb | None, like: Rgb) -> Cell:
    return Cell(title, np.full_like(like, GREY) if image_rgb is None else image_rgb)


def _map(title: str, values: Map | None, scale: ColourScale, like: Rgb) -> Cell:
    return _image(title, None, like) if values is None else map_cell(title, values, scale)
