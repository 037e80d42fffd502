# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What `dfd predict` reports: lines on the sheets, JSON, and the exit code."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dfd_perception.errors import counted, without_controls

if TYPE_CHECKING:
    from dfd_perception.core.result import Result, ResultSummary
    from dfd_perception.meter import Meter

EXIT_FAILED, EXIT_BAD_INPUT = 1, 2


class Done(NamedTuple):
    """An image and what came of it; not its maps, of which many images would fill the memory."""

    name: str
    files: list[str]
    summary: ResultSummary
    backend: str
    latency_s: dict[str, float]


def sheet_facts(meter: Meter, name: str, result: Result) -> list[str]:
    """Lines of the sheet's last cell."""
    from dfd_perception.core.result import percent

    lines = [Path(name).name, f"model {meter.model.name}"]
    if result.curve is not None:
        lens = result.curve
        lines.append(f"lens: {lens.gain_px_per_dioptre:.1f} px per dioptre")
        lines.append(f"focus {lens.focus_distance_m:g} m, scene on the {lens.side} side")
    figures = result.summary()
    if figures.median_depth_m is not None:
        span = f"{figures.near_depth_m:.2f} to {figures.far_depth_m:.2f} m"
        lines.append(f"median {figures.median_depth_m:.2f} m ({span})")
    if figures.depth_share is not None:
        lines.append(f"{percent(figures.depth_share)} of the image has depth")
    if figures.near_focus_share is not None:
        lines.append(f"{percent(figures.near_focus_share)} near focus: depth unresolved")
    return lines


def finish(
    args: argparse.Namespace, meter: Meter, done: list[Done], failures: list[str], videos: list[dict[str, Any]]
) -> int:
    """Say what came of it all; returns the exit code."""
    empty = [item.name for item in done if item.summary.depth_share == 0]
    if args.json:
        images = [
            {
                "image": item.name,
                "files": item.files,
                **_rounded(asdict(item.summary)),
                "backend": item.backend,
                "latency_ms": {stage: round(s * 1e3, 2) for stage, s in item.latency_s.items()},
            }
            for item in done
        ]
        report = {"model": str(meter.model.path), "notes": meter.notes, "images": images, "failed": failures}
        report |= {"videos": videos} if videos else {}
        print(json.dumps(report, indent=2))
    elif done:
        counts = counted(len(done), "image") + (f", {len(failures)} failed" if failures else "")
        sheet = next(name for name in done[0].files if name.endswith("_sheet.png"))
        like = " and its like" if len(done) > 1 else ""
        print(without_controls(f"{counts}; results in {args.out}; look at {sheet}{like}"))
    if empty:
        names = without_controls(", ".join(empty[:3])) + (" and more" if len(empty) > 3 else "")
        print(
            f"warning: no pixel of {names} has depth: every reading is outside of the lens' range or of --min-m to "
            "--max-m; are the lens' numbers those of the image?",
            file=sys.stderr,
        )
    if failures:
        return EXIT_BAD_INPUT
    return EXIT_FAILED if empty else 0


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
