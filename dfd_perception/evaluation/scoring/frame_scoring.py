# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From a frame and what a model said about it to a row of the report."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.prediction import Prediction
from dfd_perception.evaluation.scoring import bins
from dfd_perception.evaluation.scoring.protocol import Protocol, image_at, prediction_at, sampled_at
from dfd_perception.evaluation.scoring.rows import FrameRow
from dfd_perception.evaluation.sources.frame import EvaluationFrame, MeasuredPair
from dfd_perception.metrics.blur_map import border_sums, plaid_power
from dfd_perception.metrics.defocus import DefocusAccumulator
from dfd_perception.metrics.depth import DepthAccumulator
from dfd_perception.metrics.image_quality import DeblurAccumulator, complete_windows

FloatMap = NDArray[np.float32]


class AlignedDepth(NamedTuple):
    """Prediction and truth pixel by pixel, at the truth's size, as the protocol counts them."""

    prediction_m: FloatMap
    target_m: FloatMap
    """NaN where the protocol does not count."""
    std_m: FloatMap | None


def score_frame(
    frame: EvaluationFrame,
    prediction: Prediction,
    protocol: Protocol,
    variant: str = "model",
    with_truth_histogram: bool = False,
) -> FrameRow:
    """Measure one prediction by whatever truth its frame has (already at the protocol's resolution)."""
    prediction = prediction_at(prediction, frame.size)
    row = FrameRow(
        variant=variant,
        unit=frame.unit,
        index=frame.index,
        name=frame.name,
        stamp_ns=frame.stamp_ns,
        answered=True,
        latency_s=dict(prediction.latency_s),
    )
    if prediction.depth_m is not None:
        _describe_depth(row, prediction.depth_m)
        if frame.depth_m is not None:
            _score_depth(row, frame, prediction, protocol, with_truth_histogram)
    if prediction.deblurred is not None and frame.aif is not None:
        _score_deblurred(row, frame, prediction.deblurred, protocol)
    if prediction.coc_px is not None:
        target = frame.coc_target_px()
        _score_blur(row, target, prediction.coc_px, protocol)
        if frame.pair is not None and prediction.coc_std_px is not None:
            row.windows = _pair_windows(frame, frame.pair, target, prediction.coc_px, prediction.coc_std_px)
    return row


def aligned_depth(frame: EvaluationFrame, prediction: Prediction, protocol: Protocol) -> AlignedDepth | None:
    """Prediction beside truth, or None when either is absent."""
    if frame.depth_m is None or prediction.depth_m is None:
        return None
    target = frame.depth_m
    size = (target.shape[0], target.shape[1])
    farthest = np.inf if protocol.max_depth_m is None else protocol.max_depth_m
    with np.errstate(invalid="ignore"):
        counts = np.isfinite(target) & (target > 0) & (target >= protocol.min_depth_m) & (target <= farthest)
    counts &= protocol.crop_mask(size)
    std = None if prediction.depth_std_m is None else sampled_at(prediction.depth_std_m, size)
    answer = sampled_at(prediction.depth_m, size)
    if protocol.clamp:
        answer = np.clip(answer, protocol.min_depth_m, farthest)
    return AlignedDepth(answer, np.where(counts, target, np.float32(np.nan)), std)


def _score_blur(row: FrameRow, target: FloatMap | None, coc_px: FloatMap, protocol: Protocol) -> None:
    row.plaid = [float(value) for value in plaid_power(coc_px)]
    if target is None:
        return
    size = (target.shape[0], target.shape[1])
    measured = sampled_at(coc_px, size)
    target = np.where(protocol.crop_mask(size), target, np.float32(np.nan))
    blur = DefocusAccumulator()
    row.defocus = blur.update(measured, target)._asdict()
    row.defocus_pixels = blur.pixels
    row.border = [float(value) for value in border_sums(measured, target)]


def _pair_windows(
    frame: EvaluationFrame, pair: MeasuredPair, target: FloatMap | None, coc_px: FloatMap, coc_std_px: FloatMap
) -> str:
    """Each window of an aperture pair, columns as bins.WINDOW_COLUMNS."""
    floor_px = 0.0 if frame.floor_px is None else frame.floor_px
    place = (pair.row, pair.column)
    by_depth = np.full(len(pair.row), np.nan) if target is None else sampled_at(target, frame.size)[place]
    columns = [pair.disk_px, np.hypot(pair.lens_px, floor_px), coc_px[place], coc_std_px[place], by_depth]
    return bins.encoded_sample(np.stack([np.asarray(column, np.float64) for column in columns], axis=1))


def _describe_depth(row: FrameRow, depth_m: FloatMap) -> None:
    known = depth_m[np.isfinite(depth_m)]
    row.answered_fraction = known.size / depth_m.size
    if known.size:
        row.range_m = [float(v) for v in np.percentile(known, (5, 50, 95))]


def _score_depth(
    row: FrameRow, frame: EvaluationFrame, prediction: Prediction, protocol: Protocol, with_truth_histogram: bool
) -> None:
    aligned = aligned_depth(frame, prediction, protocol)
    assert aligned is not None
    depth = DepthAccumulator(with_edges=protocol.edges)
    row.depth = depth.update(aligned.prediction_m, aligned.target_m, aligned.std_m)._asdict()
    counted = np.isfinite(aligned.target_m)
    target = aligned.target_m[counted].astype(np.float64)
    predicted = aligned.prediction_m[counted].astype(np.float64)
    with np.errstate(invalid="ignore"):
        predicted[~(np.isfinite(predicted) & (predicted > 0))] = np.nan
    std = None if aligned.std_m is None else aligned.std_m[counted].astype(np.float64)
    size = (aligned.target_m.shape[0], aligned.target_m.shape[1])
    coc_target, coc_measured, coc_std = (
        None if values is None else sampled_at(values, size)[counted].astype(np.float64)
        for values in (frame.coc_target_px(), prediction.coc_px, prediction.coc_std_px)
    )
    coc_error = None if coc_target is None or coc_measured is None else coc_measured - coc_target
    pixels = bins.DepthPixels(predicted, target, std, coc_error, coc_std)
    answered = np.isfinite(predicted)
    row.truth_pixels, row.depth_pixels = int(target.size), int(answered.sum())
    if answered.any():
        ratio = predicted[answered] / target[answered]
        log_ratio = np.log(ratio)
        row.log_scale = [float(log_ratio.sum()), float((log_ratio**2).sum()), float(np.median(ratio))]
    row.distance = bins.sparse(bins.distance_table(pixels))
    row.z, row.sample = bins.z_counts(pixels), bins.uncertainty_sample(pixels)
    if with_truth_histogram:
        row.truth = bins.truth_histogram(target)
    if coc_target is not None:
        row.coc = bins.sparse(bins.coc_table(pixels, coc_target, coc_measured))


def _score_deblurred(row: FrameRow, frame: EvaluationFrame, deblurred: NDArray[np.uint8], protocol: Protocol) -> None:
    assert frame.aif is not None
    size = (frame.aif.shape[0], frame.aif.shape[1])
    mask = None if protocol.crop is None and frame.seen is None else protocol.crop_mask(size)
    if mask is not None and frame.seen is not None:
        mask &= frame.seen
        if not mask.any():
            return
    metrics = DeblurAccumulator().update(image_at(deblurred, size), frame.aif, image_at(frame.defocused, size), mask)
    row.deblurred = metrics._asdict()
    row.image_pixels = size[0] * size[1] if mask is None else int(mask.sum())
    row.image_windows = int(complete_windows(size, mask).sum())
