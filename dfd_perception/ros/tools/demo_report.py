# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the demo says at the end: figures beside those of trivial answers, and an image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import scene_depth_scale
from dfd_perception.core.image_bytes import jpeg_bytes
from dfd_perception.core.sheet import Cell, map_cell, sheet
from dfd_perception.evaluation.scoring.pooling import best_constant_of
from dfd_perception.files.atomic import write_bytes
from dfd_perception.files.images import write_png
from dfd_perception.metrics.depth import DepthAccumulator
from dfd_perception.metrics.image_quality import DeblurAccumulator
from dfd_perception.ros.tools.demo_scene import SceneFrame

SCENES = 2
"""In the bag, one after the other, of as many frames each."""
MONTAGE_WIDTH_PX = 1600
JPEG_QUALITY = 88


def measure(scene: Mapping[int, SceneFrame], depths: Mapping[int, Any], images: Mapping[int, Any]) -> dict[str, Any]:
    """Depth and deblurring errors of the answered frames, with what a constant and the input itself would get.

    Args:
        scene: truth by stamp.
        depths: (H, W) float32 [m] by stamp.
        images: (H, W, 3) uint8 by stamp.
    """
    result: dict[str, Any] = {}
    truths = [scene[s].depth_m for s in depths]
    if truths:
        ours, constant = DepthAccumulator(with_edges=False), DepthAccumulator(with_edges=False)
        best_m = best_constant_of(np.concatenate([truth[np.isfinite(truth)] for truth in truths]))
        for stamp, depth_m in depths.items():
            ours.update(depth_m, scene[stamp].depth_m)
            constant.update(np.full_like(depth_m, best_m), scene[stamp].depth_m)
        result["depth"] = _finite(ours.pooled()._asdict())
        result["depth_baseline"] = {
            "what": f"the best constant: the one distance with the least AbsRel, {best_m:.2f} m, everywhere",
            **_finite(constant.pooled()._asdict()),
        }
    if images:
        deblurring = DeblurAccumulator()
        for stamp, image in images.items():
            deblurring.update(image, scene[stamp].aif, scene[stamp].defocused)
        pooled = _finite(deblurring.pooled()._asdict())
        result["deblurred"] = pooled
        result["deblurred_baseline"] = {
            "what": "the input taken for the answer",
            "psnr_db": pooled.get("input_psnr_db"),
            "ssim": pooled.get("input_ssim"),
        }
    return result


def montage(scene: Mapping[int, SceneFrame], depths: Mapping[int, Any], images: Mapping[int, Any]) -> NDArray[np.uint8]:
    """RGB: of each scene its middle frame as input, depth, deblurred, true depth and all-in-focus truth.

    Depth and true depth of a scene share one scale, fitted to the truth, with its legend in metres below both.
    """
    answered = sorted(set(depths) | set(images))
    count = min(SCENES, len(answered))
    rows = [_row(scene[stamp], depths.get(stamp), images.get(stamp)) for stamp in _middles(answered, count)]
    return np.vstack([sheet(row, columns=len(row)) for row in rows])


def write_montage(path: Path, image_rgb: NDArray[np.uint8]) -> None:
    """Write a montage: as it is to .png, narrowed for a page to .jpg."""
    if path.suffix.lower() == ".png":
        write_png(path, image_rgb)
        return
    height = round(image_rgb.shape[0] * MONTAGE_WIDTH_PX / image_rgb.shape[1])
    small = cv2.resize(image_rgb, (MONTAGE_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    write_bytes(path, jpeg_bytes(small, JPEG_QUALITY))


def _middles(stamps: list[int], count: int) -> list[int]:
    """The middle one of each of `count` equal parts."""
    return [stamps[int((part + 0.5) * len(stamps) / count)] for part in range(count)]


def _row(frame: SceneFrame, depth_m: Any, deblurred: Any) -> list[Cell]:
    empty = np.full_like(frame.defocused, 90)
    scale = scene_depth_scale(frame.depth_m)
    return [
        Cell("input: defocused", frame.defocused),
        Cell("depth", empty) if depth_m is None else map_cell("depth", depth_m, scale),
        Cell("deblurred", empty if deblurred is None else deblurred),
        map_cell("true depth", frame.depth_m, scale),
        Cell("truth: all in focus", frame.aif),
    ]


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Rounded, without what was not measured: JSON knows no NaN."""
    return {name: round(float(value), 5) for name, value in values.items() if np.isfinite(value)}
