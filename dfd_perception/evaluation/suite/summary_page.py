# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""summary.html and the table for the terminal: one row a source, then responses and the blur chart."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from dfd_perception.evaluation.blur_chart.measure import chart_text
from dfd_perception.evaluation.report import meter_sections
from dfd_perception.evaluation.report.report_html import page
from dfd_perception.evaluation.report.report_sections import section
from dfd_perception.evaluation.report.summary import against_depth_text, response_text
from dfd_perception.files.atomic import write_text

SUMMARY_HTML = "summary.html"

COLUMNS = (
    ("frames", "frames", 0, 1.0),
    ("blur_floor_px", "floor [px]", 2, 1.0),
    ("blur_mae_px", "blur MAE [px]", 2, 1.0),
    ("abs_rel", "AbsRel", 3, 1.0),
    ("delta1", "delta1", 3, 1.0),
    ("coverage", "coverage", 2, 1.0),
    ("abs_rel_constant", "constant", 3, 1.0),
    ("abs_rel_sharp", "sharp input", 3, 1.0),
    ("gain_db", "deblurring [dB]", 2, 1.0),
    ("border_gradient", "borders [%]", 0, 100.0),
    ("plaid_px", "pattern [px]", 3, 1.0),
    ("std_rank_correlation", "std, error", 2, 1.0),
    ("std_rank_correlation_by_depth", "- by depth", 2, 1.0),
)
"""Figure, heading, digits, factor."""


def summary_text(summary: dict[str, Any]) -> str:
    """The table for a terminal."""
    model = summary["model"]
    reads = "the total blur" if model["blur"] == "total" else "the blur of the lens alone"
    lines = [f"{model['name']} ({model['sha256'][:12]}), reads {reads}"]
    rows = [["source", *(heading for _, heading, _, _ in COLUMNS)]]
    rows += [_cells(row) for row in summary["sources"] if "problem" not in row]
    if len(rows) > 1:
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines += [
            "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        ]
    lines += [f"{row['name']}: {row['problem']}" for row in summary["sources"] if "problem" in row]
    for row in summary["sources"]:
        if row.get("response"):
            lines.append(f"{row['name']}, reading over true total blur:")
            lines.append("  " + "  ".join(_response_text(bin_) for bin_ in row["response"]))
            if row.get("against_depth"):
                lines.append("  " + against_depth_text(row["against_depth"]))
    if "blur_chart" in summary:
        lines += ["blur chart, mean absolute error [px] (and over the bound) at blur [px]:"]
        lines += [chart_text(summary["blur_chart"])]
    return "\n".join(lines)


def write_summary_page(path: Path, summary: dict[str, Any]) -> None:
    """Write summary.html, whole or not at all; it links to the reports of the sources beside it."""
    model = summary["model"]
    body = []
    measured = [row for row in summary["sources"] if "problem" not in row]
    if measured:
        cells = []
        for row in measured:
            name, *rest = _cells(row)
            cells.append([f'<a href="{escape(row["report"])}">{escape(name)}</a>', *rest])
        note = (
            "Depth counts beyond the focus distance only. Constant: AbsRel of the best constant depth. Sharp input: "
            "AbsRel of the same model fed the all-in-focus image, which must be worse. Borders: gradient of the blur "
            "map at true borders over the true one. Std, error: their rank correlation."
        )
        table = meter_sections.table(["source", *(heading for _, heading, _, _ in COLUMNS)], cells)
        body.append(section("By source", note, f'<div class="card">{table}</div>'))
    for row in summary["sources"]:
        if "problem" in row:
            body.append(f'<p class="warn">{escape(row["name"])}: {escape(row["problem"])}</p>')
        elif row.get("response"):
            title = f"{escape(row['name'])}: reading against true total blur"
            body.append(section(title, "", meter_sections.response_cards(row)))
    body.append(meter_sections.blur_chart(summary.get("blur_chart")))
    write_text(path, page(f"{model['name']} by source", f"weights {model['sha256'][:12]}", body))


def _response_text(bin_: dict[str, Any]) -> str:
    by_depth = "" if bin_["by_depth"] is None else f", lens and true depth {bin_['by_depth']:.2f}"
    return response_text(bin_, by_depth)


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [row["name"]]
    for key, _, digits, factor in COLUMNS:
        value = row.get(key)
        cells.append("-" if value is None else f"{value * factor:.{digits}f}")
    return cells
