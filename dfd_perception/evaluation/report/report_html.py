# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""report.html: the page to look at. One file, nothing loaded from elsewhere, light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from dfd_perception.errors import counted
from dfd_perception.evaluation.report import meter_sections, report_facts
from dfd_perception.evaluation.report import report_sections as sections
from dfd_perception.evaluation.report.charts import Series, chart, nice_axis
from dfd_perception.evaluation.report.image_panels import (
    PanelScales,
    ShownFrame,
    data_uri,
    error_gradient,
    frame_score,
    panels,
    scale_gradient,
)
from dfd_perception.evaluation.scoring.protocol import image_at
from dfd_perception.files.atomic import write_text

HTML_NAME = "report.html"


def write_html(
    path: Path, report: dict[str, Any], frames: list[ShownFrame], depth_range_m: tuple[float, float] | None = None
) -> None:
    """Write the page, whole or not at all.

    Args:
        report: as `build_report` makes it.
        frames: to show, in order.
        depth_range_m: of the colours, the same for every image; None: fitted to the frames shown.
    """
    sources = report["data"]["sources"]
    data = ", ".join(source["unit"] for source in sources[:3]) + (" and more" if len(sources) > 3 else "")
    heading = f"{report['model']['name']} on {data}"
    subtitle = f"{counted(report['frames'], 'frame')} \N{MIDDLE DOT} protocol {report['protocol']['name']}"
    if report["run"].get("created"):
        subtitle += f" \N{MIDDLE DOT} {report['run']['created'].partition('T')[0]}"
    body = [
        sections.few_frames(report),
        sections.tiles(report),
        report_facts.baselines(report),
        _frames(frames, depth_range_m),
        meter_sections.aperture_pairs(report),
        sections.by_distance(report),
        meter_sections.blur_map(report),
        sections.calibration(report),
        _deblurring(report, frames),
        _over_time(report),
        sections.timing(report),
        report_facts.provenance(report),
    ]
    write_text(path, page(heading, subtitle, body))


def page(heading: str, subtitle: str, sections_html: Iterable[str]) -> str:
    """A page with its style in it, of sections; empty ones are left out."""
    files = resources.files("dfd_perception.evaluation.report")
    return Template(files.joinpath("report_template.html").read_text("utf-8")).substitute(
        title=escape(heading),
        heading=escape(heading),
        subtitle=escape(subtitle),
        style=files.joinpath("report.css").read_text("utf-8"),
        body="\n".join(part for part in sections_html if part),
    )


def _frames(frames: list[ShownFrame], depth_range_m: tuple[float, float] | None) -> str:
    if not frames:
        return ""
    scales = PanelScales.fitted(frames, depth_range_m)
    legends = ""
    with_depth = any(frame.prediction.depth_m is not None for frame in frames)
    if with_depth or any(frame.truth_m is not None for frame in frames):
        legends += _scale("Depth; black: no depth", *scale_gradient(scales.depth))
    if not with_depth and any(frame.prediction.coc_px is not None for frame in frames):
        legends += _scale("Blur diameter", *scale_gradient(scales.blur))
    if any(frame.error_m is not None for frame in frames):
        legends += _scale("Error; blue: too near, red: too far, grey: not known", *error_gradient(scales.error_m))
    cards = "".join(_frame(frame, scales) for frame in frames)
    ranked = any(frame.error_m is not None for frame in frames)
    note = "By AbsRel of the frame: the worst, the middle ones and the best." if ranked else ""
    return sections.section("Frames", note, f'<div class="scales">{legends}</div>{cards}')


