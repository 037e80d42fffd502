"""What the demo says at the end: figures beside those of trivial answers, and an image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import colour_depth, legend
from dfd_perception.evaluation.scoring.pooling import best_constant_of
from dfd_perception.metrics.depth import DepthAccumulator
from dfd_perception.metrics.image_quality import DeblurAccumulator
from dfd_perception.ros.tools.demo_scene import SceneFrame

COLUMNS = ("input: defocused", "depth", "deblurred", "true depth", "true all-in-focus")
TITLE_HEIGHT_PX = 28
ROWS = 4


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


def write_montage(
    path: Path,
    scene: Mapping[int, SceneFrame],
    depths: Mapping[int, Any],
    images: Mapping[int, Any],
    range_m: tuple[float, float],
) -> None:
    """Write frames spread over the bag: input, depth, deblurred, truth, one metric legend for all depth."""
    answered = sorted(set(depths) | set(images))
    chosen = [answered[round(i)] for i in np.linspace(0, len(answered) - 1, min(ROWS, len(answered)))]
    rows = []
    for stamp in chosen:
        frame = scene[stamp]
        empty = np.full_like(frame.defocused, 90)
        depth = colour_depth(depths[stamp], range_m) if stamp in depths else empty
        cells = [frame.defocused, depth, images.get(stamp, empty), colour_depth(frame.depth_m, range_m), frame.aif]
        rows.append(np.hstack(cells))
    width = rows[0].shape[1]
    image = np.vstack([_titles(width), *rows, legend(width, range_m)])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


def _titles(width: int) -> NDArray[np.uint8]:
    strip = np.full((TITLE_HEIGHT_PX, width, 3), 255, np.uint8)
    step = width // len(COLUMNS)
    for index, title in enumerate(COLUMNS):
        cv2.putText(strip, title, (index * step + 8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Rounded, without what was not measured: JSON knows no NaN."""
    return {name: round(float(value), 5) for name, value in values.items() if np.isfinite(value)}
