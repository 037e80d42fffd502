# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Show what a session or dataset folder holds, and draw a sheet by which its registration is judged.

The sheet shows the edges of the depth on the image, in red. In a good registration they run along the edges of the
objects; the offset is also measured and printed. A session that was not registered yet, or as
sharp images for synthesis, is listed without a sheet.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dfd_perception.errors import counted

FRAMES_SHOWN = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dfd inspect`."""
    parser.add_argument("folder", type=Path, metavar="SESSION", help="recorded session or dataset folder")
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="the sheet (default: SESSION/overlay.png)")
    parser.add_argument("--frames", type=int, default=FRAMES_SHOWN, metavar="N",
                        help="frames on the sheet (default: 4)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(args: argparse.Namespace) -> int:
    """Inspect; exit code 0 when the folder is readable."""
    from dfd_perception.datasets.folder import DESCRIPTION_NAME
    from dfd_perception.errors import DatasetError
    from dfd_perception.groundtruth.session import DESCRIPTION_NAME as SESSION_NAME
    from dfd_perception.groundtruth.session import RAW

    recorded = (args.folder / RAW / SESSION_NAME).is_file()
    registered = (args.folder / DESCRIPTION_NAME).is_file()
    if not recorded and not registered:
        raise DatasetError(
            f"{args.folder} holds neither {RAW}/{SESSION_NAME} nor {DESCRIPTION_NAME}; expected a session of the "
            "recorder or of dfd ingest, or a dataset folder"
        )
    report: dict[str, Any] = {"folder": str(args.folder)}
    if recorded:
        report["recorded"] = _recorded(args.folder)
    if registered:
        report["registered"] = _registered(args.folder, args.out or args.folder / "overlay.png", args.frames)
    if args.json:
        print(json.dumps(report))
    else:
        print("\n".join(lines_of(report)))
        if not registered and (args.folder / "rgb").is_dir():
            print(f"registered  sharp images; to blur them: dfd synthesize {args.folder} --lens LENS.yaml --out DIR")
        elif not registered:
            print(f"not registered yet: dfd register {args.folder}")
    return 0


def lines_of(report: dict[str, Any]) -> Iterator[str]:
    """What was found, in words."""
    if recorded := report.get("recorded"):
        moments = counted(recorded["moments"], "moment")
        yield f"recorded    {moments} of {recorded['source']}: {', '.join(recorded['parts'])}"
        if "offset_ms_median" in recorded:
            median, largest = recorded["offset_ms_median"], recorded["offset_ms_largest"]
            yield f"            between the two frames of a pair: {median:g} ms (median), {largest:g} ms at most"
        counts = recorded["counts"]
        yield f"            counts: {counts if isinstance(counts, str) else _counts_text(counts)}"
    if registered := report.get("registered"):
        yield f"registered  {counted(registered['frames'], 'frame')}"
        offsets = registered["edge_offsets_px"]
        measured = [f"{offset[0]:+d}, {offset[1]:+d}" for offset in offsets if offset is not None]
        if offsets:
            text = f"{'; '.join(measured)} px" if measured else "too few edges to measure"
            yield f"            edges of the image beside those of the depth: {text}"
        if "sheet" in registered:
            yield f"            look at {registered['sheet']}"


def _counts_text(counts: Mapping[str, Any]) -> str:
    """What was counted, without what never came; tables (of offsets) are for --json."""
    shown = {name: value for name, value in counts.items() if value and not isinstance(value, list)}
    words = {name: f"{value:g}" if isinstance(value, float) else value for name, value in shown.items()}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in words.items())


def _recorded(folder: Path) -> dict[str, Any]:
    from dfd_perception.groundtruth.session import RAW, SessionDescription
    from dfd_perception.groundtruth.session_index import INDEX_NAME, read_index

    description = SessionDescription.read(folder)
    rows = read_index(folder / RAW / INDEX_NAME)
    offsets = sorted(abs(row.offset_ms) for row in rows if row.offset_ms is not None)
    report: dict[str, Any] = {"source": description.source, "moments": len(rows), "parts": list(description.parts)}
    if offsets:
        report["offset_ms_median"] = round(offsets[len(offsets) // 2], 3)
        report["offset_ms_largest"] = round(offsets[-1], 3)
    report["counts"] = description.counts or "none: the recording did not end in order; dfd register rebuilds its index"
    return report


def _registered(folder: Path, out: Path, frames: int) -> dict[str, Any]:
    import numpy as np

    from dfd_perception.datasets.depth_units import unit_lines_of
    from dfd_perception.datasets.folder import open_folder
    from dfd_perception.datasets.sample import spread_over
    from dfd_perception.files.images import write_png
    from dfd_perception.groundtruth.rig.overlay import edge_offset, overlay, sheet

    dataset = open_folder(folder)
    unit = unit_lines_of(dataset, "depth_unit_m in dataset.yaml, or --depth-unit")
    overlays, titles, offsets = [], [], []
    for index in spread_over(len(dataset), max(1, frames)):
        sample = dataset[index]
        if sample.depth_m is None:
            continue
        offset = edge_offset(sample.defocused, sample.depth_m)
        offsets.append([offset.dx, offset.dy] if offset else None)
        edges = f"edges {offset.dx:+d}, {offset.dy:+d} px beside the depth's" if offset else "too few edges to measure"
        valid = np.isfinite(sample.depth_m)
        overlays.append(overlay(sample.defocused, sample.depth_m))
        titles.append(f"{sample.name}   depth on {valid.mean():.1%}   {edges}")
    report: dict[str, Any] = {"frames": len(dataset), "edge_offsets_px": offsets}
    if dataset.depth_unit is not None and dataset.frames[0].depth is not None:
        report["depth_unit_m"] = dataset.depth_unit.metres_per_count
        report |= {"depth_unit": " ".join(unit)} if unit else {}
    if overlays:
        write_png(out, sheet(overlays, titles))
        report["sheet"] = str(out)
    return report
