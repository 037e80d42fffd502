# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""An image that every model is asked about once, and what is kept of the answer: see inference/model_trial.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

PROBE_SIZE = (64, 96)
"""Height and width [px]."""

GRID = (2, 3)
"""Rows and columns of blocks, the mean of each being kept."""


def probe_image() -> NDArray[np.float32]:
    """(1, 3, 64, 96) float32 in [0, 1]: texture, sharp on the left and blurred on the right. The same everywhere."""
    y, x = np.mgrid[: PROBE_SIZE[0], : PROBE_SIZE[1]].astype(np.int64)
    factors = ((37, 91, 53), (71, 29, 47), (23, 57, 61))
    planes = [((x * a + y * b + (x * y) % c * 13) % 256) / 255 for a, b, c in factors]
    image = np.stack(planes, axis=-1).astype(np.float32)
    blurred = cv2.GaussianBlur(image, (0, 0), 3.0, borderType=cv2.BORDER_REFLECT_101)
    image[:, PROBE_SIZE[1] // 2 :] = blurred[:, PROBE_SIZE[1] // 2 :]
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None])


def summary_of(outputs: Mapping[str, NDArray[Any]]) -> dict[str, list[float]]:
    """What the card keeps of an answer to the probe: the means of blocks of each output (1, C, 64, 96), row by row."""
    rows, columns = GRID
    summary = {}
    for name, answer in outputs.items():
        plane = np.asarray(answer, np.float64)[0].mean(axis=0)
        height, width = plane.shape
        blocks = plane[: height // rows * rows, : width // columns * columns]
        means = blocks.reshape(rows, height // rows, columns, width // columns).mean(axis=(1, 3))
        summary[name] = [round(float(mean), 5) for mean in means.ravel()]
    return summary
