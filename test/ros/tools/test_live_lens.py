# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd calibrate-lens --live`: a board that moves before a running camera gives the lens."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2 in this environment")
pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")

from dfd_perception.calibration.blur_readings import readings_at  # noqa: E402
from dfd_perception.calibration.lens_fit import fit_lens  # noqa: E402
from dfd_perception.cli.__main__ import main  # noqa: E402
from dfd_perception.cli.calibrate_lens import add_arguments  # noqa: E402
from dfd_perception.cli.calibrate_lens_live import moved_images  # noqa: E402
from dfd_perception.core.optics import DefocusCurve  # noqa: E402
from dfd_perception.core.registration import RigidTransform  # noqa: E402
from dfd_perception.groundtruth.rig.board import Board  # noqa: E402
from support.rendered_rig import APRILTAG, ROBOT, RenderedCamera  # noqa: E402

TRUE = DefocusCurve(gain_px_per_dioptre=10.0, focus_distance_m=0.5, blur_floor_px=1.6)
DISTANCES_M = (0.55, 0.62, 0.71, 0.83)
BOARD = ["--board", "apriltag:6x4:0.05:0.015"]


def board_image(distance_m):
    """As the lens of TRUE would show the board, or nearly: blurred alike over the whole image."""
    rotation = cv2.Rodrigues(np.array([0.1, -0.1, 0.05]))[0]
    pose = RigidTransform(rotation, np.array([0.0, 0.0, distance_m]) - rotation @ np.array([0.18, 0.12, 0.0]))
    return RenderedCamera(ROBOT, APRILTAG).image(pose, blur_px=float(TRUE.coc_px(distance_m)) / 4)


@pytest.fixture
def publishing(peer):
    """Publish images over and over, each for most of a second, from the first subscriber on."""
    ended, threads = threading.Event(), []

    def start(images):
        def publish():
            while not ended.is_set():
                for image in images:
                    for _ in range(8):
                        if not ended.wait(0.1):
                            peer.publish(image, fx=610.0)

        threads.append(threading.Thread(target=publish, daemon=True))
        threads[-1].start()

    yield start
    ended.set()
    for thread in threads:
        thread.join(10)


def arguments_of(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--live", "/image", *BOARD, *words])


def test_a_board_that_moves_gives_the_lens(publishing, capsys):
    """Distances come from the topic and its camera_info; for the readings, those of a meter that errs by 0.3 px."""
    publishing([board_image(distance_m) for distance_m in DISTANCES_M])
    rng = np.random.default_rng(0)
    readings, distances_m = [], []
    images = moved_images(arguments_of("--seconds", "40"), Board.from_text(BOARD[1]))
    with contextlib.closing(images):
        for found in images:
            assert found.fx_px == 610.0, "of camera_info"
            blur = (TRUE.coc_px(found.depth_m) + 0.3 * rng.standard_normal(found.depth_m.shape)).astype(np.float32)
            readings += readings_at(found.depth_m, blur, np.full(blur.shape, 0.3, np.float32), found.name)
            distances_m.append(np.nanmedian(found.depth_m))
            if all(np.isclose(distances_m, true_m, rtol=0.03).any() for true_m in DISTANCES_M):
                break
    fit = fit_lens(readings, typical_floor_px=2.0)
    assert fit.curve.gain_px_per_dioptre == pytest.approx(TRUE.gain_px_per_dioptre, rel=0.06)
    assert fit.curve.focus_distance_m == pytest.approx(TRUE.focus_distance_m, rel=0.04)
    assert capsys.readouterr().err.count("board at") == len(distances_m)


def test_the_same_distance_is_read_once_and_ctrl_c_ends_the_images(publishing):
    before = signal.getsignal(signal.SIGINT)
    publishing([board_image(0.6)])
    started = time.monotonic()
    found = []
    for image in moved_images(arguments_of("--seconds", "60"), Board.from_text(BOARD[1])):
        found.append(image)
        # Not before: until the command listens to Ctrl-C, it would end the tests.
        threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert len(found) == 1
    assert time.monotonic() - started < 50
    assert signal.getsignal(signal.SIGINT) is before


def test_a_board_that_is_not_seen_is_one_line(publishing, tmp_path, capsys):
    publishing([np.full((480, 640, 3), 90, np.uint8)])
    out = tmp_path / "lens.yaml"
    assert main(["calibrate-lens", "--live", "/image", *BOARD, "--seconds", "4", "--out", str(out)]) == 2
    first, *rest = capsys.readouterr().err.splitlines()
    assert "move the board slowly" in first
    assert len(rest) == 1
    assert "is seen in none of" in rest[0]
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--live", "/image", *BOARD], "nobody publishes images on /image; topics with images: none"),
        (["--live", "/image"], "--live takes --board"),
        (["photo.jpg", "--live", "/image", *BOARD], "expected either SOURCE"),
        ([], "expected either SOURCE"),
    ],
)
def test_bad_use_is_one_line(ros_domain_id, monkeypatch, tmp_path, capsys, arguments, says):
    monkeypatch.setattr("dfd_perception.ros.tools.live_images.WAIT_S", 0.5)
    started = time.monotonic()
    assert main(["calibrate-lens", *arguments, "--out", str(tmp_path / "lens.yaml")]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
    assert time.monotonic() - started < 30
