# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a blur meter reads at known distances: points to fit a lens to, from images with depth, boards and pairs."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.core.optics import require_possible
from dfd_perception.errors import CalibrationError
from dfd_perception.groundtruth.rig.board import Board, BoardView, find_board

FloatMap = NDArray[np.float32]

BIN_DIOPTRE = 0.04
"""Width of the bins of inverse depth in one image: at K 16.5 blur changes by 0.7 px within one."""
FEWEST_PIXELS = 200
INDEPENDENT_PX = 12.0
"""Readings of a network this far apart have errors of their own."""
SURER_SHARE = 0.5
"""The part of an image that the meter is surest of is believed."""
LARGEST_STD_PX = 6.0
"""Median std of the surer half beyond which there is nothing to read: no texture."""
LEAST_STD_PX = 0.1
"""No point is trusted more than this: the meter errs alike over a whole surface."""
LEAST_LIKENESS = 0.4
"""Correlation of two images, coarse, of one scene at two apertures."""


class BlurReading(NamedTuple):
    """A reading of total blur at a distance."""

    distance_m: float
    blur_px: float
    std_px: float
    image: str
    """Name of the image that it is from."""


def readings_at(depth_m: FloatMap, blur_px: FloatMap, std_px: FloatMap, image: str) -> list[BlurReading]:
    """Readings of one image by bins of inverse depth: the median of the surer half of the pixels.

    Args:
        depth_m: (H, W) true z-depth [m], NaN where it is not known.
        blur_px: (H, W) reading.
        std_px: (H, W) its standard deviation.
        image: name for messages.

    Raises:
        CalibrationError: the meter is sure of nothing: no texture.
    """
    known = np.isfinite(depth_m) & (depth_m > 0) & np.isfinite(blur_px) & np.isfinite(std_px)
    if known.sum() < FEWEST_PIXELS:
        return []
    limit = float(np.quantile(std_px[known], SURER_SHARE))
    if limit > LARGEST_STD_PX:
        raise CalibrationError(
            f"{image}: the meter is not sure of any blur (std {limit:.1f} px where depth is known); is there texture?"
        )
    chosen = known & (std_px <= limit)
    inverse = 1.0 / depth_m[chosen].astype(np.float64)
    blur, std = blur_px[chosen].astype(np.float64), std_px[chosen].astype(np.float64)
    readings = []
    for index in np.unique(np.floor(inverse / BIN_DIOPTRE)):
        inside = np.floor(inverse / BIN_DIOPTRE) == index
        if inside.sum() < FEWEST_PIXELS:
            continue
        independent = max(1.0, inside.sum() / INDEPENDENT_PX**2)
        spread = 1.4826 * float(np.median(np.abs(blur[inside] - np.median(blur[inside]))))
        std_of_median = max(LEAST_STD_PX, float(np.hypot(spread, np.median(std[inside]))) / np.sqrt(independent))
        readings.append(
            BlurReading(float(1 / np.median(inverse[inside])), float(np.median(blur[inside])), std_of_median, image)
        )
    return readings


def board_depth_m(image_rgb: NDArray[np.uint8], board: Board, camera: DistortedCamera) -> FloatMap | None:
    """z-depth [m] of a flat board where the image shows it, (H, W) float32, NaN elsewhere; None: not seen.

    Raises:
        CalibrationError: the image has another size than the camera.
    """
    size = (image_rgb.shape[0], image_rgb.shape[1])
    if size != camera.size:
        raise CalibrationError(
            f"image is {size[1]} x {size[0]} px, its camera {camera.size[1]} x {camera.size[0]}; calibrate at one size"
        )
    view = find_board(image_rgb, board)
    return None if view is None else _plane_depth_m(view, board, camera)


def _plane_depth_m(view: BoardView, board: Board, camera: DistortedCamera) -> FloatMap | None:
    matrix, coefficients = camera.intrinsics.matrix(), camera.distortion.coefficients()
    solved, turn, shift = cv2.solvePnP(board.corners_m(view.ids), view.points_px, matrix, coefficients)
    if not solved or shift[2, 0] <= 0:
        return None
    normal = cv2.Rodrigues(turn)[0][:, 2]
    inside = np.zeros(camera.size, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(view.points_px.round().astype(np.int32)), 1)
    rows, columns = np.nonzero(inside)
    rays = camera.rays(np.stack([columns, rows], axis=-1).astype(np.float64))
    depth_m = np.full(camera.size, np.nan, np.float32)
    depth_m[rows, columns] = (normal @ shift[:, 0]) / (rays @ normal)
    return depth_m


def floor_of_pair_px(
    wide: tuple[NDArray[np.uint8], FloatMap, FloatMap],
    narrow: tuple[NDArray[np.uint8], FloatMap, FloatMap],
    f_numbers: tuple[float, float],
) -> tuple[float, float]:
    """Blur floor [px] and its std from one scene at two apertures, without any distance.

    With r the ratio of the apertures R_wide^2 = c^2 + c0^2 and R_narrow^2 = r^2 c^2 + c0^2.

    Args:
        wide, narrow: image (H, W, 3) uint8, reading (H, W) and its std (H, W), at the wide and the narrow aperture.
        f_numbers: of both, the smaller first.

    Raises:
        LensError: an f-number that cannot be.
        CalibrationError: apertures too alike, images of two scenes, or no texture.
    """
    for f_number in f_numbers:
        require_possible(f_number=f_number)
    ratio = f_numbers[0] / f_numbers[1]
    if not 0 < ratio < 0.75:
        raise CalibrationError(
            f"f-numbers are {f_numbers[0]:g} and {f_numbers[1]:g}; expected the wide aperture first, and the narrow "
            "one at most three quarters as wide, such as 2.8 8"
        )
    if wide[0].shape != narrow[0].shape:
        raise CalibrationError(f"the pair has sizes {wide[0].shape[:2]} and {narrow[0].shape[:2]}; expected one")
    likeness = _likeness(wide[0], narrow[0])
    if likeness < LEAST_LIKENESS:
        raise CalibrationError(
            f"the two images do not show one scene (correlation {likeness:.2f}; expected {LEAST_LIKENESS} or more)"
        )
    std = np.maximum(wide[2], narrow[2])
    limit = float(np.quantile(std, SURER_SHARE))
    if limit > LARGEST_STD_PX:
        raise CalibrationError(f"the meter is not sure of any blur (std {limit:.1f} px); is there texture?")
    chosen = std <= limit
    squared = (np.square(narrow[1][chosen]) - ratio**2 * np.square(wide[1][chosen])) / (1 - ratio**2)
    floor_px = float(np.sqrt(max(0.0, float(np.median(squared)))))
    spread = 1.4826 * float(np.median(np.abs(squared - np.median(squared))))
    independent = max(1.0, chosen.sum() / INDEPENDENT_PX**2)
    return floor_px, max(LEAST_STD_PX, spread / np.sqrt(independent) / (2 * max(floor_px, 0.5)))


def _likeness(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Correlation of two images at 64 columns, where neither blur nor a shift of pixels matters."""
    small = []
    for image in (first, second):
        size = (64, max(2, round(64 * image.shape[0] / image.shape[1])))
        small.append(cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA).ravel())
    if min(float(values.std()) for values in small) < 1e-6:
        return 0.0
    return float(np.corrcoef(small[0], small[1])[0, 1])
