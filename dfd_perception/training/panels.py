"""An image of a validation: a row for each sample, input, deblurred, truth, predicted map, true map, error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT_PX = 144
TITLES = ("defocused", "deblurred", "all in focus", "predicted", "true", "error")
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


def draw_panel(rows: Sequence[PanelRow]) -> Rgb:
    """All rows under a line of titles. Maps of a row share one scale, which is written on the true one."""
    drawn = [_draw_row(row) for row in rows]
    width = max(row.shape[1] for row in drawn)
    title = np.full((22, width, 3), 255, np.uint8)
    cell = drawn[0].shape[1] // len(TITLES)
    for column, text in enumerate(TITLES):
        cv2.putText(title, text, (column * cell + 4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in drawn]
    return np.concatenate([title, *padded])


def png_of(image_rgb: Rgb) -> bytes:
    """The image as a PNG file."""
    return cv2.imencode(".png", image_rgb[..., ::-1])[1].tobytes()


def _draw_row(row: PanelRow) -> Rgb:
    height, width = row.defocused.shape[:2]
    cell = (max(1, round(width * HEIGHT_PX / height)), HEIGHT_PX)  # (width, height), as OpenCV wants it
    largest = _largest(row.target if row.target is not None else row.predicted)
    error = None
    if row.predicted is not None and row.target is not None:
        error = np.abs(row.predicted - row.target)
    cells = [
        _image(row.defocused, cell),
        _image(row.deblurred, cell),
        _image(row.aif, cell),
        _coloured(row.predicted, largest, cell),
        _coloured(row.target, largest, cell, f"0 to {largest:.3g}"),
        _coloured(error, max(0.25 * largest, 1e-6), cell, f"0 to {0.25 * largest:.3g}"),
    ]
    return np.concatenate(cells, axis=1)


def _largest(values: Map | None) -> float:
    if values is None or not np.isfinite(values).any():
        return 1.0
    return max(float(np.nanpercentile(values, 99)), 1e-6)


def _image(rgb: Rgb | None, cell: tuple[int, int]) -> Rgb:
    if rgb is None:
        return np.full((cell[1], cell[0], 3), 128, np.uint8)
    return cv2.resize(rgb, cell, interpolation=cv2.INTER_AREA)


def _coloured(values: Map | None, largest: float, cell: tuple[int, int], scale: str = "") -> Rgb:
    if values is None:
        return _image(None, cell)
    small = cv2.resize(values, cell, interpolation=cv2.INTER_NEAREST)
    known = np.isfinite(small)
    grey = np.clip(np.where(known, small, 0) * (255 / largest), 0, 255).astype(np.uint8)
    rgb = np.ascontiguousarray(cv2.applyColorMap(grey, cv2.COLORMAP_TURBO)[..., ::-1])
    rgb[~known] = 0
    if scale:
        cv2.putText(rgb, scale, (4, cell[1] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return rgb
