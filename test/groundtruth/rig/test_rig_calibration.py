# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Calibration of a rendered rig with known truth, sharp and defocused, and the refusal of poor ones."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.registration import DepthRegistration
from dfd_perception.errors import CalibrationError
from dfd_perception.groundtruth.rig.board import Board, find_board
from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
from dfd_perception.groundtruth.rig.solve import (
    QualityLimits,
    coverage_image,
    faults_of,
    solve_camera,
    solve_pair,
)
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration
from support import rendered_rig as rig

POSES = rig.board_poses(15)


@pytest.fixture(scope="module", params=["charuco sharp", "charuco defocused", "chessboard defocused"])
def views(request):
    """Views of both cameras; the robot's defocused by sigma 2 or 3 px: circles of confusion of 8 and 12 px."""
    board = rig.CHARUCO if "charuco" in request.param else rig.CHESSBOARD
    blur_px = {"charuco sharp": 0.6, "charuco defocused": 2.0, "chessboard defocused": 3.0}[request.param]
    robot, colour = rig.RenderedCamera(rig.ROBOT, board), rig.RenderedCamera(rig.KINECT_COLOUR, board)
    colour_from_robot = rig.ROBOT_FROM_COLOUR.inverse()
    seen = [
        (
            find_board(robot.image(pose, blur_px, seed=k), board),
            find_board(colour.image(colour_from_robot.after(pose), seed=100 + k), board),
        )
        for k, pose in enumerate(POSES)
    ]
    return request.param, board, [pair[0] for pair in seen], [pair[1] for pair in seen]


def test_corners_are_where_the_board_is(views):
    name, board, robot_views, _ = views
    errors = []
    for pose, view in zip(POSES, robot_views, strict=True):
        if view is not None:
            points = board.corners_m(view.ids) @ pose.rotation.T + pose.translation_m
            errors.append(np.linalg.norm(rig.ROBOT.project(points) - view.points_px, axis=1))
    assert len(errors) >= (10 if name == "charuco defocused" else 7)
    assert np.median(np.concatenate(errors)) < 0.3


def test_rig_comes_back(views):
    """The stated accuracy: focal length 0.5 %, principal point 4 px, rotation 0.3 degrees, translation 4 mm."""
    name, board, robot_views, colour_views = views
    solved = solve_camera([view for view in robot_views if view], board, rig.ROBOT.size)
    k, truth = solved.camera.intrinsics, rig.ROBOT.intrinsics
    assert k.fx == pytest.approx(truth.fx, rel=0.005)
    assert k.fy == pytest.approx(truth.fy, rel=0.005)
    assert np.hypot(k.cx - truth.cx, k.cy - truth.cy) < 4
    assert solved.rms_px < 0.4
    pair = solve_pair(colour_views, robot_views, board, rig.KINECT_COLOUR, solved.camera)
    between = pair.second_from_first.rotation @ rig.ROBOT_FROM_COLOUR.rotation.T
    angle_deg = np.degrees(np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)))
    assert angle_deg < 0.3
    shift_mm = np.linalg.norm(pair.second_from_first.translation_m - rig.ROBOT_FROM_COLOUR.translation_m) * 1e3
    assert shift_mm < 4


def test_depth_registered_by_the_solved_rig_lies_on_the_board():
    """From corners to millimetres: the Kinect's depth of the board, registered, against the board's true plane."""
    board = rig.CHARUCO
    robot, colour = rig.RenderedCamera(rig.ROBOT, board), rig.RenderedCamera(rig.KINECT_COLOUR, board)
    depth = rig.RenderedCamera(rig.KINECT_DEPTH, board)
    colour_from_robot = rig.ROBOT_FROM_COLOUR.inverse()
    robot_views = [find_board(robot.image(pose, 2.0, seed=k), board) for k, pose in enumerate(POSES)]
    colour_views = [
        find_board(colour.image(colour_from_robot.after(pose), seed=k), board) for k, pose in enumerate(POSES)
    ]
    solved = solve_camera([view for view in robot_views if view], board, rig.ROBOT.size)
    pair = solve_pair(colour_views, robot_views, board, rig.KINECT_COLOUR, solved.camera)
    camera_from_depth = pair.second_from_first.after(rig.COLOUR_FROM_DEPTH)
    registration = DepthRegistration(rig.KINECT_DEPTH, solved.camera, camera_from_depth)
    for pose in POSES[:5]:
        pose_in_depth = rig.ROBOT_FROM_DEPTH.inverse().after(pose)
        registered_m = registration.register(depth.plane_depth_m(pose_in_depth))
        error_mm = np.abs(registered_m - robot.plane_depth_m(pose)) * 1e3
        assert np.nanmedian(error_mm) < 4
        # Where a corner lands: the pixel error of the whole chain.
        corners = board.corners_m(np.arange(40))
        true_px = rig.ROBOT.project(corners @ pose.rotation.T + pose.translation_m)
        carried = corners @ pose_in_depth.rotation.T + pose_in_depth.translation_m
        carried = carried @ camera_from_depth.rotation.T + camera_from_depth.translation_m
        assert np.median(np.linalg.norm(solved.camera.project(carried) - true_px, axis=1)) < 1.5


