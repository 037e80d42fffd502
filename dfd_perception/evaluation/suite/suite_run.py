# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Runs a suite: one evaluation a source, the blur chart, then summary.json and summary.html."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfd_perception.errors import ConfigError, DfdPerceptionError
from dfd_perception.evaluation.blur_chart.measure import measure_chart
from dfd_perception.evaluation.plan import EvaluationPlan
from dfd_perception.evaluation.report.report_json import finite, write_report
from dfd_perception.evaluation.run import begin_anew, evaluate
from dfd_perception.evaluation.scoring.protocol import Protocol
from dfd_perception.evaluation.scoring.rows import require_rows_of
from dfd_perception.evaluation.sources.dataset_source import FrameFilter
from dfd_perception.evaluation.suite.suite_file import Suite, SuiteSource
from dfd_perception.evaluation.suite.summary_page import SUMMARY_HTML, write_summary_page
from dfd_perception.evaluation.worker import rows_folder
from dfd_perception.files.model_folder import ModelFolder, load_model_folder
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions

SUMMARY_JSON = "summary.json"
BASELINES = ("constant", "sharp")

Progress = Callable[[str, int, int], None]
"""Source, frames done, frames in all."""


def run_suite(
    suite: Suite,
    model: str,
    root: Path,
    beside: Path,
    out: Path,
    options: EstimatorOptions | None = None,
    every: int = 1,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Measure a model on every source that is there; what OUT holds of this very suite and model is not repeated.

    Args:
        suite: what.
        model: name or path.
        root: folder that the paths of the sources start from.
        beside: folder that the paths of lens files start from.
        out: new folders and summary.json, summary.html.
        options: how to run the model.
        every: thins every source further.
        progress: told of the frames.
        overwrite: begin anew in OUT.

    Returns:
        Contents of summary.json; a source that is absent or cannot be measured holds `problem` in place of figures.

    Raises:
        ConfigError: nothing of the suite could be measured, or OUT holds figures of another model or suite.
        UsageError: of the model.
    """
    folder = load_model_folder(model)
    options = options or EstimatorOptions()
    plans = [_plan(source, model, root, beside, out, options, every) for source in suite.sources]
    for plan in plans:
        if overwrite:
            begin_anew(plan.out)
        else:
            _require_same(plan, folder)
    rows = [_row(source, plan, progress) for source, plan in zip(suite.sources, plans, strict=True)]
    chart = _chart(folder, options, progress) if suite.chart and folder.card.target == "coc" else None
    if chart is None and all("problem" in row for row in rows):
        lines = "; ".join(f"{row['name']}: {row['problem']}" for row in rows)
        raise ConfigError(f"no source of the suite could be measured: {lines}")
    summary: dict[str, Any] = {
        "model": {"name": folder.name, "sha256": folder.card.weights.sha256, "blur": folder.card.blur},
        "sources": rows,
    }
    if chart is not None:
        summary["blur_chart"] = chart
    summary = finite(summary)
    out.mkdir(parents=True, exist_ok=True)
    write_report(out / SUMMARY_JSON, summary)
    write_summary_page(out / SUMMARY_HTML, summary)
    return summary


def _chart(folder: ModelFolder, options: EstimatorOptions, progress: Progress | None) -> dict[str, Any]:
    estimator = DepthEstimator(folder, options)
    try:
        return measure_chart(
            lambda image: _blur(estimator, image),
            folder.card.blur == "total",
            progress=None if progress is None else lambda done, total: progress("blur chart", done, total),
        )
    finally:
        estimator.close()


def _blur(estimator: DepthEstimator, image: Any) -> Any:
    coc = estimator.predict(image, None, "depth").coc_px
    assert coc is not None
    return coc


def _require_same(plan: EvaluationPlan, model: ModelFolder) -> None:
    """Refuse a folder with rows of another model, data or protocol, whose figures would pass for this one's."""
    try:
        identity = plan.identity(model)
    except DfdPerceptionError:
        return  # a source that cannot be read is told of in its row
    require_rows_of(rows_folder(plan.out), identity)


def _row(source: SuiteSource, plan: EvaluationPlan, progress: Progress | None) -> dict[str, Any]:
    report_progress = None if progress is None else lambda done, total: progress(source.name, done, total)
    try:
        report = evaluate(plan, progress=report_progress)
    except DfdPerceptionError as error:
        return {"name": source.name, "problem": str(error)}
    return {"name": source.name, "report": f"{plan.out.name}/report.html"} | figures(report)


def _plan(
    source: SuiteSource, model: str, root: Path, beside: Path, out: Path, options: EstimatorOptions, every: int
) -> EvaluationPlan:
    protocol = Protocol(edges=False, max_depth_m=source.max_depth_m, clamp=source.clamp)
    if source.min_depth_m is not None:
        protocol = dataclasses.replace(protocol, min_depth_m=source.min_depth_m)
    if source.clamp:
        options = dataclasses.replace(options, depth_min_m=0.0, depth_max_m=float("inf"))
    return EvaluationPlan(
        model=model,
        out=out / source.name.replace("/", "_").replace(" ", "_"),
        data=root / source.data,
        data_kind=source.kind,
        split=source.split,
        lens=None if source.lens is None else beside / source.lens,
        fx_px=source.fx_px,
        floor=source.floor,
        frames=FrameFilter(only=source.only, without=source.without, every=source.every * every),
        estimator=options,
        protocol=protocol,
        baselines=BASELINES,
    )


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """What the table of a suite says of one report; what was not measured is None."""
    depth, defocus, blur = report.get("depth") or {}, report.get("defocus") or {}, report.get("blur_map") or {}
    deblurred, baselines = report.get("deblurred") or {}, report.get("baselines") or {}
    uncertainty = (report.get("calibration") or {}).get("uncertainty") or {}
    pairs = report.get("aperture_pairs") or {}
    floors = [s["blur_floor"]["blur_floor_px"] for s in report["data"]["sources"] if "blur_floor" in s]
    gain = None
    if deblurred.get("psnr_db") is not None and deblurred.get("input_psnr_db") is not None:
        gain = deblurred["psnr_db"] - deblurred["input_psnr_db"]
    return {
        "frames": report["frames"],
        "blur_floor_px": floors[0] if floors else 0.0,
        "blur_mae_px": pairs.get("mae_px", defocus.get("mae")),
        "abs_rel": depth.get("abs_rel"),
        "delta1": depth.get("delta1"),
        "coverage": depth.get("coverage"),
        "abs_rel_constant": _of(baselines, "constant"),
        "abs_rel_sharp": _of(baselines, "sharp"),
        "gain_db": gain,
        "border_gradient": blur.get("border_gradient"),
        "plaid_px": blur.get("plaid_px"),
        "plaid_line": blur.get("plaid_line"),
        "std_rank_correlation": blur.get("std_rank_correlation"),
        "std_rank_correlation_by_depth": blur.get("std_rank_correlation_by_depth"),
        "within_one_std": uncertainty.get("within_one_std"),
        "response": pairs.get("response"),
        "against_depth": pairs.get("against_depth"),
    }


def _of(baselines: dict[str, Any], name: str) -> float | None:
    section = baselines.get(name, {}).get("depth") or {}
    return section.get("abs_rel")
