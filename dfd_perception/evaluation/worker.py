# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One worker's share of an evaluation: frames in, rows on disk out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfd_perception.core.size import Size
from dfd_perception.errors import DatasetError, counted
from dfd_perception.evaluation.opened import OpenedEvaluation
from dfd_perception.evaluation.plan import EvaluationPlan
from dfd_perception.evaluation.predictors import ModelPredictor
from dfd_perception.evaluation.preparation import SourceFloor, fitted_floor
from dfd_perception.evaluation.result_bag import ResultBag
from dfd_perception.evaluation.scoring.frame_scoring import score_frame
from dfd_perception.evaluation.scoring.rows import FrameRow, RowFile, require_identity, scan_rows
from dfd_perception.evaluation.sources.frame import EvaluationFrame, FrameSource
from dfd_perception.files.atomic import write_text

Progress = Callable[[int, int], None]
"""Frames done, frames in all."""


def rows_folder(out: Path) -> Path:
    """Where the rows of an evaluation lie."""
    return out / "rows"


def run_share(opened: OpenedEvaluation, share: tuple[int, int] = (0, 1), progress: Progress | None = None) -> None:
    """Evaluate a share and leave its rows and its summary in OUT/rows; frames that have rows already are not repeated.

    Raises:
        UsageError: of data.
    """
    folder = rows_folder(opened.plan.out)
    name = f"{share[0]}-of-{share[1]}"
    done_file = folder / f"{name}.done.json"
    rows = RowFile(folder / f"{name}.jsonl", opened.identity)
    _skip_rows_of_others(rows, opened.identity)
    before = json.loads(done_file.read_text("utf-8")) if done_file.is_file() else {}
    summary: dict[str, Any] = {"sources": [], "runtime": before.get("runtime")}
    finished = 0
    known = {source["unit"]: source for source in before.get("sources", [])}
    opened.preparation.add_floors(before.get("sources", []))
    try:
        for source in opened.sources(share):
            floor = known.get(source.unit, {}).get("blur_floor") or _floor(opened, source)
            size = _run_source(opened, source, rows, finished, progress)
            finished += len(source)
            summary["sources"].append(_described(source.description(), known.get(source.unit, {}), floor))
            if size is not None and isinstance(opened.predictor, ModelPredictor):
                summary["runtime"] = opened.predictor.runtime(size)
    finally:
        rows.close()
    write_text(done_file, json.dumps(summary))


def _skip_rows_of_others(rows: RowFile, identity: dict[str, Any]) -> None:
    """Another division of the work may have done some of it."""
    for other in rows.path.parent.glob("*.jsonl"):
        if other != rows.path:
            keys = [key for key, _, _ in scan_rows(other)]
            if keys:  # one without rows is of an evaluation that never began
                with other.open("rb") as file:
                    require_identity(other, file.readline(), identity)
            rows.done.update(keys)


def _described(description: dict[str, Any], earlier: dict[str, Any], floor: dict[str, Any] | None) -> dict[str, Any]:
    """A source's description with the floor that was fitted, in its lens too."""
    if description.get("lens") is None:  # nothing was left to read: what an earlier run saw holds
        description["lens"] = earlier.get("lens")
    if floor is None:
        return description
    lens = description["lens"]
    if lens is not None and lens.get("origin") is not None:
        description["lens"] = lens | {"blur_floor_px": floor["blur_floor_px"]}
    return description | {"blur_floor": floor}


def _floor(opened: OpenedEvaluation, source: FrameSource) -> dict[str, Any] | None:
    """Fit the source's blur floor where the plan wants it, tell the preparation, and return its description."""
    if not opened.fits_floor:
        return None
    fitted = fitted_floor(source, opened.estimator, opened.preparation, source.all_frames)
    if fitted is None:
        typical = opened.model.card.typical_floor_px
        fitted = SourceFloor(even_px=typical, odd_px=typical, frames=0, origin="model card: no two frames tell")
    opened.preparation.floors[source.unit] = fitted
    return fitted.described()


def _run_source(
    opened: OpenedEvaluation, source: FrameSource, rows: RowFile, finished: int, progress: Progress | None
) -> Size | None:
    """Every frame of a source through predictors and scoring; the size of the last. `finished`: frames before it."""
    skip = {index for variant, unit, index in rows.done if unit == source.unit and variant == "model"}
    total = len(source)
    result = _result_bag(opened.plan, source, skip)
    size: Size | None = None
    done = min(len(skip), total)
    if progress:
        progress(finished + done, finished + total)
    try:
        for frame in source.frames(skip):
            prepared = opened.preparation(frame)
            size = prepared.size
            rows.add(_rows_of(opened, prepared, result))
            done += 1
            if progress:
                progress(finished + done, finished + total)
    finally:
        if result is not None:
            result.close()
    if total and not done:
        description = source.description()
        why = "; ".join(description["lost"]) or f"it has {counted(description['pictures'], 'image')}"
        raise DatasetError(f"{source.unit}: no frame could be evaluated; {why}")
    return size


def _rows_of(opened: OpenedEvaluation, frame: EvaluationFrame, result: ResultBag | None) -> list[FrameRow]:
    """The rows of one frame: the model's first, then those of the baselines that answered."""
    plan = opened.plan
    prediction = opened.predictor.predict(frame)
    if prediction is None:
        row = FrameRow(variant="model", unit=frame.unit, index=frame.index, name=frame.name, stamp_ns=frame.stamp_ns)
        rows = [row]
    else:
        if result is not None:
            result.add(frame, prediction)
        rows = [score_frame(frame, prediction, plan.protocol, "model", "constant" in plan.baselines)]
    for baseline in opened.baselines:
        prediction = baseline.predict(frame)
        if prediction is not None:
            rows.append(score_frame(frame, prediction, plan.protocol, baseline.variant))
    return rows


def _result_bag(plan: EvaluationPlan, source: FrameSource, skip: set[int]) -> ResultBag | None:
    if not plan.write_bag:
        return None
    path = plan.out / f"results_{source.unit.replace('/', '_')}"
    if skip:
        raise DatasetError(
            f"{plan.out}: a bag of results is written in one go, and would lack {counted(len(skip), 'frame')} that an "
            "earlier run evaluated; --overwrite begins anew"
        )
    return ResultBag(path)
