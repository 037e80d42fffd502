# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Maps as colours, and the legends that say what a colour means.

One rule for everything that is drawn to be looked at (files, reports, training panels, pages): the colours span the
scene, from its 2nd to its 98th percentile, rounded outwards; a scene whose far end is at least three times its near end
is drawn on a logarithmic scale, any other on a linear one. Red is near and blue is far, black is no depth, and every
legend names its unit. Only what is a topic (`depth/image_color`) keeps a fixed range, so that a colour is one distance
in every frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import ConfigError

DEFAULT_RANGE_M = (0.1, 10.0)
"""Fixed range of the topic `depth/image_color`."""
LEGEND_HEIGHT_PX = 48
SCENE_PERCENTILES = (2.0, 98.0)
UNCERTAIN_MEDIANS = 4.0
"""End of the scale of std in medians of the scene: std grows with the square of the distance, and a few far
pixels would leave one colour for all others."""
LOGARITHMIC_FROM = 3.0
"""Far over near from which distances are drawn on a logarithmic scale."""

Palette = Literal["depth", "blur", "std"]
FloatMap = NDArray[np.floating]
Rgb = NDArray[np.uint8]

_SAMPLES_OF_A_MAP = 65536
_LOG_TICKS = tuple(m * 10.0**e for e in range(-3, 5) for m in (1, 1.5, 2, 3, 5, 7))
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def _palette(colormap: int, first: int, last: int, reverse: bool = False) -> Rgb:
    """(1 + levels, 3) RGB of an OpenCV colour map, at most 255 levels; row 0 is black, for "no value"."""
    levels = np.arange(256, dtype=np.uint8)
    if reverse:
        levels = levels[::-1].copy()
    colours = cv2.applyColorMap(levels, colormap)[:, 0, ::-1][first:last]
    return np.ascontiguousarray(np.concatenate([np.zeros((1, 3), np.uint8), colours]))


# Both ends of Turbo are nearly black and would read as "no depth"; so would the dark end of Inferno.
_PALETTES: dict[str, Rgb] = {
    "depth": _palette(cv2.COLORMAP_TURBO, 16, 240, reverse=True),
    "blur": _palette(cv2.COLORMAP_INFERNO, 20, 256),
    "std": _palette(cv2.COLORMAP_VIRIDIS, 0, 255),
}


@dataclass(frozen=True)
class ColourScale:
    """From values of one unit to colours: two ends, linear or logarithmic between them."""

    low: float
    high: float
    unit: str = "m"
    logarithmic: bool = False
    palette: Palette = "depth"

    def __post_init__(self) -> None:
        lowest = self.low > 0 if self.logarithmic else self.low >= 0
        if not (lowest and self.low < self.high and math.isfinite(self.high)):
            condition = "0 < near < far" if self.palette == "depth" else "0 <= low < high"
            raise ConfigError(f"colour range is {self.low} to {self.high} {self.unit}; expected {condition}")

    def colours(self, values: FloatMap) -> Rgb:
        """(H, W, 3) RGB of a map (H, W): outside of the scale its end colours, without a value black."""
        palette = _PALETTES[self.palette]
        valid = np.isfinite(values)
        if self.palette == "depth":
            valid &= values > 0
        inside = np.clip(np.where(valid, values, self.low), self.low, self.high).astype(np.float32)
        if self.logarithmic:
            position = np.log(inside / np.float32(self.low)) * np.float32(1 / math.log(self.high / self.low))
        else:
            position = (inside - np.float32(self.low)) * np.float32(1 / (self.high - self.low))
        level = 1.5 + position * (len(palette) - 2)
        return palette[np.where(valid, level, 0).astype(np.uint8)]

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def value_at(self, place: float) -> float:
        """Inverse of `place`."""
        if self.logarithmic:
            return self.low * (self.high / self.low) ** place
        return self.low + (self.high - self.low) * place

    def ticks(self, most: int = 7) -> list[tuple[float, str]]:
        """Round values along the scale as (place from 0 to 1, text with its unit), about `most` of them."""
        if self.logarithmic:
            values = [t for t in _LOG_TICKS if self.low * 0.9999 <= t <= self.high * 1.0001]
        else:
            step = nice_step((self.high - self.low) / max(1, most - 1))
            first = math.ceil(self.low / step - 1e-6)
            values = [i * step for i in range(first, math.floor(self.high / step + 1e-6) + 1)]
        ticks = [(min(1.0, max(0.0, self.place(v))), f"{v:.4g} {self.unit}") for v in values]
        if self.logarithmic and len(ticks) > most:
            ticks = _spread(ticks, most)
        return ticks


