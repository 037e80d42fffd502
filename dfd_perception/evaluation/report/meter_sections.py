# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sections of report.html about the blur meter itself: response on aperture pairs, borders, pattern, std, chart."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from dfd_perception.core.result import percent
from dfd_perception.errors import counted
from dfd_perception.evaluation.report.charts import Series, chart, nice_axis
from dfd_perception.evaluation.report.report_sections import card, number, section

LARGEST_SHOWN_PX = 10.0
"""Errors of the chart beyond are not drawn: the part that matters would be a flat line."""


def floor_origin(floor: dict[str, Any]) -> str:
    """Where a blur floor comes from, with the frames that it was read off, if any."""
    return f"{floor['origin']} of {counted(floor['frames'], 'frame')}" if floor["frames"] else str(floor["origin"])


def aperture_pairs(report: dict[str, Any]) -> str:
    """Reading against true total blur, as a plot and a table; empty without pairs."""
    pairs = report.get("aperture_pairs")
    return section("Aperture pairs", _pairs_note(pairs), response_cards(pairs)) if pairs else ""


def response_cards(pairs: dict[str, Any]) -> str:
    """The plot and the table of a response."""
    rows = pairs["response"]
    if not rows:
        return '<p class="note">No bin has enough windows.</p>'
    reach = max(max(row["true_px"], row["reading_px"]) for row in rows)
    x = nice_axis("true total blur [px]", [reach])
    y = nice_axis("[px]", [reach])
    lines = [
        Series("reading", [(row["true_px"], row["reading_px"]) for row in rows], "--series-1"),
        Series("mean absolute error", [(row["true_px"], row["mae_px"]) for row in rows], "--series-2"),
        Series("truth", [(0.0, 0.0), (reach, reach)], "--series-3", dashed=True),
    ]
    plot = chart(x, y, lines, title="Reading against true total blur")
    by_blur = _response_table(rows, "disk", "by_depth", "by depth")
    note = "Medians, by disk between the apertures. By depth: what lens and true depth score; the disk errs as well."
    cards = [card("Response", "", plot), card("By blur", note, by_blur)]
    if pairs.get("against_depth"):
        cards.append(_against_depth_card(pairs["against_depth"]))
    return f'<div class="grid2">{"".join(cards)}</div>'


def _against_depth_card(against: dict[str, Any]) -> str:
    """What no measured disk enters: the reading against lens and true depth."""
    note = (
        f"In {counted(against['windows'], 'window')} of known depth the reading errs by "
        f"{number(against['mae_px'], 2)} px, the measured disk by {number(against['disk_mae_px'], 2)} px."
    )
    by_depth = _response_table(against["response"], "by lens and depth", "disk", "disk over true")
    return card("Against lens and true depth", note, by_depth)


def _response_table(rows: list[dict[str, Any]], sorted_by: str, beside: str, beside_heading: str) -> str:
    """A line for each bin; `beside` is the figure that stands next to the response."""
    cells = [
        [
            f"{row['from_px']:g} to {row['to_px']:g} px",
            f"{row['windows']}",
            *(number(row[name], 2) for name in ("true_px", "reading_px", "response", beside, "mae_px")),
        ]
        for row in rows
    ]
    return table([sorted_by, "windows", "true total", "reading", "response", beside_heading, "MAE"], cells)


def blur_map(report: dict[str, Any]) -> str:
    """Borders, pattern and std of the map; empty for a model that reads no blur."""
    figures = report.get("blur_map")
    if not figures:
        return ""
    floors = [s["blur_floor"] | {"unit": s["unit"]} for s in report["data"]["sources"] if "blur_floor" in s]
    rows = [
        ("Gradient at true borders over truth", percent(figures["border_gradient"])),
        ("- of it along the true gradient", percent(figures["border_gradient_along"])),
        ("Pattern of period 8 px: amplitude", number(figures["plaid_px"], 3, " px")),
        ("- its spectral line over the neighbourhood", number(figures["plaid_line"], 1)),
        ("Rank correlation of std and error", number(figures["std_rank_correlation"], 2)),
        ("- within bins of true depth", number(figures["std_rank_correlation_by_depth"], 2)),
    ]
    rows += [
        (
            f"Blur floor of {escape(floor['unit'])}",
            f"{floor['blur_floor_px']:.2f} px ({escape(floor_origin(floor))})",
        )
        for floor in floors
    ]
    body = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return section("Blur map", "", f'<div class="card"><dl>{body}</dl></div>')


def blur_chart(chart_section: dict[str, Any] | None) -> str:
    """Error against blur for each column of the chart, with the bound."""
    if not chart_section:
        return ""
    cards = []
    for column in chart_section["columns"]:
        rows = column["rows"]
        x = nice_axis("blur of the disk [px]", [row["coc_px"] for row in rows])
        shown = [(row["coc_px"], row["mae_px"]) for row in rows if row["mae_px"] <= LARGEST_SHOWN_PX]
        y = nice_axis("error [px]", [LARGEST_SHOWN_PX if len(shown) < len(rows) else max(e for _, e in shown)])
        lines = [
            Series("mean absolute error", shown, "--series-1"),
            Series("bound of one 21 px patch", [(row["coc_px"], row["bound_px"]) for row in rows], "--series-3", True),
        ]
        bands = ", ".join(
            f"{band['from_px']:g} to {band['to_px']:g} px: {number(band['mae_px'], 2, ' px')}"
            for band in column["bands"]
        )
        beyond = [f"{row['coc_px']:g}" for row in rows if row["mae_px"] > LARGEST_SHOWN_PX]
        note = f"Sharp planes read {column['sharp_reads_px']:.2f} px. Mean absolute error {bands}."
        if beyond:
            note += f" More than {LARGEST_SHOWN_PX:g} px off at {', '.join(beyond)} px."
        cards.append(
            f'<div class="card"><h3>{escape(column["name"])}</h3><p class="note">{note}</p>'
            f"{chart(x, y, lines, title=column['name'])}</div>"
        )
    note = (
        "Plain planes of known blur. The bound is what the Fisher information of one patch of 21 x 21 pixels (or 21 "
        "rows of one edge) allows; a meter that gathers more of the plane may be better, a biased one is worse."
    )
    return section("Blur chart", note, f'<div class="grid2">{"".join(cards)}</div>')


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls in its box; cells are HTML."""
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    rows_of = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="figures">{rows_of}</table></div>'


def _pairs_note(pairs: dict[str, Any]) -> str:
    return (
        f"{counted(pairs['pairs'], 'pair')}, {counted(pairs['windows'], 'window')} with texture: mean absolute "
        f"error {pairs['mae_px']:.2f} px, correlation {number(pairs['correlation'], 2)}. The truth is the disk "
        "between the two apertures, the small aperture's own blur and the blur floor in quadrature."
    )
