# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sections of report.html, each from the report alone; one without its figures is empty."""

from __future__ import annotations

from typing import Any

from dfd_perception.errors import counted
from dfd_perception.evaluation.report.charts import Series, chart, log_axis, nice_axis

DEPTH_FIGURES = (
    ("abs_rel", "AbsRel", "", 3),
    ("rmse_m", "RMSE", "m", 3),
    ("delta1", "\N{GREEK SMALL LETTER DELTA}1", "", 3),
    ("coverage", "Coverage", "%", 1),
)
STAGES = {"preprocess": "prepare", "inference": "network", "postprocess": "to depth", "end_to_end": "end to end"}

MOST_POINTS = 600
"""Of a curve over the frames."""


def number(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A figure for people; a dash where there is none."""
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}{unit}"


FEW_FRAMES = 10
"""Below, the page says that the figures are those of a few frames."""


def few_frames(report: dict[str, Any]) -> str:
    """A warning where there are too few frames to speak for others."""
    frames = report["frames"]
    if not 0 < frames < FEW_FRAMES:
        return ""
    return (
        f'<p class="few">Only {counted(frames, "frame")}: the figures hold for {"it" if frames == 1 else "these"}, and '
        "say little about other images.</p>"
    )


def tiles(report: dict[str, Any]) -> str:
    """The figures that matter most."""
    html: list[str] = []
    depth = report.get("depth")
    if depth:
        for key, name, unit, digits in DEPTH_FIGURES:
            factor = 100 if unit == "%" else 1
            value, mean = depth[key], depth["mean_of_images"][key]
            below = f"mean of images {number(None if mean is None else mean * factor, digits)}"
            html.append(_tile(name, number(None if value is None else value * factor, digits), unit, below))
    deblurred = report.get("deblurred")
    if deblurred:
        html.append(_gain_tile("PSNR", deblurred["psnr_db"], deblurred["input_psnr_db"], "dB", 2))
        html.append(_gain_tile("SSIM", deblurred["ssim"], deblurred["input_ssim"], "", 3))
    if report.get("defocus"):
        html.append(
            _tile("Blur error", number(report["defocus"]["mae"], 2), "px", "mean absolute, circle of confusion")
        )
    total = report["timing"]["stages"].get("total")
    if total:
        html.append(_tile("Latency", number(total["p50_ms"], 1), "ms", f"median; 95 % within {total['p95_ms']:.1f} ms"))
    answered, frames = report["answered"], report["frames"]
    html.append(_tile("Frames", f"{frames}", "", "all answered" if answered == frames else f"{answered} answered"))
    return f'<div class="tiles">{"".join(html)}</div>'


def _tile(name: str, value: str, unit: str, below: str) -> str:
    small = f"<small>{unit}</small>" if unit else ""
    return f'<div class="tile"><span class="name">{name}</span><b>{value}{small}</b><span>{below}</span></div>'


def _gain_tile(name: str, value: float | None, before: float | None, unit: str, digits: int) -> str:
    below = ""
    if value is not None and before is not None:
        gain = value - before
        below = (
            f'<span class="delta {"up" if gain >= 0 else "down"}">{gain:+.{digits}f} {unit}</span> '
            f"defocused {before:.{digits}f}"
        )
    return _tile(name, number(value, digits), unit, below)


def by_distance(report: dict[str, Any]) -> str:
    """Error against distance and against blur."""
    cards = []
    table = [entry for entry in report.get("by_distance", []) if "abs_rel" in entry]
    if table:
        x = log_axis("true distance [m]", table[0]["from_m"], table[-1]["to_m"])
        pixels = sum(entry["pixels"] for entry in table)
        bars = [(e["from_m"], e["to_m"], e["pixels"] / pixels) for e in table]
        middle = [(e["from_m"] * e["to_m"]) ** 0.5 for e in table]
        rel = [(m, e["abs_rel"]) for m, e in zip(middle, table, strict=True)]
        lines = [Series("AbsRel", rel, "--series-1")]
        if "std_m" in table[0]:
            claimed = [(m, e["std_m"] / e["true_m"]) for m, e in zip(middle, table, strict=True)]
            lines.append(Series("claimed std / distance", claimed, "--series-2"))
        y = nice_axis("relative error", [v for line in lines for _, v in line.points], percent=True)
        cards.append(
            card(
                "Error against distance",
                "Grey bars: where the pixels are.",
                chart(x, y, lines, bars, title="Error against distance"),
            )
        )
    blur = report.get("by_coc", [])
    if blur:
        pixels = sum(entry["pixels"] for entry in blur)
        shown = [e for e in blur if e["pixels"] / pixels > 1e-4] or blur
        x = nice_axis("true circle of confusion [px]", [e["to_px"] for e in shown])
        bars = [(e["from_px"], e["to_px"], e["pixels"] / pixels) for e in shown]
        lines = [Series("AbsRel", [((e["from_px"] + e["to_px"]) / 2, e["abs_rel"]) for e in shown], "--series-1")]
        y = nice_axis("relative error of depth", [e["abs_rel"] for e in shown], percent=True)
        note = "On the left is the focus plane: there blur hardly changes with depth, and a blur meter is weakest."
        cards.append(
            card("Error against blur", note, chart(x, y, lines, bars, title="Error against circle of confusion"))
        )
        measured = [e for e in shown if "mae_px" in e]
        if measured:
            lines = [
                Series(
                    "mean absolute error",
                    [((e["from_px"] + e["to_px"]) / 2, e["mae_px"]) for e in measured],
                    "--series-1",
                ),
                Series("bias", [((e["from_px"] + e["to_px"]) / 2, e["bias_px"]) for e in measured], "--series-2"),
            ]
            y = nice_axis("error of blur [px]", [v for line in lines for _, v in line.points], from_zero=False)
            cards.append(
                card(
                    "Blur itself",
                    "Bias above 0: taken for more blurred than it is.",
                    chart(x, y, lines, title="Error of blur"),
                )
            )
    return section("Where it fails", "", f'<div class="grid2">{"".join(cards)}</div>') if any(cards) else ""


def calibration(report: dict[str, Any]) -> str:
    """Is the scale right, does the claimed uncertainty hold?"""
    figures = report.get("calibration")
    if not figures:
        return ""
    cards = []
    table = [entry for entry in report["by_distance"] if "predicted_m" in entry]
    if table:
        values = [v for e in table for v in (e["predicted_m"], e["true_m"])]
        x = log_axis("true distance [m]", min(values) * 0.95, max(values) * 1.05)
        y = log_axis("predicted distance [m]", min(values) * 0.95, max(values) * 1.05)
        lines = [
            Series("mean prediction", [(e["true_m"], e["predicted_m"]) for e in table], "--series-1"),
            Series("truth", [(x.low, x.low), (x.high, x.high)], "--series-3", dashed=True),
        ]
        note = (
            f"Predicted distances are {number(figures['scale'], 3)} times the true ones (geometric mean), "
            f"spread {number(figures['log_scale_std'], 3)} (standard deviation of ln p/t)."
        )
        cards.append(card("Scale", note, chart(x, y, lines, title="Predicted against true distance")))
    claimed = figures.get("uncertainty")
    if claimed:
        x = nice_axis("error within this many claimed standard deviations", claimed["levels"])
        y = nice_axis("share of pixels", [1.0], percent=True)
        lines = [
            Series("observed", list(zip(claimed["levels"], claimed["share_within"], strict=True)), "--series-1"),
            Series(
                "Gaussian",
                list(zip(claimed["levels"], claimed["share_expected"], strict=True)),
                "--series-3",
                dashed=True,
            ),
        ]
        gain = claimed["abs_rel_certain_gain"]
        note = (
            f"{number(claimed['within_one_std'] * 100, 1)} % of the errors are within one standard deviation "
            f"(68.3 % if it holds). Without the least certain 30 % of the pixels AbsRel "
            f"{'rises' if gain is not None and gain < 0 else 'falls'} by "
            f"{number(None if gain is None else abs(gain) * 100, 0)} %."
        )
        cards.append(card("Uncertainty", note, chart(x, y, lines, title="Calibration of the uncertainty")))
    return section("Calibration", "", f'<div class="grid2">{"".join(cards)}</div>') if any(cards) else ""


def timing(report: dict[str, Any]) -> str:
    """Latency by stage, and over the frames."""
    stages = report["timing"]["stages"]
    if not stages:
        return ""
    rows = "".join(
        f"<tr><td>{STAGES.get(name, name)}</td>"
        + "".join(f"<td>{values[key]:.2f}</td>" for key in ("p50_ms", "p95_ms", "mean_ms", "max_ms"))
        + "</tr>"
        for name, values in stages.items()
    )
    table = (
        '<div class="scroll"><table>'
        "<thead><tr><th>ms</th><th>median</th><th>95 %</th><th>mean</th><th>max</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
    series = thinned(report["timing"]["total_ms"])
    x = nice_axis("frame", [len(report["timing"]["total_ms"])])
    y = nice_axis("latency [ms]", [v for _, v in series])
    plot = chart(x, y, [Series("latency", series, "--series-1")], dots=False, title="Latency by frame")
    live = report["timing"].get("live")
    note = ""
    if live:
        note = (
            f"Live: {counted(live['sent'], 'image')} sent, {report['answered']} answered, {live['dropped']} dropped or "
            "lost; latency from the arrival of an image to its last answer."
        )
    cards = f'<div class="card"><h3>By stage</h3>{table}</div>' + card("By frame", "", plot)
    return section("Timing", note, f'<div class="grid2">{cards}</div>')


def thinned(values: list[float]) -> list[tuple[float, float]]:
    """At most MOST_POINTS; of each group the largest, so that no spike is lost."""
    group = max(1, -(-len(values) // MOST_POINTS))
    return [(float(i), max(values[i : i + group])) for i in range(0, len(values), group)]


def card(title: str, note: str, content: str) -> str:
    """A titled box; none without content."""
    below = f'<p class="note">{note}</p>' if note else ""
    return f'<div class="card"><h3>{title}</h3>{below}{content}</div>' if content else ""


def section(title: str, note: str, content: str) -> str:
    """A titled part of the page."""
    below = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{title}</h2>{below}{content}</section>"