def _spread(ticks: list[tuple[float, str]], most: int) -> list[tuple[float, str]]:
    """Drop ticks until none are nearer to each other than an even spacing of `most` would have them."""
    kept = ticks[:1]
    for tick in ticks[1:]:
        if tick[0] - kept[-1][0] >= 0.8 / most:
            kept.append(tick)
    return kept


def nice_step(step: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    magnitude = 10 ** math.floor(math.log10(step))
    return next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= step * 0.999)


def fixed_depth_scale(range_m: tuple[float, float]) -> ColourScale:
    """Logarithmic between two distances: of the topic, and where a user asks for a range.

    Raises:
        ConfigError: a range that is not 0 < near < far.
    """
    return ColourScale(*range_m, logarithmic=True)


def scene_depth_scale(*depths_m: FloatMap) -> ColourScale:
    """The scale that fits a scene: see the head of this file. Maps without depth give DEFAULT_RANGE_M.

    Args:
        depths_m: one or more (H, W) maps [m] that shall share colours; NaN, infinity and 0 are no depth.
    """
    values = _sampled(depths_m, above_zero=True)
    if not values.size:
        return fixed_depth_scale(DEFAULT_RANGE_M)
    near, far = (float(v) for v in np.percentile(values, SCENE_PERCENTILES))
    # A plane has a thickness too: colours of a millimetre of noise would say nothing.
    near, far = min(near, 0.95 * (near + far) / 2), max(far, 1.05 * (near + far) / 2)
    step = nice_step((far - near) / 20)
    if far / near >= LOGARITHMIC_FROM:
        return ColourScale(*_outwards(near, far), logarithmic=True)
    return ColourScale(
        round(max(math.floor(near / step + 1e-6), 1) * step, 9), round(math.ceil(far / step - 1e-6) * step, 9)
    )


def blur_scale(*coc_px: FloatMap) -> ColourScale:
    """Blur from 0 to the scene's 98th percentile: dark is sharp, bright is blurred."""
    return _from_zero(coc_px, "px", "blur", at_least=2.0)


def std_scale(*std_m: FloatMap) -> ColourScale:
    """Std of depth from 0 to the scene's 98th percentile or four medians, whichever is less: dark is certain."""
    return _from_zero(std_m, "m", "std", at_least=0.005, medians=UNCERTAIN_MEDIANS)


def _from_zero(
    maps: tuple[FloatMap, ...], unit: str, palette: Palette, at_least: float, medians: float = math.inf
) -> ColourScale:
    values = _sampled(maps)
    high = at_least
    if values.size:
        middle, end = (float(v) for v in np.percentile(values, (50.0, SCENE_PERCENTILES[1])))
        high = max(at_least, min(end, medians * middle if middle > 0 else math.inf))
    step = nice_step(high / 10)
    return ColourScale(0.0, round(math.ceil(high / step - 1e-6) * step, 9), unit, palette=palette)


def _sampled(maps: tuple[FloatMap, ...], above_zero: bool = False) -> NDArray[np.floating]:
    """Finite values of all maps, thinned evenly: percentiles of megapixels cost more than the colours."""
    colours = []
    for values in maps:
        thinned = values.ravel()[:: max(1, values.size // _SAMPLES_OF_A_MAP)]
        colours.append(thinned[np.isfinite(thinned) & (thinned > 0 if above_zero else True)])
    return np.concatenate(colours) if colours else np.empty(0)


def _outwards(near: float, far: float) -> tuple[float, float]:
    """Both ends to two significant digits, the first down and the second up."""
    fine, coarse = (10.0 ** (math.floor(math.log10(value)) - 1) for value in (near, far))
    return round(math.floor(near / fine + 1e-6) * fine, 9), round(math.ceil(far / coarse - 1e-6) * coarse, 9)


def legend(width: int, scale: ColourScale) -> Rgb:
    """(48, width, 3) RGB: a bar of the colours with values and units below it."""
    image = np.full((LEGEND_HEIGHT_PX, width, 3), 255, np.uint8)
    margin = min(24, width // 8)
    columns = width - 2 * margin
    places = np.arange(columns) / max(1, columns - 1)
    values = np.array([scale.value_at(place) for place in places], np.float32)
    image[4:24, margin : width - margin] = scale.colours(values[None])
    last_end = -100
    for place, text in scale.ticks(max(2, width // 60)):
        x = margin + round(place * (columns - 1))
        cv2.line(image, (x, 20), (x, 28), (0, 0, 0), 1)
        (text_width, _), _ = cv2.getTextSize(text, _FONT, 0.4, 1)
        start = min(max(0, x - text_width // 2), width - text_width)
        if start > last_end + 4:
            cv2.putText(image, text, (start, 42), _FONT, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
            last_end = start + text_width
    return image
