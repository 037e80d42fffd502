# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Grids of AprilTags: which tag stands where, whoever numbered, turned and bordered them.

OpenCV's GridBoard counts from the upper left and gives a tag a border of one module; Kalibr's aprilgrid counts from the
lower left, turns the tags, gives them a border of two modules and puts a black square between four corners. A flat
board tells which it is: only the right reading maps its corners to the image by a homography.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

BORDER_MODULES = (1, 2)
FEWEST_TAGS = 4
"""Two in a row give a distance that is off by 5 %."""
LARGEST_MISFIT = 0.15
"""Of a tag's side in the image: more is no such grid. A wide lens bends a board by less."""
AROUND_TAG = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
"""Corners of a tag in the order of OpenCV, in units of its side."""

ARUCO_BEFORE_4_7: Any = cv2.aruco


class TagGrid(NamedTuple):
    """A grid of tags; all lengths in one unit."""

    columns: int
    rows: int
    tag: float
    """Side of a tag, its black border included."""
    pitch: float
    """From a tag's corner to that of the next one."""

    @property
    def tag_count(self) -> int:
        """Tags of the whole board."""
        return self.columns * self.rows

    def corners(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N, 2) places of corners numbered 4 x tag + corner, tags from the upper left; x right, y down."""
        tags = ids // 4
        places = np.stack([tags % self.columns, tags // self.columns], axis=1) * self.pitch
        corners: NDArray[np.float64] = places + AROUND_TAG[ids % 4] * self.tag
        return corners


def find_tags(
    grey: NDArray[np.uint8], dictionary: Any, grid: TagGrid
) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
    """Corners of a grid's tags in an image, (H, W): their numbers as in `TagGrid.corners`, and (N, 2) pixels.

    None where fewer than four tags are seen, or where they do not form this grid.
    """
    seen = max((_seen_tags(grey, dictionary, grid, modules) for modules in BORDER_MODULES), key=lambda s: len(s[0]))
    tags, points = seen
    if len(tags) < FEWEST_TAGS:
        return None
    misfit, ids, points = min(_readings(tags, points, grid), key=lambda reading: reading[0])
    side_px = float(np.median(np.linalg.norm(points[0::4] - points[1::4], axis=1)))
    if misfit > LARGEST_MISFIT * side_px:
        return None
    order = np.argsort(ids)
    return ids[order], points[order]


def _readings(
    tags: NDArray[np.int64], points: NDArray[np.float32], grid: TagGrid
) -> list[tuple[float, NDArray[np.int64], NDArray[np.float32]]]:
    """Each way to number and turn the tags: how far [px] a homography misses, the corners' numbers, their places."""
    from_below = (grid.rows - 1 - tags // grid.columns) * grid.columns + tags % grid.columns
    readings = []
    for numbered in (tags, from_below):
        ids = (4 * numbered[:, None] + np.arange(4)).ravel()
        places = grid.corners(ids)
        for turn in range(4):
            turned = np.roll(points, turn, axis=1).reshape(-1, 2)
            homography, _ = cv2.findHomography(places, turned)
            if homography is None:
                continue
            mapped = cv2.perspectiveTransform(places[None], homography)[0]
            readings.append((float(np.median(np.linalg.norm(mapped - turned, axis=1))), ids, turned))
    return readings or [(float("inf"), np.arange(4 * len(tags)), points.reshape(-1, 2))]


def _seen_tags(
    grey: NDArray[np.uint8], dictionary: Any, grid: TagGrid, border_modules: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Numbers (N,) and corners (N, 4, 2) [px] of the tags that belong to the grid."""
    is_old = not hasattr(cv2.aruco, "ArucoDetector")
    options = ARUCO_BEFORE_4_7.DetectorParameters_create() if is_old else cv2.aruco.DetectorParameters()
    options.markerBorderBits = border_modules
    options.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    if is_old:
        corners, ids, _ = ARUCO_BEFORE_4_7.detectMarkers(grey, dictionary, parameters=options)
    else:
        corners, ids, _ = cv2.aruco.ArucoDetector(dictionary, options).detectMarkers(grey)
    if ids is None:
        return np.empty(0, np.int64), np.empty((0, 4, 2), np.float32)
    tags = ids.ravel().astype(np.int64)
    belongs = tags < grid.tag_count
    return tags[belongs], np.asarray(corners, np.float32).reshape(-1, 4, 2)[belongs]
