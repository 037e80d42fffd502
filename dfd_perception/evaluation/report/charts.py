# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Charts as SVG text: no script, no font file; colours are CSS variables of the page, so light and dark are free."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from dfd_perception.core.colormap import ColourScale, nice_step

WIDTH, HEIGHT = 560, 300
WIDE = 1160
"""Of a chart across the page; a phone gets it at WIDTH."""
LEFT, RIGHT, TOP, BOTTOM = 84, 16, 14, 48
TICK_GAP = 46
"""Smallest distance of two numbers below the axis: the page enlarges letters on a phone."""


@dataclass(frozen=True)
class Series:
    """One line or set of bars."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    """CSS variable, such as --series-1."""
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """Range and ticks of one direction."""

    label: str
    low: float
    high: float
    logarithmic: bool = False
    ticks: tuple[float, ...] = ()
    form: Callable[[float], str] = lambda value: f"{value:.4g}"

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        if self.logarithmic:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def nice_axis(label: str, values: Sequence[float], from_zero: bool = True, percent: bool = False) -> Axis:
    """A linear axis over the values with four to six round ticks."""
    high = max(values, default=1.0)
    low = 0.0 if from_zero else min(values, default=0.0)
    if not high > low:
        high = low + 1.0
    step = nice_step((high - low) / 4)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    ticks = tuple(low + i * step for i in range(round((high - low) / step) + 1))
    return Axis(label, low, high, ticks=ticks, form=_percent if percent else _plain)


def log_axis(label: str, low: float, high: float) -> Axis:
    """A logarithmic axis in metres."""
    scale = ColourScale(low, high, logarithmic=True)
    ticks = tuple(scale.value_at(place) for place, _ in scale.ticks())
    return Axis(label, low, high, True, ticks)


def chart(
    x: Axis,
    y: Axis,
    lines: Sequence[Series] = (),
    bars: Sequence[tuple[float, float, float]] = (),
    dots: bool = True,
    title: str = "",
    wide: bool = False,
) -> str:
    """A chart with lines over optional grey bars; empty where no line has two points.

    Args:
        x: horizontal axis.
        y: vertical axis.
        lines: drawn in order, with dots whose tooltips say the value.
        bars: (from, to, share 0..1) in units of x: how much data lies there, at most a third of the height.
        dots: mark the points.
        title: read out in place of the image.
        wide: across the page, drawn once more for phones.
    """
    if not any(len(series.points) > 1 for series in lines):
        return ""
    if wide:
        drawings = [_drawing(_Plot(x, y, width), lines, bars, dots, title) for width in (WIDE, WIDTH)]
        return f'<div class="wide">{drawings[0]}</div><div class="narrow">{drawings[1]}</div>{_key(lines)}'
    return _drawing(_Plot(x, y, WIDTH), lines, bars, dots, title) + _key(lines)


def _drawing(
    plot: _Plot, lines: Sequence[Series], bars: Sequence[tuple[float, float, float]], dots: bool, title: str
) -> str:
    """The SVG of one chart."""
    parts = [f'<svg viewBox="0 0 {plot.width} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    parts += [*_grid(plot), *_bars(plot, bars), *_x_axis(plot)]
    parts += [_line(series, plot, dots) for series in lines]
    parts.append(
        f'<text class="label" x="{LEFT + plot.inner_w / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        f'{escape(plot.x.label)}</text><text class="label" '
        f'transform="translate(13 {TOP + plot.inner_h / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(plot.y.label)}</text></svg>"
    )
    return "".join(parts)


@dataclass(frozen=True)
class _Plot:
    """Where values lie in the drawing."""

    x: Axis
    y: Axis
    width: int

    @property
    def inner_w(self) -> int:
        return self.width - LEFT - RIGHT

    @property
    def inner_h(self) -> int:
        return HEIGHT - TOP - BOTTOM

    def px(self, value: float) -> float:
        return LEFT + self.inner_w * min(max(self.x.place(value), 0.0), 1.0)

    def py(self, value: float) -> float:
        return TOP + self.inner_h * (1 - min(max(self.y.place(value), 0.0), 1.0))


def _grid(plot: _Plot) -> Iterator[str]:
    for tick in plot.y.ticks:
        y = plot.py(tick)
        yield (
            f'<line class="grid" x1="{LEFT}" x2="{plot.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{plot.y.form(tick)}</text>'
        )


def _bars(plot: _Plot, bars: Sequence[tuple[float, float, float]]) -> Iterator[str]:
    tallest = max((share for _, _, share in bars), default=1.0) or 1.0
    for start, end, share in bars:
        height = plot.inner_h / 3 * share / tallest
        left, right = plot.px(start), plot.px(end)
        yield (
            f'<rect class="bar" x="{left + 0.5:.1f}" width="{max(right - left - 1, 1):.1f}" '
            f'y="{TOP + plot.inner_h - height:.1f}" height="{height:.1f}"><title>{share:.1%} of the pixels, '
            f"{plot.x.form(start)} to {plot.x.form(end)}</title></rect>"
        )


def _x_axis(plot: _Plot) -> Iterator[str]:
    """Ticks, their numbers where there is room, and the line."""
    foot = TOP + plot.inner_h
    previous = -100.0
    for tick in plot.x.ticks:
        place = plot.px(tick)
        yield f'<line class="axis" x1="{place:.1f}" x2="{place:.1f}" y1="{foot}" y2="{foot + 4}"/>'
        if place - previous > TICK_GAP:
            at = f'x="{place:.1f}" y="{foot + 17}"'
            yield f'<text class="tick" {at} text-anchor="middle">{plot.x.form(tick)}</text>'
            previous = place
    yield f'<line class="axis" x1="{LEFT}" x2="{plot.width - RIGHT}" y1="{foot}" y2="{foot}"/>'


def _line(series: Series, plot: _Plot, dots: bool) -> str:
    if not series.points:
        return ""
    path = " ".join(f"{'L' if i else 'M'}{plot.px(a):.1f} {plot.py(b):.1f}" for i, (a, b) in enumerate(series.points))
    dash = ' stroke-dasharray="5 4"' if series.dashed else ""
    text = f'<path class="line" style="stroke:var({series.colour})" d="{path}"{dash}/>'
    if dots and not series.dashed:
        for a, b in series.points:
            text += (
                f'<circle style="fill:var({series.colour})" cx="{plot.px(a):.1f}" cy="{plot.py(b):.1f}" r="3">'
                f"<title>{escape(series.name)}: {plot.y.form(b)} at {plot.x.form(a)}</title></circle>"
            )
    return text


def _key(lines: Sequence[Series]) -> str:
    if len(lines) < 2:
        return ""
    items = "".join(
        f'<span><i style="background:var({series.colour})"></i>{escape(series.name)}</span>' for series in lines
    )
    return f'<div class="key">{items}</div>'


def _plain(value: float) -> str:
    """A tick without exponents: 0.05, 12.5, 1,500."""
    if abs(value) < 1e-12:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _percent(value: float) -> str:
    return f"{_plain(round(value * 100, 6))} %"
