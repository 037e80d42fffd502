# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images by which a person judges a registration: the edges of the depth drawn on the image."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import ColourScale
from dfd_perception.core.lettering import drawable

EDGE_FRACTION = 0.05
"""Neighbouring depths that differ by more than this are an edge."""

REACH_PX = 12
"""Largest offset looked for."""

SAME_SCORE = 0.97

EDGE_COLOUR = (255, 40, 40)
NEAR_M, FAR_M = 0.3, 4.0
SHEET_WIDTH_PX = 1600


class EdgeOffset(NamedTuple):
    """By how much the image's edges lie beside those of the depth [px]; sharpness of that finding, 1 = none."""

    dx: int
    dy: int
    contrast: float


def depth_edges(depth_m: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(H, W): True at the nearer side of every depth discontinuity; holes make none."""
    known = np.isfinite(depth_m)
    near = np.where(known, depth_m, np.float32(np.inf))
    far = np.where(known, depth_m, np.float32(0))
    kernel = np.ones((3, 3), np.uint8)
    farthest = cv2.dilate(far, kernel)
    with np.errstate(invalid="ignore"):
        return known & (farthest > near * (1 + EDGE_FRACTION))


def edge_offset(image: NDArray[np.uint8], depth_m: NDArray[np.float32]) -> EdgeOffset | None:
    """Where the image's edges are, seen from those of the depth: (0, 0) for a good registration.

    Args:
        image: (H, W, 3) uint8 RGB.
        depth_m: (H, W) registered to it.

    Returns:
        None when the depth has too few edges to tell.
    """
    edges = depth_edges(depth_m)
    inner = np.s_[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
    rows, columns = (index + REACH_PX for index in np.nonzero(edges[inner]))
    if len(rows) < 50:
        return None
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1.5).astype(np.float32)
    gradient = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    gradient = np.minimum(gradient, np.percentile(gradient, 95))  # a few glaring lines must not decide
    offsets = range(-REACH_PX, REACH_PX + 1)
    scores = np.array([[gradient[rows + dy, columns + dx].mean() for dx in offsets] for dy in offsets])
    # Edges are as wide as the blur: the middle of the best offsets, not whichever of them noise has raised.
    best = np.argwhere(scores >= SAME_SCORE * scores.max()).mean(axis=0) - REACH_PX
    return EdgeOffset(round(float(best[1])), round(float(best[0])), float(scores.max() / np.median(scores)))


def overlay(image: NDArray[np.uint8], depth_m: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, 2 W, 3) uint8 RGB: left the image with the depth's edges in red, right half depth, half image."""
    marked = image.copy()
    marked[depth_edges(depth_m)] = EDGE_COLOUR
    coloured = ColourScale(NEAR_M, FAR_M, logarithmic=True).colours(depth_m)
    blended = (image.astype(np.uint16) + coloured) // 2
    return np.hstack([marked, np.where(np.isfinite(depth_m)[..., None], blended, image // 4).astype(np.uint8)])


def sheet(overlays: list[NDArray[np.uint8]], titles: list[str]) -> NDArray[np.uint8]:
    """Overlays below each other at one width, each under its title, (H, width, 3) uint8 RGB."""
    rows = []
    for image, title in zip(overlays, titles, strict=True):
        height = round(image.shape[0] * SHEET_WIDTH_PX / image.shape[1])
        banner = np.full((32, SHEET_WIDTH_PX, 3), 30, np.uint8)
        cv2.putText(banner, drawable(title), (10, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1, cv2.LINE_AA)
        rows += [banner, cv2.resize(image, (SHEET_WIDTH_PX, height), interpolation=cv2.INTER_AREA)]
    return np.vstack(rows)