def test_poor_calibrations_are_named():
    board = rig.CHARUCO
    robot = rig.RenderedCamera(rig.ROBOT, board)
    views = [find_board(robot.image(pose, seed=k), board) for k, pose in enumerate(POSES[4:14:9] * 2)]
    solved = solve_camera([view for view in views if view], board, rig.ROBOT.size)
    faults = " ".join(faults_of("camera", solved, QualityLimits()))
    assert "found 4 times" in faults
    assert "of the image" in faults
    good = solved._replace(views=20, coverage=0.9, tilt_deg=40.0)
    assert faults_of("camera", good, QualityLimits()) == []
    assert "2.00 px off" in faults_of("camera", good._replace(rms_px=2.0), QualityLimits())[0]
    assert "tilt" in faults_of("camera", good._replace(tilt_deg=3.0), QualityLimits())[0]
    with pytest.raises(CalibrationError, match="in 1 image;"):
        solve_camera(views[:1], board, rig.ROBOT.size)
    with pytest.raises(CalibrationError, match="in 1 moment;"):
        solve_pair(views[:2], [views[0], None], board, rig.ROBOT, rig.ROBOT)
    image = coverage_image([view for view in views if view], robot.image(POSES[4]))
    assert image.shape == (480, 640, 3)
    assert (image[..., 1] == 255).sum() > 100  # the corners
    assert image[-5, 5, 0] >= 0x60  # a corner of the image that the board never reached


def test_no_board_is_no_view():
    empty = np.full((120, 160), 128, np.uint8)
    assert find_board(empty, rig.CHARUCO) is None
    assert find_board(empty, rig.CHESSBOARD) is None


def test_file_comes_back(tmp_path):
    sensor = RgbdCalibration(rig.KINECT_DEPTH, rig.KINECT_COLOUR, rig.COLOUR_FROM_DEPTH)
    whole = RigCalibration(
        sensor=sensor, camera=rig.ROBOT, camera_from_depth=rig.ROBOT_FROM_DEPTH, quality={"camera_rms_px": 0.2}
    )
    for calibration in (whole, RigCalibration(sensor=sensor)):
        path = tmp_path / "calibration.yaml"
        path.write_text(calibration.text())
        back = RigCalibration.read(path)
        assert back.text() == calibration.text()
        assert back.sensor.depth == sensor.depth
        assert back.camera == calibration.camera
    np.testing.assert_allclose(whole.camera_from_colour.translation_m, rig.ROBOT_FROM_COLOUR.translation_m, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("format: 1", "format: 7"), "format 7"),
        (("plumb_bob", "equidistant"), "equidistant"),
        (("T_camera_kinect", "T_kinect_camera"), "T_camera_kinect"),
    ],
)
def test_wrong_files_are_refused(tmp_path, change, words):
    sensor = RgbdCalibration(rig.KINECT_DEPTH, rig.KINECT_COLOUR, rig.COLOUR_FROM_DEPTH)
    text = RigCalibration(sensor=sensor, camera=rig.ROBOT, camera_from_depth=rig.ROBOT_FROM_DEPTH).text()
    path = tmp_path / "calibration.yaml"
    path.write_text(text.replace(*change))
    with pytest.raises(CalibrationError, match=words):
        RigCalibration.read(path)
    with pytest.raises(CalibrationError, match="absent.yaml"):
        RigCalibration.read(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "chessboard",
        "charuco:9x6:0.05",
        "chessboard:9x7:0.03",
        "rings:9x6:0.03",
        "charuco:9x6:0.05:0.06",
        "chessboard:9x6:30",
    ],
)
def test_wrong_boards_are_refused(text):
    with pytest.raises(CalibrationError, match="board|markers"):
        Board.from_text(text)


def test_board_from_text():
    assert Board.from_text("charuco:9x6:0.05:0.037") == rig.CHARUCO
    assert Board.from_text("chessboard:8x5:0.05") == rig.CHESSBOARD
