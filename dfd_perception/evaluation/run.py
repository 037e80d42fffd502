# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A whole evaluation: shares in one or several processes or machines, then one report by whoever ends last.

What a running node answered is scored like an offline evaluation.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dfd_perception.errors import ConfigError
from dfd_perception.evaluation.opened import OpenedEvaluation
from dfd_perception.evaluation.plan import EvaluationPlan
from dfd_perception.evaluation.predictors import BASELINES, ConstantPredictor, described_model
from dfd_perception.evaluation.report.image_panels import chosen_frames, images_of
from dfd_perception.evaluation.report.report_html import HTML_NAME, write_html
from dfd_perception.evaluation.report.report_json import REPORT_NAME, build_report, figures_of, write_report
from dfd_perception.evaluation.scoring.frame_scoring import score_frame
from dfd_perception.evaluation.scoring.pooling import best_constant_m, pooled
from dfd_perception.evaluation.scoring.rows import RowFile, RowIndex, variants_of
from dfd_perception.evaluation.shares import run_in_processes
from dfd_perception.evaluation.sources.frame import lens_of_report
from dfd_perception.evaluation.worker import Progress, rows_folder, run_share

CONSTANT_ROWS = "constant/rows.jsonl"


def evaluate(
    plan: EvaluationPlan,
    workers: int = 1,
    progress: Progress | None = None,
    live: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluate here, in `workers` processes, and write the report.

    Args:
        plan: what.
        workers: processes.
        progress: told of the frames.
        live: counts of a running node, for the report.

    Raises:
        UsageError: of plan, model or data.
    """
    if workers < 1:
        raise ConfigError(f"workers is {workers}; expected 1 process or more")
    started = time.time()
    if workers > 1:
        run_in_processes(plan, workers, progress)
    with OpenedEvaluation(plan) as opened:
        if workers == 1:
            run_share(opened, (0, 1), progress)
        return finish(opened, workers, time.time() - started, live)


def evaluate_share(
    plan: EvaluationPlan, share: tuple[int, int], progress: Progress | None = None
) -> dict[str, Any] | None:
    """Evaluate share (i, n), several of which run at once on machines that see the same OUT.

    Returns:
        The report, in the one process that ends last and writes it; None in the others.
    """
    started = time.time()
    with OpenedEvaluation(plan) as opened:
        run_share(opened, share, progress)
        folder = rows_folder(plan.out)
        if not all((folder / f"{i}-of-{share[1]}.done.json").is_file() for i in range(share[1])):
            return None
        try:
            # Two that end at the same moment both see all shares; only one can create the file.
            os.close(os.open(folder / f"report-of-{share[1]}.lock", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return None
        return finish(opened, share[1], time.time() - started)


def begin_anew(out: Path) -> None:
    """Remove what earlier evaluations left in OUT, and nothing else."""
    shutil.rmtree(rows_folder(out), ignore_errors=True)
    for name in (REPORT_NAME, HTML_NAME):
        (out / name).unlink(missing_ok=True)
    for results in out.glob("results_*"):
        shutil.rmtree(results)


def finish(
    opened: OpenedEvaluation, shares: int, duration_s: float, live: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Fold all rows into report.json and report.html."""
    plan = opened.plan
    folder = rows_folder(plan.out)
    summaries = [json.loads((folder / f"{i}-of-{shares}.done.json").read_text("utf-8")) for i in range(shares)]
    sources = _sources(plan, summaries)
    units = [source["unit"] for source in sources]
    opened.preparation.add_floors(sources)
    rows = RowIndex(sorted(folder.rglob("*.jsonl")), "model", units)
    total = pooled(rows)
    constant_m = best_constant_m(total.truth) if "constant" in plan.baselines and total.truth.any() else None
    if constant_m is not None:
        _run_constant(opened, constant_m)
    described = described_model(opened.model, plan.estimator)
    described |= next((s["runtime"] for s in summaries if s["runtime"]), {})
    report = build_report(
        total,
        rows,
        described,
        {"sources": sources},
        plan.protocol.described(),
        _baselines(plan, sorted(folder.rglob("*.jsonl")), units, constant_m),
        {
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(duration_s, 3),
            "workers": shares,
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}",
        },
    )
    report["lens"] = lens_of_report(report["data"]["sources"])
    if live is not None:
        report["timing"]["live"] = live
    write_report(plan.out / REPORT_NAME, report)
    write_html(plan.out / HTML_NAME, report, images_of(opened, chosen_frames(report)), plan.depth_range_m)
    return report


def _sources(plan: EvaluationPlan, summaries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order of the evaluation; a data set that several workers shared is one source."""
    by_unit = {source["unit"]: source for summary in summaries for source in summary["sources"]}
    order = plan.units() or list(by_unit)
    return [by_unit[unit] for unit in order if unit in by_unit]


def _baselines(
    plan: EvaluationPlan, files: list[Path], units: list[str], constant_m: float | None
) -> dict[str, dict[str, Any]]:
    sections: dict[str, dict[str, Any]] = {}
    for variant in variants_of(files):
        if variant == "model" or variant not in plan.baselines:
            continue
        figures: dict[str, Any] = {"meaning": BASELINES[variant]}
        if variant == "constant" and constant_m is not None:
            figures["depth_m"] = constant_m
        sections[variant] = figures | figures_of(pooled(RowIndex(files, variant, units)))
    return sections


def _run_constant(opened: OpenedEvaluation, depth_m: float) -> None:
    """Score the constant: the only baseline that needs the truth of all frames before its first."""
    protocol = opened.plan.protocol
    path = rows_folder(opened.plan.out) / CONSTANT_ROWS
    path.unlink(missing_ok=True)
    rows = RowFile(path, opened.identity | {"constant_m": depth_m})
    predictor = ConstantPredictor(depth_m)
    try:
        for source in opened.sources():
            for frame in source.frames():
                prepared = opened.preparation(frame)
                rows.add([score_frame(prepared, predictor.predict(prepared), protocol, predictor.variant)])
    finally:
        rows.close()


@dataclass
class LivePlayed:
    """What became of the images that were played to a running node."""

    sent: int = 0
    answered: int = 0
    """Images with at least one answer."""
    messages: dict[str, int] = field(default_factory=dict)
    """Answers by topic."""


def evaluate_answers(
    plan: EvaluationPlan, answers: Path, played: LivePlayed, progress: Progress | None = None
) -> dict[str, Any]:
    """The report of a bag of answers; images without one lower `answered`, and count as dropped.

    Args:
        plan: as for an offline evaluation of the bag that was played.
        answers: bag of results.
        played: from playing.
        progress: told of the frames.
    """
    live = {
        "sent": played.sent,
        "answered": played.answered,
        "dropped": max(0, played.sent - played.answered),
        "coverage": played.answered / played.sent if played.sent else 0.0,
        "messages": played.messages,
    }
    return evaluate(replace(plan, predictions=answers), progress=progress, live=live)
