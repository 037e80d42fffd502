# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The frames that a report shows, and their panels: input, prediction, truth and error.

Worst, median and best are run once more, so that no image is kept while measuring. Colours mean the same in all.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import ColourScale, blur_scale, fixed_depth_scale, scene_depth_scale
from dfd_perception.core.image_bytes import jpeg_bytes
from dfd_perception.core.prediction import Prediction
from dfd_perception.evaluation.opened import OpenedEvaluation
from dfd_perception.evaluation.scoring.frame_scoring import aligned_depth
from dfd_perception.evaluation.scoring.protocol import prediction_at
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


def _shown(opened: OpenedEvaluation, prepared: EvaluationFrame, group: str, entry: dict[str, Any]) -> ShownFrame | None:
    prediction = opened.predictor.predict(prepared)
    if prediction is None:
        return None
    prediction = prediction_at(prediction, prepared.size)
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


WIDEST_PX = 480
ERROR_SCALES_M = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
NO_DATA_RGB = (118, 118, 118)


def error_scale_m(frames: list[ShownFrame]) -> float:
    """End of the error colours: the round number that covers three quarters of the errors of the median frame."""
    errors = [np.abs(f.error_m[np.isfinite(f.error_m)]) for f in frames if f.error_m is not None]
    errors = [values for values in errors if values.size]
    if not errors:
        return 1.0
    reach = float(np.median([np.percentile(values, 75) for values in errors]))
    return next((scale for scale in ERROR_SCALES_M if scale >= reach), ERROR_SCALES_M[-1])


def colour_error(error_m: NDArray[np.float32], scale_m: float) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: blue is too near, white is right, red is too far, grey is unknown."""
    place = np.clip(np.nan_to_num(error_m) / scale_m, -1, 1)[..., None].astype(np.float32)
    white, near, far = (np.array(rgb, np.float32) for rgb in ((245, 245, 245), (33, 102, 172), (178, 24, 43)))
    end = np.where(place < 0, near, far)
    image = white + np.abs(place) * (end - white)
    image[~np.isfinite(error_m)] = NO_DATA_RGB
    return image.astype(np.uint8)


def data_uri(image_rgb: NDArray[np.uint8], quality: int = 88) -> str:
    """An image inside the page, at most WIDEST_PX wide; enlarged pixels stay sharp by CSS."""
    height, width = image_rgb.shape[:2]
    if width > WIDEST_PX:
        size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA)
    # In full colour, or the colours of neighbouring distances run into each other.
    packed = jpeg_bytes(image_rgb, quality, full_colour=True)
    return f"data:image/jpeg;base64,{base64.b64encode(packed).decode('ascii')}"


@dataclass(frozen=True)
class PanelScales:
    """What the colours of all frames mean."""

    depth: ColourScale
    blur: ColourScale
    error_m: float
    """End of the error colours."""

    @classmethod
    def fitted(cls, frames: list[ShownFrame], depth_range_m: tuple[float, float] | None) -> PanelScales:
        """For all frames that are shown: depth by a range, else by the truth where there is any, else as predicted."""
        truths = [frame.truth_m for frame in frames if frame.truth_m is not None]
        predictions = [frame.prediction.depth_m for frame in frames if frame.prediction.depth_m is not None]
        blurs = [frame.prediction.coc_px for frame in frames if frame.prediction.coc_px is not None]
        depth = fixed_depth_scale(depth_range_m) if depth_range_m else scene_depth_scale(*(truths or predictions))
        return cls(depth, blur_scale(*blurs), error_scale_m(frames))


def panels(frame: ShownFrame, scales: PanelScales) -> list[tuple[str, str]]:
    """Captions and data URIs of one frame, in the order of reading."""
    images = [("Input", data_uri(frame.image_rgb))]
    prediction = frame.prediction
    if prediction.depth_m is not None:
        images.append(("Depth, predicted", data_uri(scales.depth.colours(_shrunk(prediction.depth_m)))))
    elif prediction.coc_px is not None:
        images.append(("Blur, predicted", data_uri(scales.blur.colours(_shrunk(prediction.coc_px)))))
    if frame.truth_m is not None:
        images.append(("Depth, true", data_uri(scales.depth.colours(_shrunk(frame.truth_m)))))
    if frame.error_m is not None:
        images.append(("Error", data_uri(colour_error(_shrunk(frame.error_m), scales.error_m))))
    return images


def scale_gradient(scale: ColourScale) -> tuple[str, list[tuple[float, str]]]:
    """CSS gradient of a scale, and ticks as (percent along it, text)."""
    values = np.array([scale.value_at(place) for place in np.linspace(0, 1, 33)], np.float32)
    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in scale.colours(values[None])[0])
    return f"linear-gradient(to right, {stops})", [(place * 100, text) for place, text in scale.ticks(6)]


def error_gradient(scale_m: float) -> tuple[str, list[tuple[float, str]]]:
    """CSS gradient of the error colours, and its ticks."""
    values = np.linspace(-scale_m, scale_m, 17, dtype=np.float32)[None]
    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in colour_error(values, scale_m)[0])
    return (
        f"linear-gradient(to right, {stops})",
        [(0.0, f"\N{MINUS SIGN}{scale_m:g} m"), (50.0, "0"), (100.0, f"+{scale_m:g} m")],
    )


def _shrunk(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Nearest: colours of two distances must not mix into that of a third."""
    height, width = values.shape
    if width <= WIDEST_PX:
        return values
    size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
    return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST_EXACT)
