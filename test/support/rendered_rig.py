# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Two cameras with known truth that look at a board: every pixel's ray is met with the board's plane."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import DistortedCamera, Distortion
from dfd_perception.core.registration import RigidTransform
from dfd_perception.groundtruth.rig.board import Board

ROBOT = DistortedCamera(
    intrinsics=CameraIntrinsics(width=640, height=480, fx=610.0, fy=612.0, cx=326.0, cy=233.0),
    distortion=Distortion.from_coefficients([-0.12, 0.05, 0.0006, -0.0004, 0.0]),
)
KINECT_COLOUR = DistortedCamera(
    intrinsics=CameraIntrinsics(width=640, height=360, fx=306.0, fy=306.5, cx=319.3, cy=183.0),
    distortion=Distortion.from_coefficients([0.06, -0.08, -0.0002, 0.0003, 0.02]),
)
KINECT_DEPTH = DistortedCamera(
    intrinsics=CameraIntrinsics(width=320, height=288, fx=252.0, fy=252.4, cx=166.0, cy=174.0),
    distortion=Distortion.from_coefficients([0.02, -0.02, 0.0, 0.0, 0.0]),
)
COLOUR_FROM_DEPTH = RigidTransform(
    cv2.Rodrigues(np.array([-0.086, 0.0005, 0.001]))[0], np.array([-0.032, -0.002, 0.004])
)
ROBOT_FROM_COLOUR = RigidTransform(cv2.Rodrigues(np.array([0.03, -0.05, 0.015]))[0], np.array([0.071, -0.043, 0.012]))
ROBOT_FROM_DEPTH = ROBOT_FROM_COLOUR.after(COLOUR_FROM_DEPTH)

CHARUCO = Board(kind="charuco", columns=9, rows=6, square_m=0.05, marker_m=0.037)
CHESSBOARD = Board(kind="chessboard", columns=8, rows=5, square_m=0.05)
APRILTAG = Board(kind="apriltag", columns=6, rows=4, square_m=0.065, marker_m=0.05)
TEXELS_PER_SQUARE = 60
MARGIN_SQUARES = 1


def board_poses(count: int, seed: int = 0) -> list[RigidTransform]:
    """Places of the board before the robot's camera, turned to all sides and moved over the whole image."""
    rng = np.random.default_rng(seed)
    poses = []
    for number in range(count):
        turn = np.array([*rng.uniform(-0.6, 0.6, 2), rng.uniform(-0.4, 0.4)])
        rotation = cv2.Rodrigues(turn)[0]
        distance = rng.uniform(0.6, 0.95)
        column, row = number % 3 - 1, number // 3 % 3 - 1
        centre = np.array([0.26 * column * distance, 0.22 * row * distance, distance])
        poses.append(RigidTransform(rotation, centre - rotation @ np.array([0.2, 0.125, 0.0])))
    return poses


def board_texture(board: Board, kalibr: bool = False) -> NDArray[np.uint8]:
    """The board from above, TEXELS_PER_SQUARE, with its white margin."""
    if board.kind == "apriltag":
        inner = tag_texture(board, kalibr)
    elif board.kind == "charuco":
        size = (board.columns * TEXELS_PER_SQUARE, board.rows * TEXELS_PER_SQUARE)
        charuco = board.charuco()
        inner = charuco.generateImage(size) if hasattr(charuco, "generateImage") else charuco.draw(size)
    else:
        grid = (np.add.outer(np.arange(board.rows + 1), np.arange(board.columns + 1)) + 1) % 2 * 255
        inner = np.kron(grid, np.ones((TEXELS_PER_SQUARE, TEXELS_PER_SQUARE))).astype(np.uint8)
    margin = MARGIN_SQUARES * TEXELS_PER_SQUARE
    return cv2.copyMakeBorder(inner, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=255)


def tag_texture(board: Board, kalibr: bool) -> NDArray[np.uint8]:
    """A grid of AprilTags as OpenCV draws it, or as Kalibr does: from below, upside down, borders of two modules."""
    pitch = TEXELS_PER_SQUARE
    tag = round(pitch * board.marker_m / board.square_m)
    gap = pitch - tag
    texture = np.full((board.rows * pitch + gap, board.columns * pitch + gap), 255, np.uint8)
    for number in range(board.columns * board.rows):
        row, column = divmod(number, board.columns)
        row = board.rows - 1 - row if kalibr else row
        image = cv2.aruco.generateImageMarker(board.predefined(), number, tag, borderBits=2 if kalibr else 1)
        top, left = gap + row * pitch, gap + column * pitch
        texture[top : top + tag, left : left + tag] = np.rot90(image, 2) if kalibr else image
    if kalibr:
        for row, column in np.ndindex(board.rows + 1, board.columns + 1):
            texture[row * pitch : row * pitch + gap, column * pitch : column * pitch + gap] = 0
    return texture


class RenderedCamera:
    """Renders the board; rays are made once."""

    def __init__(self, camera: DistortedCamera, board: Board, kalibr: bool = False) -> None:
        self.camera = camera
        self._rays = camera.ray_map()
        self._texture = cv2.GaussianBlur(board_texture(board, kalibr), (0, 0), 2.0)
        self._square_m = board.square_m
        # Where the board's frame begins: at the first inner corner, or the first tag.
        within = 1 - board.marker_m / board.square_m if board.kind == "apriltag" else 1
        self._origin_texel = (within + MARGIN_SQUARES) * TEXELS_PER_SQUARE - 0.5

    def plane_depth_m(self, pose: RigidTransform) -> NDArray[np.float64]:
        """z-depth [m] of the board's plane at every pixel."""
        normal = pose.rotation[:, 2]
        return (normal @ pose.translation_m) / (self._rays @ normal)

    def image(self, pose: RigidTransform, blur_px: float = 0.5, seed: int = 0) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, defocused by a Gaussian of sigma `blur_px`, with sensor noise."""
        points = self._rays * self.plane_depth_m(pose)[..., None] - pose.translation_m
        on_board = points @ pose.rotation
        texel = on_board[..., :2] / self._square_m * TEXELS_PER_SQUARE
        texel += self._origin_texel
        grey = cv2.remap(self._texture, texel.astype(np.float32), None, cv2.INTER_LINEAR, borderValue=90).astype(
            np.float32
        )
        grey = cv2.GaussianBlur(grey, (0, 0), blur_px)
        grey += np.random.default_rng(seed).normal(0, 2, grey.shape)
        return np.repeat(np.clip(grey * 0.85 + 15, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
