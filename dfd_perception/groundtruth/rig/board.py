# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Calibration boards and their corners in images, also in defocused ones.

Detectors look for sharp edges, but the corners of a chess pattern stay where they are under any symmetric blur. So each
image is tried at several sizes (blur that is many pixels wide becomes a pixel wide), and for markers also with blur of
several widths taken off again; the try that shows most of the board wins. With 4.7 px for a module of a marker, plain
detection ends at a blur of sigma 1 px, this one at 3 px (a circle of confusion of 12 px).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import CalibrationError
from dfd_perception.groundtruth.rig.tag_grid import TagGrid, find_tags

SCALES = (1.0, 0.5, 0.25)
DEBLUR_SIGMAS_PX = (0.0, 1.2, 2.0, 3.0)
DEBLUR_NOISE = 0.004
"""Noise over signal, in power, of the Wiener filter: less rings, more leaves the modules merged."""

FEWEST_CORNERS = 8

ARUCO_BEFORE_4_7: Any = cv2.aruco
"""Untyped: the newer OpenCV, whose types are known here, lacks these names."""

BEFORE_OPENCV_4_7 = not hasattr(cv2.aruco, "CharucoDetector")
"""ChArUco boards have another interface there: the OpenCV of Debian 12, Ubuntu 22.04 and 24.04."""

FORMS = (
    "chessboard:COLUMNSxROWS:SQUARE_M (inner corners), charuco:COLUMNSxROWS:SQUARE_M:MARKER_M[:DICTIONARY] (squares) "
    "or apriltag:COLUMNSxROWS:TAG_M:GAP_M[:DICTIONARY] (tags)"
)
DICTIONARIES = {"charuco": "DICT_4X4_50", "apriltag": "DICT_APRILTAG_36h11"}


