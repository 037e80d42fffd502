# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Put reports side by side: paired differences to the first, with 95 % confidence intervals.

With bounds it is a gate: exit 1 when a figure breaks one. One report and --max is enough for a robot's own check:

    dfd evaluate --bag board.mcap --model M --lens LENS.yaml --board-distance 1.20 --max-frames 50 --out today
    dfd compare today --max depth.mae_m=0.03 --min depth.coverage=0.95
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfd_perception.evaluation.report.run_comparison import Difference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd compare`."""
    parser.add_argument(
        "reports", type=Path, nargs="+", metavar="REPORT", help="report.json, or the folder that holds it"
    )
    parser.add_argument("--max", action="append", default=[], metavar="NAME=X",
                        help="fail when a figure, such as depth.abs_rel, is above X in the last report")  # fmt: skip
    parser.add_argument("--min", action="append", default=[], metavar="NAME=X",
                        help="fail when a figure, such as depth.delta1, is below X in the last report")  # fmt: skip
    parser.add_argument("--max-worse", action="append", default=[], metavar="NAME=X",
                        help="fail when the last report's figure is worse than the first's by more than X")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the differences as JSON")


def run(args: argparse.Namespace) -> int:
    """Compare, print, and judge the bounds."""
    from dfd_perception.errors import ConfigError
    from dfd_perception.evaluation.report.report_json import read_report
    from dfd_perception.evaluation.report.run_comparison import compare_reports, parse_bound

    bounds = [
        *(parse_bound(text, "max") for text in args.max),
        *(parse_bound(text, "min") for text in args.min),
        *(parse_bound(text, "worse") for text in args.max_worse),
    ]
    if len(args.reports) == 1 and (not bounds or args.max_worse):
        raise ConfigError("one report has nothing to be compared with; give a second one, or bounds by --max and --min")
    compared = compare_reports(args.reports) if len(args.reports) > 1 else []
    first, last = read_report(args.reports[0]), read_report(args.reports[-1])
    failures = [failure for bound in bounds if (failure := bound.failure(last, first)) is not None]
    if args.json:
        print(json.dumps(_as_mapping(args.reports, compared, failures), indent=1))
    else:
        _print(args.reports, compared)
    for failure in failures:
        print(f"dfd: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _as_mapping(paths: list[Path], compared: list[list[Difference]], failures: list[str]) -> dict[str, Any]:
    from dfd_perception.evaluation.report.report_json import finite

    return {
        "first": str(paths[0]),
        "compared": [
            {"report": str(path), "differences": [finite(d._asdict() | {"verdict": d.verdict}) for d in rows]}
            for path, rows in zip(paths[1:], compared, strict=True)
        ],
        "broken_bounds": failures,
    }


def _print(paths: list[Path], compared: list[list[Difference]]) -> None:
    from dfd_perception.evaluation.report.run_comparison import FEWEST_FRAMES

    for path, rows in zip(paths[1:], compared, strict=True):
        frames = rows[0].frames if rows else 0
        print(f"{path} against {paths[0]}, means of images, {frames} frame{'' if frames == 1 else 's'} in common")
        if rows and frames < FEWEST_FRAMES:
            print(f"  too few frames for a verdict (fewer than {FEWEST_FRAMES}): differences without an interval")
        for d in rows:
            line = f"  {d.metric:<19} {d.first:10.4g} -> {d.this:10.4g}   {d.difference:+.4g}"
            if d.frames >= FEWEST_FRAMES:
                line += f" [{d.low:+.4g}, {d.high:+.4g}]  {d.verdict}"
            print(line)
