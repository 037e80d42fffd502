# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Shows the chart to a model and puts its errors over the bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.point_spread import DISK
from dfd_perception.core.sensor import linear_from_encoded, uint8_from_encoded
from dfd_perception.evaluation.blur_chart.bound import edge_bound_px, texture_bound_px

Pattern = Literal["texture", "edges"]

SIDE_PX = 256
MARGIN_PX = 32
"""Cut off after the blur, so that no plane shows the border of its pattern."""

MEAN_LEVEL = 0.5
"""Encoded grey of the planes; contrast and noise are fractions of white on the encoded scale, as a camera stores it."""

EDGE_SPACING_PX = (40, 90)


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One plane of the chart.

    pattern: 1/f texture (amplitude falls with 1/f), or straight edges of random places and directions.
    coc_px: diameter of the disk.
    contrast: standard deviation of the sharp texture, or step of an edge, as a fraction of white.
    noise: standard deviation of the noise, as a fraction of white.
    seed: of pattern and noise.
    """

    pattern: Pattern
    coc_px: float
    contrast: float
    noise: float
    seed: int = 0

    def image_rgb(self, side_px: int = SIDE_PX) -> NDArray[np.uint8]:
        """(side, side, 3) uint8 RGB; grey, blurred in linear light, noise of its own in every channel."""
        rng = np.random.default_rng((self.seed, self.pattern == "edges"))
        side = side_px + 2 * MARGIN_PX
        pattern = _texture(rng, side) if self.pattern == "texture" else _edges(rng, side)
        # The blur is light's, contrast and noise are those of the stored image: around a level, the encoding is
        # a straight line to within the contrast.
        light = linear_from_encoded(np.clip(MEAN_LEVEL + self.contrast * pattern, 0, 1).astype(np.float32))
        kernel = DISK.kernel(self.coc_px)
        if kernel.size > 1:
            light = cv2.filter2D(light, -1, kernel, borderType=cv2.BORDER_REFLECT)
        encoded = np.power(light, 1 / 2.2)[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
        image = encoded[..., None] + self.noise * rng.standard_normal((side_px, side_px, 3))
        return uint8_from_encoded(image.astype(np.float32))


def _texture(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Random texture of amplitude 1/f, mean 0, standard deviation 1."""
    spectrum = np.fft.rfft2(rng.standard_normal((side, side)))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    texture = np.fft.irfft2(spectrum / frequency, (side, side))
    return (texture - texture.mean()) / texture.std()


def _edges(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Stripes of random widths in one random direction, levels +-1/2, anti-aliased over a pixel."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side, :side].astype(np.float64)
    along = np.cos(angle) * (x - side / 2) + np.sin(angle) * (y - side / 2)
    place, level = -side * 0.8, 0.5
    pattern = np.full((side, side), -level)
    while place < side * 0.8:
        pattern += 2 * level * np.clip(along - place + 0.5, 0, 1)
        place, level = place + rng.uniform(*EDGE_SPACING_PX), -level
    return pattern


COCS_PX = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 24.0, 32.0, 40.0)
BANDS_PX = ((3.0, 12.0), (16.0, 24.0))
SEEDS = 2
FLOOR_SEED = 1000
"""The floor is read off planes that are not scored."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One column of the chart; see Plane."""

    pattern: Pattern
    contrast: float
    noise: float

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.pattern}, contrast {self.contrast:.0%}, noise {self.noise:.1%}"

    @property
    def contrast_over_noise_db(self) -> float:
        """20 log10 of contrast over noise."""
        return float(20 * np.log10(self.contrast / self.noise))

    def bound_px(self, coc_px: float) -> float:
        """Least standard deviation of a 21 x 21 patch, or of 21 rows of one edge."""
        bound = texture_bound_px if self.pattern == "texture" else edge_bound_px
        return bound(coc_px, self.contrast_over_noise_db)


SETTINGS = (
    Setting(pattern="texture", contrast=0.10, noise=0.01),
    Setting(pattern="texture", contrast=0.03, noise=0.01),
    Setting(pattern="texture", contrast=0.10, noise=0.003),
    Setting(pattern="edges", contrast=0.30, noise=0.01),
    Setting(pattern="edges", contrast=0.10, noise=0.01),
)


class BlurMeter(Protocol):
    """Anything that reads blur."""

    def __call__(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) uint8 RGB to (H, W) blur diameter [px]."""
        ...


def measure_chart(
    meter: BlurMeter,
    total_blur: bool,
    settings: tuple[Setting, ...] = SETTINGS,
    cocs_px: tuple[float, ...] = COCS_PX,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Read every plane of the chart.

    Args:
        meter: what reads.
        total_blur: whether its readings hold the blur floor; the chart's is then read off sharp planes of their own.
        settings: columns.
        cocs_px: rows, diameters of the disk.
        progress: told of planes done and in all.

    Returns:
        The section `blur_chart` of a report.
    """
    columns = []
    for number, setting in enumerate(settings):
        floor_px = float(np.median([meter(_plane(setting, 0.0, FLOOR_SEED + s)) for s in range(SEEDS)]))
        rows = []
        for place, coc_px in enumerate(cocs_px):
            readings = np.stack([meter(_plane(setting, coc_px, s)) for s in range(SEEDS)]).astype(np.float64)
            truth = float(np.hypot(coc_px, floor_px if total_blur else 0.0))
            rows.append(
                {
                    "coc_px": coc_px,
                    "true_px": truth,
                    "reading_px": float(readings.mean()),
                    "mae_px": float(np.abs(readings - truth).mean()),
                    "bound_px": setting.bound_px(coc_px),
                }
            )
            if progress is not None:
                progress(number * len(cocs_px) + place + 1, len(settings) * len(cocs_px))
        columns.append(
            {
                "name": setting.name,
                "pattern": setting.pattern,
                "contrast": setting.contrast,
                "noise": setting.noise,
                "sharp_reads_px": floor_px,
                "bands": [_band(rows, low, high) for low, high in BANDS_PX],
                "rows": rows,
            }
        )
    return {"side_px": SIDE_PX, "total_blur": total_blur, "columns": columns}


def chart_text(chart: dict[str, Any]) -> str:
    """The chart for a terminal: mean absolute error [px], and in brackets how many times the bound that is."""
    lines = []
    for column in chart["columns"]:
        bands = ", ".join(f"{b['from_px']:g} to {b['to_px']:g} px: MAE {b['mae_px']:.2f} px" for b in column["bands"])
        lines.append(f"  {column['name']}: sharp planes read {column['sharp_reads_px']:.2f} px; {bands}")
        lines.append("    " + "  ".join(f"{r['coc_px']:g}: {r['mae_px']:.2f} ({r['mae_px'] / r['bound_px']:.1f})"
                                        for r in column["rows"]))  # fmt: skip
    return "\n".join(lines)


def _plane(setting: Setting, coc_px: float, seed: int) -> NDArray[np.uint8]:
    plane = Plane(pattern=setting.pattern, coc_px=coc_px, contrast=setting.contrast, noise=setting.noise, seed=seed)
    return plane.image_rgb()


def _band(rows: list[dict[str, float]], low: float, high: float) -> dict[str, Any]:
    inside = [row["mae_px"] for row in rows if low <= row["coc_px"] <= high]
    return {"from_px": low, "to_px": high, "mae_px": float(np.mean(inside)) if inside else None}
