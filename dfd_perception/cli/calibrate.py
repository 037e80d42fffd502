# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Calibrate the robot camera against the depth sensor, from a session in which both saw a board.

Print a board, glue it onto something flat, record it (recorder node, ~/start) in 15 to 30 poses: near and far, in the
corners of the image, turned to all sides. A defocused image does not matter. Result: calibration.yaml, and a
coverage image for each camera. A poor calibration is refused, with the reasons.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfd_perception.errors import counted

if TYPE_CHECKING:
    from dfd_perception.groundtruth.rig.board import Board, BoardView
    from dfd_perception.groundtruth.rig.solve import QualityLimits, SolvedCamera


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dfd calibrate`."""
    from dfd_perception.groundtruth.rig.board import FORMS

    parser.add_argument("session", type=Path, metavar="SESSION", help="recording of the board")
    parser.add_argument("--board", required=True, help=FORMS)
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: SESSION/calibration.yaml")
    parser.add_argument("--rational", action="store_true", help="eight distortion terms: wide lenses, many views")
    parser.add_argument(
        "--sensor-intrinsics",
        choices=("factory", "solve"),
        default="factory",
        help="colour camera of the depth sensor: as the session has them (default), or from the board too",
    )
    parser.add_argument("--max-rms", type=float, default=1.0, metavar="PX",
                        help="largest error of corners [px] (default: 1)")  # fmt: skip
    parser.add_argument("--min-views", type=int, default=10, metavar="N", help="least views of the board (default: 10)")
    parser.add_argument("--min-coverage", type=float, default=0.5, metavar="F",
                        help="least share of the image where the board was seen (default: 0.5)")  # fmt: skip
    parser.add_argument("--accept-poor", action="store_true", help="write it although it is poor")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Calibrate; exit code 2 when the result is too poor to use."""
    from dfd_perception.core.distortion import DistortedCamera
    from dfd_perception.errors import CalibrationError, writing
    from dfd_perception.groundtruth.rig.board import Board
    from dfd_perception.groundtruth.rig.rig_calibration import FILE_NAME, RigCalibration
    from dfd_perception.groundtruth.rig.solve import QualityLimits, solve_pair
    from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration
    from dfd_perception.groundtruth.session import RAW, SessionDescription

    board = Board.from_text(args.board)
    limits = QualityLimits(fewest_views=args.min_views, largest_rms_px=args.max_rms, least_coverage=args.min_coverage)
    SessionDescription.read(args.session)
    rig = RigCalibration.read(args.session / RAW / FILE_NAME)
    if rig.sensor.colour is None:
        raise CalibrationError(f"{args.session} has no colour camera beside the depth; the board cannot be seen by it")
    views = {part: _find(args.session, part, board, args.json) for part in ("image", "colour")}
    camera, faults = _solve(args, "image", views["image"], board, limits)
    colour = rig.sensor.colour
    sensor = rig.sensor
    if args.sensor_intrinsics == "solve":
        solved_colour, more = _solve(args, "colour", views["colour"], board, limits)
        faults += more
        colour = DistortedCamera(intrinsics=solved_colour.camera.intrinsics, distortion=solved_colour.camera.distortion)
        sensor = RgbdCalibration(sensor.depth, colour, sensor.colour_from_depth)
    pair = solve_pair(views["colour"], views["image"], board, colour, camera.camera)
    if pair.rms_px > 1.5 * limits.largest_rms_px:
        faults.append(
            f"both cameras together: corners are {pair.rms_px:.2f} px off, expected {1.5 * limits.largest_rms_px:.2f} "
            "at most; was the board, or the rig, moving?"
        )
    if faults and not args.accept_poor:
        raise CalibrationError("calibration refused. " + "; ".join(faults))
    figures: dict[str, Any] = {
        "camera_rms_px": round(camera.rms_px, 4),
        "both_rms_px": round(pair.rms_px, 4),
        "camera_views": camera.views,
        "both_views": pair.views,
        "coverage": round(camera.coverage, 3),
        "tilt_deg": round(camera.tilt_deg, 1),
        "faults": faults,
    }
    solved = RigCalibration(
        sensor=sensor,
        camera=camera.camera,
        camera_from_depth=pair.second_from_first.after(sensor.colour_from_depth),
        quality=figures,
    )
    out = args.out or args.session / FILE_NAME
    with writing(out):
        out.write_text(solved.text(), encoding="utf-8")
    if args.json:
        print(json.dumps(figures | {"file": str(out)}))
    else:
        print(
            f"{out}: corners {camera.rms_px:.2f} px off in the camera, {pair.rms_px:.2f} px in both; "
            f"{counted(camera.views, 'view')}, {camera.coverage:.0%} of the image covered"
        )
    return 0


def _find(session: Path, part: str, board: Board, quiet: bool) -> list[BoardView | None]:
    """The board in every image of one camera, None where it is not seen."""
    import cv2
    from tqdm import tqdm

    from dfd_perception.errors import DatasetError
    from dfd_perception.files.images import read_rgb
    from dfd_perception.groundtruth.rig.board import find_board
    from dfd_perception.groundtruth.session import RAW, SessionDescription
    from dfd_perception.groundtruth.session_index import rebuild_index

    parts = SessionDescription.read(session).parts
    if part not in parts:
        raise DatasetError(f"{session} has no images in {RAW}/{part}; record robot camera and depth sensor together")
    rows = rebuild_index(session / RAW, parts).rows
    views = []
    for row in tqdm(rows, desc=part, unit=" images", disable=quiet or None):
        path = next((session / RAW / part).glob(f"{row.stem}.[pj]*g"))
        try:
            image = cv2.cvtColor(read_rgb(path), cv2.COLOR_RGB2GRAY)
        except DatasetError:
            image = None  # a damaged file is a view without a board
        views.append(None if image is None else find_board(image, board))
    return views


def _solve(
    args: argparse.Namespace, part: str, views: list[BoardView | None], board: Board, limits: QualityLimits
) -> tuple[SolvedCamera, list[str]]:
    """Intrinsics of one camera, and its faults.

    Its coverage image is written even when it cannot be solved, under another name: that of a good calibration stays.
    """
    import cv2

    from dfd_perception.errors import CalibrationError
    from dfd_perception.files.images import read_rgb, write_png
    from dfd_perception.groundtruth.rig.solve import coverage_image, faults_of, solve_camera
    from dfd_perception.groundtruth.session import RAW

    seen = [view for view in views if view is not None]
    first = sorted((args.session / RAW / part).iterdir())[0]
    image = read_rgb(first)
    write_png(args.session / f"coverage_{part}_failed.png", coverage_image(seen, image))
    try:
        solved = solve_camera(seen, board, image.shape[:2], args.rational)
    except cv2.error as error:
        raise CalibrationError(f"{part}: the views of the board contradict each other; record others") from error
    faults = faults_of(part, solved, limits)
    if not faults or args.accept_poor:
        (args.session / f"coverage_{part}_failed.png").replace(args.session / f"coverage_{part}.png")
    return solved, faults
