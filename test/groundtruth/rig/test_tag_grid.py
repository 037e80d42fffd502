# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Grids of AprilTags as OpenCV and as Kalibr print them: the pose of either is its distance."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_perception.calibration.blur_readings import board_depth_m
from dfd_perception.core.registration import RigidTransform
from dfd_perception.errors import CalibrationError
from dfd_perception.groundtruth.rig.board import Board, find_board
from support.rendered_rig import APRILTAG, ROBOT, RenderedCamera


def pose_at(distance_m: float) -> RigidTransform:
    """Before the camera, turned to the side."""
    rotation = cv2.Rodrigues(np.array([0.25, -0.3, 0.1]))[0]
    return RigidTransform(rotation, np.array([0.0, 0.0, distance_m]) - rotation @ np.array([0.18, 0.12, 0.0]))


@pytest.mark.parametrize(
    ("kalibr", "distance_m", "blur_px"), [(False, 0.6, 2.0), (False, 1.2, 0.5), (True, 0.6, 1.5), (True, 0.8, 0.5)]
)
def test_a_grid_gives_its_distance_whoever_printed_it(kalibr: bool, distance_m: float, blur_px: float) -> None:
    camera, pose = RenderedCamera(ROBOT, APRILTAG, kalibr), pose_at(distance_m)
    depth_m = board_depth_m(camera.image(pose, blur_px), APRILTAG, ROBOT)
    assert depth_m is not None
    assert np.isfinite(depth_m).mean() > 0.05
    off = depth_m / camera.plane_depth_m(pose) - 1
    assert np.nanmax(np.abs(off)) < 0.01


def test_tags_of_another_grid_are_no_board() -> None:
    image = RenderedCamera(ROBOT, APRILTAG).image(pose_at(0.7), 0.5)
    other = Board(kind="apriltag", columns=5, rows=5, square_m=0.065, marker_m=0.05)
    assert find_board(image, APRILTAG) is not None
    assert find_board(image, other) is None
    assert find_board(np.full_like(image, 128), APRILTAG) is None


def test_the_text_of_the_command_line() -> None:
    board = Board.from_text("apriltag:6x4:0.05:0.015")
    assert (board.marker_m, board.square_m, board.dictionary) == (0.05, pytest.approx(0.065), "DICT_APRILTAG_36h11")
    assert board.corner_count == 96
    np.testing.assert_allclose(board.corners_m(np.array([0, 6, 24]))[:, :2], [[0, 0], [0.115, 0.05], [0, 0.065]])
    assert Board.from_text("apriltag:6x4:0.05:0.015:DICT_APRILTAG_25h9").dictionary == "DICT_APRILTAG_25h9"
    for wrong in ("apriltag:6x4:0.05", "apriltag:6x4:50:15", "apriltag:6x4:0.05:0.015:DICT_NONE"):
        with pytest.raises(CalibrationError, match="expected"):
            Board.from_text(wrong)
