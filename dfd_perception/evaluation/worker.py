# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One worker's share of an evaluation: frames in, rows on disk out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfd_perception.errors import DatasetError
from dfd_perception.evaluation.plan import EvaluationPlan
from dfd_perception.evaluation.predictors import (
    ClassicalPredictor,
    ModelPredictor,
    Predictor,
    SharpPredictor,
    matching_prediction,
)
from dfd_perception.evaluation.preparation import Preparation
from dfd_perception.evaluation.result_bag import RecordedPredictor, ResultBag
from dfd_perception.evaluation.scoring.floors import SourceFloor, fitted_floor
from dfd_perception.evaluation.scoring.frame_scoring import score_frame
from dfd_perception.evaluation.scoring.rows import FrameRow, RowFile, require_identity, scan_rows
from dfd_perception.evaluation.sources.frame import EvaluationFrame, FrameSource
from dfd_perception.files.atomic import write_text
from dfd_perception.inference.estimator import DepthEstimator

Progress = Callable[[int, int], None]
"""Frames done, frames in all."""


def rows_folder(out: Path) -> Path:
    """Where the rows of an evaluation lie."""
    return out / "rows"


def run_share(plan: EvaluationPlan, share: tuple[int, int] = (0, 1), progress: Progress | None = None) -> None:
    """Evaluate a share and leave its rows and its summary in OUT/rows; frames that have rows already are not repeated.

    Raises:
        UsageError: of plan, model or data.
    """
    plan.require_inputs()
    model = plan.opened_model()
    folder = rows_folder(plan.out)
    name = f"{share[0]}-of-{share[1]}"
    done_file = folder / f"{name}.done.json"
    identity = plan.identity(model)
    rows = RowFile(folder / f"{name}.jsonl", identity)
    # Another division of the work may have done some of it.
    for other in folder.glob("*.jsonl"):
        if other != rows.path:
            keys = [key for key, _, _ in scan_rows(other)]
            if keys:  # one without rows is of an evaluation that never began
                with other.open("rb") as file:
                    require_identity(other, file.readline(), identity)
            rows.done.update(keys)
    estimator = DepthEstimator(model, plan.estimator)
    predictors = _predictors(plan, estimator)
    before = json.loads(done_file.read_text("utf-8")) if done_file.is_file() else {}
    summary: dict[str, Any] = {"sources": [], "runtime": before.get("runtime")}
    finished = 0
    known = {source["unit"]: source for source in before.get("sources", [])}
    preparation = plan.preparation(model, before.get("sources", []))
    try:
        for source in plan.sources(model, share):
            try:
                floor = known.get(source.unit, {}).get("blur_floor") or _floor(plan, source, estimator, preparation)
                size = _run_source(plan, source, predictors, rows, preparation, _after(finished, progress))
                finished += len(source)
                summary["sources"].append(_described(source.description(), known.get(source.unit, {}), floor))
            finally:
                source.close()
            if size is not None and isinstance(predictors[0], ModelPredictor):
                summary["runtime"] = predictors[0].runtime(size)
    finally:
        rows.close()
        estimator.close()
        if isinstance(predictors[0], RecordedPredictor):
            predictors[0].close()
    write_text(done_file, json.dumps(summary))


def _described(description: dict[str, Any], earlier: dict[str, Any], floor: dict[str, Any] | None) -> dict[str, Any]:
    """A source's description with the floor that was fitted, in its lens too."""
    if description.get("lens") is None:  # nothing was left to read: what an earlier sitting saw holds
        description["lens"] = earlier.get("lens")
    if floor is None:
        return description
    lens = description["lens"]
    if lens is not None and lens.get("origin") is not None:
        description["lens"] = lens | {"blur_floor_px": floor["blur_floor_px"]}
    return description | {"blur_floor": floor}


def _floor(
    plan: EvaluationPlan, source: FrameSource, estimator: DepthEstimator, preparation: Preparation
) -> dict[str, Any] | None:
    """Fit the source's blur floor where the plan wants it, tell the preparation, and return its description."""
    card = estimator.model.card
    if not plan.fits_floor(estimator.model):
        return None
    fitted = fitted_floor(source, estimator, preparation, source.all_frames)
    if fitted is None:
        typical = card.typical_floor_px
        fitted = SourceFloor(even_px=typical, odd_px=typical, frames=0, origin="model card: no two frames tell")
    preparation.floors[source.unit] = fitted
    return fitted.described()


def _after(finished: int, progress: Progress | None) -> Progress | None:
    """The progress of a source that comes after others."""
    if progress is None:
        return None
    return lambda done, total: progress(finished + done, finished + total)


def _predictors(plan: EvaluationPlan, estimator: DepthEstimator) -> list[Predictor]:
    first: Predictor = ModelPredictor(estimator) if plan.predictions is None else RecordedPredictor(plan.predictions)
    predictors: list[Predictor] = [first]
    if "sharp" in plan.baselines:
        predictors.append(SharpPredictor(estimator))
    if "classical" in plan.baselines:
        predictors.append(ClassicalPredictor(plan.protocol.max_depth_m))
    return predictors


def _run_source(
    plan: EvaluationPlan,
    source: FrameSource,
    predictors: list[Predictor],
    rows: RowFile,
    preparation: Preparation,
    progress: Progress | None,
) -> tuple[int, int] | None:
    skip = {index for variant, unit, index in rows.done if unit == source.unit and variant == "model"}
    total = len(source)
    result = _result_bag(plan, source, skip)
    size: tuple[int, int] | None = None
    done = min(len(skip), total)
    if progress:
        progress(done, total)
    try:
        for frame in source.frames(skip):
            prepared = preparation(frame)
            size = (prepared.image_rgb.shape[0], prepared.image_rgb.shape[1])
            rows.add(_rows_of(plan, prepared, predictors, result))
            done += 1
            if progress:
                progress(done, total)
    finally:
        if result is not None:
            result.close()
    if total and not done:
        raise DatasetError(f"{source.unit}: no frame could be evaluated; {_losses(source)}")
    return size


def _rows_of(
    plan: EvaluationPlan, frame: EvaluationFrame, predictors: list[Predictor], result: ResultBag | None
) -> list[FrameRow]:
    found = []
    for predictor in predictors:
        prediction = predictor.predict(frame)
        if prediction is None:
            if predictor.variant == "model":
                found.append(FrameRow(variant="model", unit=frame.unit, index=frame.index, name=frame.name,
                                      stamp_ns=frame.stamp_ns))  # fmt: skip
            continue
        if result is not None and predictor.variant == "model":
            result.add(frame, prediction)
        wants_truth = predictor.variant == "model" and "constant" in plan.baselines
        fitted = matching_prediction(prediction, frame)
        row = score_frame(frame, fitted, plan.protocol, predictor.variant, wants_truth)
        row.answered = True
        found.append(row)
    return found


def _result_bag(plan: EvaluationPlan, source: FrameSource, skip: set[int]) -> ResultBag | None:
    if not plan.write_bag:
        return None
    path = plan.out / f"results_{source.unit.replace('/', '_')}"
    if skip:
        raise DatasetError(
            f"{plan.out}: a bag of results is written in one go, and {len(skip)} frames were evaluated before; "
            "--overwrite begins anew"
        )
    return ResultBag(path)


def _losses(source: FrameSource) -> str:
    description = source.description()
    return "; ".join(description["lost"]) or f"it has {description['pictures']} images"
