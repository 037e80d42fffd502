# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sheets: images and maps side by side, each map with its legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import (
    LEGEND_HEIGHT_PX,
    ColourScale,
    blur_scale,
    legend,
    scene_depth_scale,
    std_scale,
)
from dfd_perception.core.lettering import drawable
from dfd_perception.core.result import Result
from dfd_perception.core.size import Size

TITLE_HEIGHT_PX = 30
GAP_PX = 8
COLUMNS = 3
WIDEST_CELL_PX = 640
TALLEST_CELL_PX = 1280
"""What is taller at its width is shown narrower: a line of pixels on end would make a sheet of gigabytes."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Cell:
    """One image of a sheet; a map has the scale of its colours."""

    title: str
    image_rgb: Rgb
    scale: ColourScale | None = None


def map_cell(title: str, values: NDArray[np.floating], scale: ColourScale) -> Cell:
    """A cell of a map (H, W) in the colours of a scale."""
    return Cell(title, scale.colours(values), scale)


def sheet(cells: Sequence[Cell], columns: int = COLUMNS, cell_width_px: int | None = None) -> Rgb:
    """RGB of the cells, row by row, on white; all cells as large as the first.

    Args:
        cells: at least one.
        columns: of the sheet.
        cell_width_px: width of each; None = that of the first image, between 320 and 640 px.
    """
    cell_width, cell_height = _cell_size(cells[0].image_rgb.shape[:2], cell_width_px)
    columns = min(columns, len(cells))
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    drawn = []
    for row in rows:
        with_legend = any(cell.scale is not None for cell in row)
        tiles = [_drawn(cell, (cell_width, cell_height), with_legend) for cell in row]
        tiles += [np.full_like(tiles[0], 255)] * (columns - len(tiles))
        drawn.append(np.hstack(_with_gaps(tiles, axis=1)))
    return np.vstack(_with_gaps(drawn, axis=0))


def result_sheet(result: Result, facts: Sequence[str] = (), depth_scale: ColourScale | None = None) -> Rgb:
    """The sheet of one result: input, depth, std, blur, deblurred, each map with its legend, and lines of facts.

    Args:
        result: what is None in it is left out.
        facts: lines for the last cell.
        depth_scale: colours of the depth; None = fitted to the scene.
    """
    cells = [Cell("input: defocused", result.image_rgb), *map_cells(result, depth_scale)]
    if result.deblurred is not None:
        cells.append(Cell("deblurred", result.deblurred))
    if facts:
        cells.append(text_cell(facts, result.image_rgb.shape[:2]))
    return sheet(cells)


def map_cells(result: Result, depth_scale: ColourScale | None = None) -> list[Cell]:
    """Cells of the maps that the result has: depth, std, blur."""
    cells = []
    if result.depth_m is not None:
        cells.append(map_cell("depth [m]", result.depth_m, depth_scale or scene_depth_scale(result.depth_m)))
    if result.std_m is not None:
        cells.append(map_cell("std of depth [m]", result.std_m, std_scale(result.std_m)))
    if result.blur_px is not None:
        cells.append(map_cell("blur diameter [px]", result.blur_px, blur_scale(result.blur_px)))
    return cells


def text_cell(lines: Sequence[str], size: tuple[int, ...]) -> Cell:
    """A cell of lines of text, one at least, beside images of a size (height, width)."""
    return Cell("", _lines(lines, (size[0], size[1])))


def with_legend(cell: Cell) -> Rgb:
    """The cell's own pixels with the legend of its scale below."""
    if cell.scale is None:
        return cell.image_rgb
    return np.vstack([cell.image_rgb, legend(cell.image_rgb.shape[1], cell.scale)])


def _drawn(cell: Cell, size: Size, with_legend: bool) -> Rgb:
    """Title, image and legend (or its empty place) of one cell; `size` is (width, height)."""
    height, width = cell.image_rgb.shape[:2]
    narrowed = max(1, min(size[0], round(width * size[1] / height))) if size[1] == TALLEST_CELL_PX else size[0]
    # Colours of two distances must not mix into that of a third; photographs may.
    smooth = cv2.INTER_AREA if narrowed <= width else cv2.INTER_LINEAR
    interpolation = smooth if cell.scale is None else cv2.INTER_NEAREST
    image = np.full((size[1], size[0], 3), 255, np.uint8)
    image[:, :narrowed] = cv2.resize(cell.image_rgb, (narrowed, size[1]), interpolation=interpolation)
    title = np.full((TITLE_HEIGHT_PX, size[0], 3), 255, np.uint8)
    cv2.putText(title, drawable(cell.title), (2, 20), _FONT, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    parts = [title, image]
    if with_legend:
        empty = np.full((LEGEND_HEIGHT_PX, size[0], 3), 255, np.uint8)
        parts.append(empty if cell.scale is None else legend(size[0], cell.scale))
    return np.vstack(parts)


def _cell_size(image_size: tuple[int, ...], width_px: int | None = None) -> Size:
    """Width and height [px] of the cell of an image of a size (height, width)."""
    height, width = image_size
    cell_width = width_px or min(max(width, 320), WIDEST_CELL_PX)
    return cell_width, min(max(1, round(height * cell_width / width)), TALLEST_CELL_PX)


def _with_gaps(tiles: Sequence[Rgb], axis: int) -> list[Rgb]:
    shape = (tiles[0].shape[0], GAP_PX, 3) if axis == 1 else (GAP_PX, tiles[0].shape[1], 3)
    gap = np.full(shape, 255, np.uint8)
    parts = [gap]
    for tile in tiles:
        parts += [tile, gap]
    return parts


def _lines(lines: Sequence[str], size: Size) -> Rgb:
    """Text on white, of the size (height, width) of an image, drawn to be read at 320 to 640 px of width."""
    lines = [drawable(line) for line in lines]
    width, height = _cell_size(size)
    image = np.full((height, width, 3), 255, np.uint8)
    widest = max(cv2.getTextSize(line, _FONT, 1.0, 1)[0][0] for line in lines)
    scale = min(0.55, (width - 8) / max(1, widest), image.shape[0] / (44 * len(lines)))
    for number, line in enumerate(lines):
        place = (4, round((number + 1) * 44 * scale))
        cv2.putText(image, line, place, _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return image
