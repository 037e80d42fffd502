# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""report.json: the figures of one evaluation, in the format of `report_schema.json`.

Everything but the sections `timing` and `run` is the same, bit for bit, whenever the same evaluation is repeated.
"""

from __future__ import annotations

import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

from dfd_perception import __version__
from dfd_perception.errors import DatasetError, reading
from dfd_perception.evaluation.scoring.pooling import PooledSet, latency_summary
from dfd_perception.evaluation.scoring.rows import FrameRow, RowIndex
from dfd_perception.files.atomic import replacing

FORMAT = 1
REPORT_NAME = "report.json"


def figures_of(total: PooledSet) -> dict[str, Any]:
    """The sections of one variant; those without truth are absent."""
    sections: dict[str, Any] = {
        "depth": total.depth(),
        "deblurred": total.deblurred(),
        "defocus": total.defocus(),
        "calibration": total.calibration(),
        "blur_map": total.blur.blur_map(),
        "aperture_pairs": total.blur.aperture_pairs(),
    }
    present = {name: section for name, section in sections.items() if section is not None}
    if "depth" in present:
        present["by_distance"] = total.by_distance()
        if total.coc.any():
            present["by_coc"] = total.by_coc()
    return present


def per_frame(row: FrameRow) -> dict[str, Any]:
    """One frame's entry."""
    entry: dict[str, Any] = {"name": row.name, "unit": row.unit, "index": row.index, "answered": row.answered}
    if row.stamp_ns is not None:
        entry["stamp_ns"] = row.stamp_ns
    for section in ("depth", "deblurred", "defocus"):
        values = getattr(row, section)
        if values is not None:
            entry[section] = values
    if row.log_scale is not None:
        entry["scale"] = row.log_scale[2]
    if row.range_m is not None:
        entry["range_m"] = row.range_m
    if row.answered_fraction is not None:
        entry["answered_fraction"] = row.answered_fraction
    return entry


def build_report(
    total: PooledSet,
    rows: RowIndex,
    model: dict[str, Any],
    data: dict[str, Any],
    protocol: dict[str, Any],
    baselines: dict[str, dict[str, Any]],
    run: dict[str, Any],
) -> dict[str, Any]:
    """Put the report together.

    Args:
        total: the model's rows, folded.
        rows: the same rows, one by one.
        model: its description.
        data: what was read and what was lost.
        protocol: how it was measured.
        baselines: figures by name, as `figures_of`.
        run: when and where.
    """
    latencies, entries = [], []
    for row in rows:
        entries.append(finite(per_frame(row)))
        if row.latency_s:
            latencies.append(row.latency_s)
    answered = sum(entry["answered"] for entry in entries)
    report: dict[str, Any] = {
        "format": FORMAT,
        "frames": total.frames,
        "answered": answered,
        **figures_of(total),
        "timing": {
            "stages": latency_summary({**row, "total": sum(row.values())} for row in latencies),
            "total_ms": [round(sum(row.values()) * 1e3, 3) for row in latencies],
        },
        "model": model,
        "data": data,
        "protocol": protocol,
        "software": {"dfd_perception": __version__},
        "run": run,
    }
    if baselines:
        report["baselines"] = baselines
    # The frames are by far the largest part, and made finite one by one: no second copy of them.
    return finite(report) | {"per_frame": entries}


def finite(value: Any) -> Any:
    """The value with NaN and infinity, which JSON does not have, as null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write, whole or not at all."""
    # Piece by piece: the text of a long bag's frames would take more memory than the frames.
    with replacing(path) as file:
        for piece in json.JSONEncoder(indent=1, allow_nan=False).iterencode(report):
            file.write(piece.encode())
        file.write(b"\n")


def read_report(path: Path) -> dict[str, Any]:
    """Read a report.json, or the one of an evaluation's folder.

    Raises:
        DatasetError: not there, not a report, or of a later format.
    """
    file = path / REPORT_NAME if path.is_dir() else path
    if not file.is_file():
        raise DatasetError(f"{file}: no report; `dfd evaluate --out` writes one")
    with reading(file, DatasetError, "expected a report of `dfd evaluate`"):
        report = json.loads(file.read_text("utf-8"))
    if not isinstance(report, dict) or "format" not in report or "per_frame" not in report:
        raise DatasetError(f"{file}: not a report of `dfd evaluate`; it lacks format and per_frame")
    if report["format"] != FORMAT:
        raise DatasetError(f"{file}: report of format {report['format']}; this version reads {FORMAT}, evaluate again")
    return report


def schema() -> dict[str, Any]:
    """The JSON schema of a report."""
    text = resources.files("dfd_perception.evaluation.report").joinpath("report_schema.json").read_text("utf-8")
    return json.loads(text)
