# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the demo says at the end: figures beside those of trivial answers, and an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import scene_depth_scale
from dfd_perception.core.image_bytes import jpeg_bytes
from dfd_perception.core.sheet import Cell, map_cell, sheet, text_cell
from dfd_perception.evaluation.scoring.pooling import best_constant_of
from dfd_perception.files.atomic import write_bytes
from dfd_perception.metrics.depth import DepthAccumulator
from dfd_perception.metrics.image_quality import DeblurAccumulator
from dfd_perception.ros.tools.demo_scene import SceneFrame

SCENES = 2
"""In the bag, one after the other, of as many frames each."""
CELL_WIDTH_PX = 320
"""Three beside one another are read on a desktop's page as they are, and their labels on a phone."""
JPEG_QUALITY = 88
PSNR = {"input": "input_psnr_db", "deblurred": "psnr_db"}


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


def scene_sheets(
    scene: Mapping[int, SceneFrame], depths: Mapping[int, Any], images: Mapping[int, Any]
) -> list[NDArray[np.uint8]]:
    """RGB, one for each scene: its middle frame as input, depth and true depth, deblurred, all-in-focus truth, figures.

    Depth and true depth of a scene share one scale, fitted to the truth, with its legend in metres below both.
    """
    answered = sorted(set(depths) | set(images))
    count = min(SCENES, len(answered))
    sheets = []
    for stamp in _middles(answered, count):
        of_frame = [{stamp: answers[stamp]} if stamp in answers else {} for answers in (depths, images)]
        cells = _cells(scene[stamp], depths.get(stamp), images.get(stamp), measure(scene, *of_frame))
        sheets.append(sheet(cells, cell_width_px=CELL_WIDTH_PX))
    return sheets


def write_page_images(path: Path, sheets: Sequence[NDArray[np.uint8]]) -> None:
    """Write the sheets for a page, one JPEG each: FILE.jpg, FILE-2.jpg."""
    for number, image_rgb in enumerate(sheets, 1):
        named = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        write_bytes(named, jpeg_bytes(image_rgb, JPEG_QUALITY))


def _middles(stamps: list[int], count: int) -> list[int]:
    """The middle one of each of `count` equal parts."""
    return [stamps[int((part + 0.5) * len(stamps) / count)] for part in range(count)]


def _cells(frame: SceneFrame, depth_m: Any, deblurred: Any, figures: Mapping[str, Any]) -> list[Cell]:
    empty = np.full_like(frame.defocused, 90)
    scale = scene_depth_scale(frame.depth_m)
    return [
        Cell("input: defocused", frame.defocused),
        Cell("depth", empty) if depth_m is None else map_cell("depth", depth_m, scale),
        map_cell("true depth", frame.depth_m, scale),
        Cell("deblurred", empty if deblurred is None else deblurred),
        Cell("truth: all in focus", frame.aif),
        text_cell(_lines(figures), frame.defocused.shape[:2]),
    ]


def _lines(figures: Mapping[str, Any]) -> list[str]:
    """What `measure` says of one frame, in words."""
    lines = []
    if "depth" in figures:
        lines += [
            f"mean error of depth: {figures['depth'].get('abs_rel', np.nan):.0%}",
            f"of the best constant: {figures['depth_baseline'].get('abs_rel', np.nan):.0%}",
        ]
    if "deblurred" in figures:
        of_images = figures["deblurred"]
        lines += [f"PSNR, {name}: {of_images.get(key, np.inf):.1f} dB" for name, key in PSNR.items()]
    return lines


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Rounded, without what was not measured: JSON knows no NaN."""
    return {name: round(float(value), 5) for name, value in values.items() if np.isfinite(value)}
