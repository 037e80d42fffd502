# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The frames that a report shows: worst, median and best, run once more so that no image is kept while measuring."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.prediction import Prediction
from dfd_perception.evaluation.opened import OpenedEvaluation
from dfd_perception.evaluation.predictors import matching_prediction
from dfd_perception.evaluation.scoring.frame_scoring import aligned_depth
from dfd_perception.evaluation.sources.frame import EvaluationFrame

SHOWN_OF_EACH = 2


@dataclass(frozen=True, kw_only=True)
class ShownFrame:
    """One frame with everything that can be drawn of it."""

    group: str
    """worst, median, best, sample, or its place where there are few frames."""
    entry: dict[str, Any]
    """Its entry of `per_frame`."""
    image_rgb: NDArray[np.uint8]
    prediction: Prediction
    truth_m: NDArray[np.float32] | None
    """True depth at its own size, NaN where the protocol does not count."""
    error_m: NDArray[np.float32] | None
    """Prediction minus truth, NaN where either is missing."""
    aif: NDArray[np.uint8] | None


def frame_score(entry: dict[str, Any], by_depth: bool) -> float | None:
    """What frames are ranked by, larger is worse: AbsRel, else the PSNR that deblurring lost; None without truth."""
    depth, deblurred = entry.get("depth"), entry.get("deblurred")
    if by_depth:
        return depth["abs_rel"] if depth else None
    if deblurred and deblurred["psnr_db"] is not None and deblurred["input_psnr_db"] is not None:
        return deblurred["input_psnr_db"] - deblurred["psnr_db"]
    return None


def chosen_frames(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Entries of `per_frame` by group; without truth, frames spread over the set."""
    entries = [entry for entry in report["per_frame"] if entry["answered"]]
    scores = [frame_score(entry, "depth" in report) for entry in entries]
    scored = sorted((score, i) for i, score in enumerate(scores) if score is not None and math.isfinite(score))
    if not scored:
        places = {round(share * (len(entries) - 1)) for share in (0, 0.5, 1)} if entries else set()
        return {"sample": [entries[i] for i in sorted(places)]}
    ranked = [entries[i] for _, i in scored]
    if len(ranked) < 3 * SHOWN_OF_EACH:
        return {f"{place} of {len(ranked)}": [entry] for place, entry in enumerate(ranked[::-1], 1)}
    middle = (len(ranked) - SHOWN_OF_EACH) // 2
    return {
        "worst": ranked[: -SHOWN_OF_EACH - 1 : -1],
        "median": ranked[middle : middle + SHOWN_OF_EACH],
        "best": ranked[:SHOWN_OF_EACH],
    }


def images_of(opened: OpenedEvaluation, chosen: dict[str, list[dict[str, Any]]]) -> list[ShownFrame]:
    """Read and run the chosen frames again, in the order of `chosen`."""
    wanted = {(entry["unit"], entry["index"]): (group, entry) for group, entries in chosen.items() for entry in entries}
    shown: dict[tuple[str, int], ShownFrame] = {}
    for source in opened.sources() if wanted else ():
        indices = {index for unit, index in wanted if unit == source.unit}
        for frame in source.reread(indices) if indices else ():
            drawn = _shown(opened, opened.preparation(frame), *wanted[frame.key])
            if drawn is not None:
                shown[frame.key] = drawn
    return [shown[key] for key in wanted if key in shown]


def _shown(
    opened: OpenedEvaluation, prepared: EvaluationFrame, group: str, entry: dict[str, Any]
) -> ShownFrame | None:
    prediction = opened.predictor.predict(prepared)
    if prediction is None:
        return None
    prediction = matching_prediction(prediction, prepared)
    aligned = aligned_depth(prepared, prediction, opened.plan.protocol)
    return ShownFrame(
        group=group,
        entry=entry,
        image_rgb=prepared.defocused,
        prediction=prediction,
        truth_m=prepared.depth_m if aligned is None else aligned.target_m,
        error_m=None if aligned is None else aligned.prediction_m - aligned.target_m,
        aif=prepared.aif,
    )
