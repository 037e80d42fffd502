# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sharp scenes from RGB-D images with exact depth (rendered interiors), beside the procedural ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dfd_perception.core.holes import filled_from_nearest
from dfd_perception.datasets.generated.layout import Layout
from dfd_perception.datasets.rgbd import RgbdFolder
from dfd_perception.errors import DatasetError


class RenderedScenes:
    """Random square windows of sharp RGB-D images, as layouts.

    Args:
        folder: NAME/{rgb.png|jpg, depth.png} or rgb/ and depth/ (datasets.rgbd.RgbdFolder).

    Raises:
        DatasetError: nothing of that layout there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._source = RgbdFolder(folder)
        if len(self._source) == 0:
            raise DatasetError(f"{folder}: no RGB-D images")

    def __len__(self) -> int:
        return len(self._source)

    def random(self, rng: np.random.Generator, size_px: int) -> Layout:
        """A window of `size_px` square, mirrored at random; an image that is smaller is enlarged to it."""
        frame = self._source[int(rng.integers(len(self._source)))]
        known = np.isfinite(frame.depth_m)
        inverse = (1.0 / filled_from_nearest(frame.depth_m, known)).astype(np.float32)
        image = frame.rgb.astype(np.float32) / np.float32(255)
        scale = max(_scale(rng), size_px / min(image.shape[:2]))
        softness_px2 = 0.0
        if scale != 1:
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            image = np.clip(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), 0, 1)
            # Depth is never averaged across a step.
            inverse = cv2.resize(inverse, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
            softness_px2 = enlarged_softness_px2(scale) if scale > 1 else 0.0
        y = int(rng.integers(image.shape[0] - size_px + 1))
        x = int(rng.integers(image.shape[1] - size_px + 1))
        image, inverse = image[y : y + size_px, x : x + size_px], inverse[y : y + size_px, x : x + size_px]
        if rng.random() < 0.5:
            image, inverse = image[:, ::-1], inverse[:, ::-1]
        low, high = float(inverse.min()), float(inverse.max())
        nearness = (inverse - low) / max(high - low, 1e-6)
        return Layout(np.ascontiguousarray(image), np.ascontiguousarray(nearness), (low, high), softness_px2)


def enlarged_softness_px2(scale: float) -> float:
    """sigma^2 [px^2] of an image enlarged 1.2 to 1.6 times by cubic interpolation, against one taken at that size.

    Measured on 1/f noise: the Gaussian that makes the sharper image like the enlarged one.
    """
    return 0.17 + 0.4 * (scale - 1)


def _scale(rng: np.random.Generator) -> float:
    """Size of a stored image in the scene: smaller, as it is, or larger, as a camera of more pixels sees it."""
    draw = rng.random()
    if draw < 0.3:
        return float(rng.uniform(0.75, 1.0))
    return float(rng.uniform(1.2, 1.6)) if draw < 0.7 else 1.0