class BoardView(NamedTuple):
    """Corners of the board in one image."""

    ids: NDArray[np.int64]
    """(N,) which corner, growing."""
    points_px: NDArray[np.float32]
    """(N, 2) x right, y down."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A flat board: `kind` chessboard (columns, rows of inner corners), charuco (of squares) or apriltag (of tags).

    square_m: side of a square; from one tag to the next, gap included.
    marker_m: side of a marker or tag, its black border included.
    dictionary: of OpenCV; empty for the usual one of the kind.
    """

    kind: str
    columns: int
    rows: int
    square_m: float
    marker_m: float = 0.0
    dictionary: str = ""

    def __post_init__(self) -> None:
        if not self.dictionary:
            object.__setattr__(self, "dictionary", DICTIONARIES.get(self.kind, ""))
        if self.kind not in ("chessboard", *DICTIONARIES):
            raise CalibrationError(f"board is a {self.kind!r}; expected {FORMS}")
        fewest = 2 if self.kind == "apriltag" else 3
        if min(self.columns, self.rows) < fewest or not 0 < self.square_m < 2:
            raise CalibrationError(
                f"board is {self.columns} x {self.rows} with squares of {self.square_m:g} m; expected at least "
                f"{fewest} x {fewest} and a side in metres, 0.03 for 30 mm"
            )
        if self.kind != "chessboard" and not 0 < self.marker_m < self.square_m:
            raise CalibrationError(f"markers are {self.marker_m} m in squares of {self.square_m} m; expected less")
        if self.kind != "chessboard" and not hasattr(cv2.aruco, self.dictionary):
            usual = DICTIONARIES[self.kind]
            raise CalibrationError(f"dictionary is {self.dictionary!r}; expected one of OpenCV, such as {usual}")
        if self.kind == "chessboard" and (self.columns + self.rows) % 2 == 0:
            raise CalibrationError(
                f"a chessboard of {self.columns} x {self.rows} inner corners looks the same upside down; expected one "
                "even and one odd count, such as 9x6"
            )

    @classmethod
    def from_text(cls, text: str) -> Board:
        """From the form that the command line takes, for example charuco:7x5:0.04:0.03.

        Raises:
            CalibrationError: not of that form.
        """
        kind, *rest = text.split(":")
        try:
            columns, rows = (int(number) for number in rest[0].lower().split("x"))
            first_m = float(rest[1])
            second_m = float(rest[2]) if kind in DICTIONARIES else 0.0
            square_m, marker_m = (first_m + second_m, first_m) if kind == "apriltag" else (first_m, second_m)
            return cls(
                kind=kind,
                columns=columns,
                rows=rows,
                square_m=square_m,
                marker_m=marker_m,
                dictionary=rest[3] if len(rest) > 3 else "",
            )
        except (ValueError, IndexError) as error:
            raise CalibrationError(f"board is {text!r}; expected {FORMS}") from error

    @property
    def corner_grid(self) -> tuple[int, int]:
        """Inner corners across and down, of a board of squares."""
        if self.kind == "chessboard":
            return self.columns, self.rows
        return self.columns - 1, self.rows - 1

    @property
    def corner_count(self) -> int:
        """Corners of the whole board."""
        return 4 * self.tag_grid.tag_count if self.kind == "apriltag" else int(np.prod(self.corner_grid))

    @property
    def tag_grid(self) -> TagGrid:
        """Of a board of AprilTags [m]."""
        return TagGrid(self.columns, self.rows, self.marker_m, self.square_m)

    def corners_m(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(N, 3) [m] of corners by number, in the board's frame, z = 0, counted from its first (inner) corner."""
        if self.kind == "apriltag":
            flat: NDArray[Any] = self.tag_grid.corners(ids)
        else:
            across = self.corner_grid[0]
            flat = np.stack([ids % across, ids // across], axis=1) * self.square_m
        return np.pad(flat, ((0, 0), (0, 1))).astype(np.float32)

    def predefined(self) -> Any:
        """OpenCV's dictionary of the markers."""
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))

    def charuco(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's board."""
        dictionary = self.predefined()
        if BEFORE_OPENCV_4_7:
            create = ARUCO_BEFORE_4_7.CharucoBoard_create
            return create(self.columns, self.rows, self.square_m, self.marker_m, dictionary)
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m, dictionary)


def find_board(image: NDArray[np.uint8], board: Board) -> BoardView | None:
    """Corners of the board in an image, (H, W, 3) RGB or (H, W); None when too few are seen."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    best: BoardView | None = None
    for scale in SCALES:
        small = grey if scale == 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for view in _tries(small, board):
            if best is None or len(view.ids) > len(best.ids):
                best = BoardView(view.ids, ((view.points_px + 0.5) / scale - 0.5).astype(np.float32))
            if len(best.ids) == board.corner_count:
                return best  # the whole board: a smaller image only loses precision
    return best


def _tries(grey: NDArray[np.uint8], board: Board) -> Iterator[BoardView]:
    """What the detector finds in one size of the image, from the image as it is to the most deblurred."""
    if board.kind == "chessboard":
        view = _find_chessboard(grey, board)
        if view is not None:
            yield view
        return
    for sigma_px in DEBLUR_SIGMAS_PX:
        sharper = _deblurred(grey, sigma_px) if sigma_px else grey
        view = _find_charuco(sharper, board) if board.kind == "charuco" else _find_tags(sharper, board)
        if view is not None:
            yield view


def _deblurred(grey: NDArray[np.uint8], sigma_px: float) -> NDArray[np.uint8]:
    """The image with Gaussian blur taken off (Wiener filter), (H, W) uint8."""
    margin = int(4 * sigma_px) + 1  # the transform takes the image for periodic: mirrored, its borders do not ring
    padded = cv2.copyMakeBorder(grey, margin, margin, margin, margin, cv2.BORDER_REFLECT).astype(np.float32)
    y = np.fft.fftfreq(padded.shape[0])[:, None]
    x = np.fft.rfftfreq(padded.shape[1])
    blur = np.exp(-2 * (np.pi * sigma_px) ** 2 * (x * x + y * y))
    sharp = np.fft.irfft2(np.fft.rfft2(padded) * blur / (blur * blur + DEBLUR_NOISE), padded.shape)
    return np.clip(sharp[margin:-margin, margin:-margin], 0, 255).astype(np.uint8)


def _find_chessboard(grey: NDArray[np.uint8], board: Board) -> BoardView | None:
    complete, corners = cv2.findChessboardCornersSB(grey, board.corner_grid, flags=cv2.CALIB_CB_ACCURACY)
    if not complete:
        return None
    return BoardView(np.arange(len(corners)), corners.reshape(-1, 2))


def _find_charuco(grey: NDArray[np.uint8], board: Board) -> BoardView | None:
    if BEFORE_OPENCV_4_7:
        corners, ids = _find_charuco_before_4_7(grey, board.charuco())
    else:
        corners, ids, _, _ = cv2.aruco.CharucoDetector(board.charuco()).detectBoard(grey)
    if ids is None or len(ids) < FEWEST_CORNERS:
        return None
    order = np.argsort(ids.ravel())
    return BoardView(ids.ravel()[order].astype(np.int64), corners.reshape(-1, 2)[order])


def _find_tags(grey: NDArray[np.uint8], board: Board) -> BoardView | None:
    view = find_tags(grey, board.predefined(), board.tag_grid)
    return None if view is None else BoardView(*view)


def _find_charuco_before_4_7(grey: NDArray[np.uint8], board: Any) -> tuple[Any, Any]:
    markers, marker_ids, _ = ARUCO_BEFORE_4_7.detectMarkers(grey, board.dictionary)
    if not markers:
        return None, None
    _, corners, ids = ARUCO_BEFORE_4_7.interpolateCornersCharuco(markers, marker_ids, grey, board)
    # 4.5 and 4.6 count from the corner of the first pixel here, everything else from its centre.
    return (None if corners is None else corners - 0.5), ids