def _frame(frame: ShownFrame, scales: PanelScales) -> str:
    entry = frame.entry
    figures = []
    if "depth" in entry:
        depth = entry["depth"]
        figures += [f"AbsRel {sections.number(depth['abs_rel'])}", f"RMSE {sections.number(depth['rmse_m'])} m"]
    if "scale" in entry:
        figures.append(f"scale {sections.number(entry['scale'], 2)}")
    if "deblurred" in entry and entry["deblurred"]["psnr_db"] is not None:
        figures.append(f"PSNR {sections.number(entry['deblurred']['psnr_db'], 2)} dB")
    if "range_m" in entry and "depth" not in entry:
        low, middle, high = entry["range_m"]
        figures.append(f"depth {low:.2f} to {high:.2f} m, median {middle:.2f} m")
    images = "".join(
        f"<figure{'' if caption == 'Input' else ' class=map'}>"
        f'<img src="{uri}" alt="{caption} of {escape(entry["name"])}">'
        f"<figcaption>{caption}</figcaption></figure>"
        for caption, uri in panels(frame, scales)
    )
    line = " \N{MIDDLE DOT} ".join(figures)
    return (
        f'<div class="card frame"><div class="head"><span class="tag">{escape(frame.group)}</span>'
        f'<strong>{escape(entry["name"])}</strong><span class="figures">{line}</span></div>'
        f'<div class="panels">{images}</div></div>'
    )


def _scale(text: str, gradient: str, ticks: list[tuple[float, str]]) -> str:
    marks = ""
    for place, mark in ticks:
        edge = ' class="first"' if place < 1 else ' class="last"' if place > 99 else ""
        marks += f'<span style="left:{place:.1f}%"{edge}>{mark}</span>'
    ramp = f'<div class="ramp" style="background:{gradient}"></div>'
    return f'<div class="scale"><p>{text}</p>{ramp}<div class="marks">{marks}</div></div>'


def _deblurring(report: dict[str, Any], frames: list[ShownFrame]) -> str:
    shown = [frame for frame in frames if frame.prediction.deblurred is not None]
    if not shown:
        return ""
    # The most blurred of the frames shown is where deblurring has something to do.
    blurs_px = [0.0 if frame.prediction.coc_px is None else frame.prediction.coc_px.mean() for frame in shown]
    frame = shown[int(np.argmax(blurs_px))]
    assert frame.prediction.deblurred is not None
    deblurred = data_uri(frame.prediction.deblurred, 92)
    sliders = _slider("defocused input", data_uri(frame.image_rgb, 92), "deblurred", deblurred)
    if frame.aif is not None:
        truth = image_at(frame.aif, (frame.image_rgb.shape[0], frame.image_rgb.shape[1]))
        sliders += _slider("deblurred", deblurred, "all-in-focus truth", data_uri(truth, 92))
    note = f"Frame {escape(frame.entry['name'])}. Move the handle, with the mouse, a finger or the arrow keys."
    figures = report.get("deblurred")
    if figures:
        note = (
            f"PSNR {sections.number(figures['input_psnr_db'], 2)} dB defocused, "
            f"{sections.number(figures['psnr_db'], 2)} dB deblurred; "
            f"SSIM {sections.number(figures['input_ssim'])} and {sections.number(figures['ssim'])}. {note}"
        )
    return sections.section("Deblurring", note, f'<div class="grid2">{sliders}</div>')


def _slider(left: str, left_uri: str, right: str, right_uri: str) -> str:
    return (
        f'<div class="compare"><img src="{right_uri}" alt="{right}">'
        f'<div class="top"><img src="{left_uri}" alt="{left}"></div><span class="caption left">{left}</span>'
        f'<span class="caption right">{right}</span><span class="handle"></span>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{left} against {right}"></div>'
    )


def _over_time(report: dict[str, Any]) -> str:
    scores = [frame_score(entry, by_depth=True) for entry in report["per_frame"]]
    values = [score for score in scores if score is not None]
    if len(values) < 3 or "depth" not in report:
        return ""
    points = sections.thinned(values)
    x = nice_axis("frame with truth, in order", [float(len(values))])
    y = nice_axis("AbsRel", [v for _, v in points], percent=True)
    plot = chart(x, y, [Series("AbsRel", points, "--series-1")], dots=False, title="Error over the frames", wide=True)
    return sections.section("Over the frames", "", f'<div class="card">{plot}</div>')
