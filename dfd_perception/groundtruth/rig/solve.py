# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From board corners to intrinsics and the place of the cameras, with figures that say how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import DistortedCamera, Distortion
from dfd_perception.core.registration import RigidTransform
from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError, counted
from dfd_perception.groundtruth.rig.board import FEWEST_CORNERS, Board, BoardView

COVERAGE_GRID = (6, 8)
"""Rows and columns of the cells in which corners are counted."""


@dataclass(frozen=True, kw_only=True)
class QualityLimits:
    """What a calibration must reach. Beyond these, depth edges visibly miss those of the image."""

    fewest_views: int = 10
    largest_rms_px: float = 1.0
    least_coverage: float = 0.5
    """Part of the image's cells in which a corner was seen: distortion is not known elsewhere."""
    least_tilt_deg: float = 15.0
    """Difference in the board's orientation between views: frontal boards leave focal length and distance mixed."""


class SolvedCamera(NamedTuple):
    """Intrinsics of one camera and how well they explain the corners."""

    camera: DistortedCamera
    rms_px: float
    coverage: float
    tilt_deg: float
    views: int


class SolvedPair(NamedTuple):
    """Where two cameras stand: points of the first to the second, and how well that explains the corners."""

    second_from_first: RigidTransform
    rms_px: float
    views: int


def solve_camera(views: list[BoardView], board: Board, size: Size, rational: bool = False) -> SolvedCamera:
    """Intrinsics and distortion of one camera.

    Args:
        views: the board as it saw it.
        board: which board.
        size: (height, width) of its images.
        rational: eight distortion terms instead of five, for wide lenses with many views.

    Raises:
        CalibrationError: fewer than three views.
    """
    if len(views) < 3:
        raise CalibrationError(
            f"the board was found in {counted(len(views), 'image')}; three are the least, ten are good"
        )
    objects = [board.corners_m(view.ids) for view in views]
    points = [view.points_px for view in views]
    flags = cv2.CALIB_RATIONAL_MODEL if rational else 0
    rms, matrix, terms, rotations, _ = cv2.calibrateCamera(objects, points, size[::-1], None, None, flags=flags)
    camera = DistortedCamera(
        intrinsics=CameraIntrinsics.from_matrix(matrix, width=size[1], height=size[0]),
        distortion=Distortion.from_coefficients(terms.ravel()[: 8 if rational else 5]),
    )
    return SolvedCamera(camera, float(rms), coverage_of(views, size), _tilt_deg(rotations), len(views))


def solve_pair(
    first: list[BoardView | None],
    second: list[BoardView | None],
    board: Board,
    first_camera: DistortedCamera,
    second_camera: DistortedCamera,
) -> SolvedPair:
    """The place of two cameras with known intrinsics, from views of the same moments.

    Raises:
        CalibrationError: they hardly ever saw the board together.
    """
    objects, first_points, second_points = [], [], []
    for one, other in zip(first, second, strict=True):
        if one is None or other is None:
            continue
        common, in_one, in_other = np.intersect1d(one.ids, other.ids, return_indices=True)
        if len(common) >= FEWEST_CORNERS:
            objects.append(board.corners_m(common))
            first_points.append(one.points_px[in_one])
            second_points.append(other.points_px[in_other])
    if len(objects) < 3:
        raise CalibrationError(
            f"both cameras saw the board in {counted(len(objects), 'moment')}; at least 3 are needed, 10 are good. "
            "Hold the board where both fields of view overlap"
        )
    rms, *_, rotation, translation, _, _ = cv2.stereoCalibrate(
        objects,
        first_points,
        second_points,
        first_camera.intrinsics.matrix(),
        first_camera.distortion.coefficients(),
        second_camera.intrinsics.matrix(),
        second_camera.distortion.coefficients(),
        first_camera.size[::-1],
        flags=cv2.CALIB_FIX_INTRINSIC,
        criteria=(cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 200, 1e-9),
    )
    return SolvedPair(RigidTransform(rotation, translation), float(rms), len(objects))


def cells_seen(views: list[BoardView], size: Size) -> NDArray[np.int64]:
    """How many corners fell into each cell of the image, COVERAGE_GRID."""
    rows, columns = COVERAGE_GRID
    points = np.concatenate([view.points_px for view in views]) if views else np.zeros((0, 2), np.float32)
    row = np.clip(points[:, 1] / size[0] * rows, 0, rows - 1).astype(int)
    column = np.clip(points[:, 0] / size[1] * columns, 0, columns - 1).astype(int)
    return np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns)


def coverage_of(views: list[BoardView], size: Size) -> float:
    """Part of the image's cells in which a corner was seen, 0 to 1."""
    return float((cells_seen(views, size) > 0).mean())


def coverage_image(views: list[BoardView], image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: every corner seen, and the cells without one in red, over a dimmed image."""
    shown = (image // 3).astype(np.uint8)
    height, width = shown.shape[:2]
    counts = cells_seen(views, (height, width))
    rows, columns = counts.shape
    for row in range(rows):
        for column in range(columns):
            upper_left = (column * width // columns, row * height // rows)
            lower_right = ((column + 1) * width // columns - 1, (row + 1) * height // rows - 1)
            if counts[row, column]:
                cv2.rectangle(shown, upper_left, lower_right, (60, 90, 60), 1)
            else:
                shown[upper_left[1] : lower_right[1], upper_left[0] : lower_right[0], 0] |= 0x60
    for view in views:
        for x, y in view.points_px:
            cv2.circle(shown, (round(float(x)), round(float(y))), max(2, width // 400), (80, 255, 80), -1)
    return shown


def faults_of(name: str, solved: SolvedCamera, limits: QualityLimits) -> list[str]:
    """Why a camera's calibration is not good enough, and what to do about it; empty when it is."""
    faults = []
    if solved.views < limits.fewest_views:
        faults.append(f"{name}: the board was found {solved.views} times, expected {limits.fewest_views} or more")
    if not solved.rms_px <= limits.largest_rms_px:
        faults.append(
            f"{name}: corners are {solved.rms_px:.2f} px off, expected {limits.largest_rms_px} at most (is "
            "the board flat, are its sizes right, was it held still?)"
        )
    if solved.coverage < limits.least_coverage:
        faults.append(
            f"{name}: the board covered {solved.coverage:.0%} of the image, expected {limits.least_coverage:.0%}; "
            "show it in the corners and along the borders too"
        )
    if solved.tilt_deg < limits.least_tilt_deg:
        faults.append(
            f"{name}: the board's tilt varied by {solved.tilt_deg:.0f} degrees, expected {limits.least_tilt_deg:.0f}; "
            "turn it to all sides"
        )
    return faults


def _tilt_deg(rotations: Sequence[NDArray[np.float64]]) -> float:
    """Largest angle between the board's normals of any two views [degrees]."""
    normals = np.array([cv2.Rodrigues(rotation)[0][:, 2] for rotation in rotations])
    return float(np.degrees(np.arccos(np.clip((normals @ normals.T).min(), -1, 1))))
