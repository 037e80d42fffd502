"""Charts as SVG text: no script, no font file; colours are CSS variables of the page, so light and dark are free."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 68, 16, 14, 44


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
    form: Callable[[float], str] = lambda value: f"{value:g}"

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
    step = _nice_step((high - low) / 4)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    ticks = tuple(low + i * step for i in range(round((high - low) / step) + 1))
    return Axis(label, low, high, ticks=ticks, form=_percent if percent else _plain)


LOG_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)


def log_axis(label: str, low: float, high: float) -> Axis:
    """A logarithmic axis in metres."""
    ticks = tuple(t for t in LOG_TICKS if low * 0.999 <= t <= high * 1.001)
    return Axis(label, low, high, True, ticks)


def chart(
    x: Axis,
    y: Axis,
    lines: Sequence[Series] = (),
    bars: Sequence[tuple[float, float, float]] = (),
    dots: bool = True,
    title: str = "",
    width: int = WIDTH,
) -> str:
    """A chart with lines over optional grey bars.

    Args:
        x: horizontal axis.
        y: vertical axis.
        lines: drawn in order, with dots whose tooltips say the value.
        bars: (from, to, share 0..1) in units of x: how much data lies there, at most a third of the height.
        dots: mark the points.
        title: read out in place of the image.
        width: of the drawing, in the unit of its letters; a chart across the page takes twice as much.
    """
    plot = _Plot(x, y, width)
    parts = [f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    parts += [*_grid(plot), *_bars(plot, bars), *_x_axis(plot)]
    parts += [_line(series, plot, dots) for series in lines]
    parts.append(
        f'<text class="label" x="{LEFT + plot.inner_w / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        f'{escape(x.label)}</text><text class="label" '
        f'transform="translate(13 {TOP + plot.inner_h / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.label)}</text></svg>"
    )
    return "".join(parts) + _key(lines)


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
        if place - previous > 30:
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


def _nice_step(step: float) -> float:
    magnitude = 10 ** math.floor(math.log10(step))
    return next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= step * 0.999)


def _plain(value: float) -> str:
    return f"{value:.4g}" if abs(value) > 1e-12 else "0"


def _percent(value: float) -> str:
    return f"{value * 100:.3g} %"
