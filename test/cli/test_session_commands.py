# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""dfd ingest, register, inspect and calibrate, as a user runs them."""

from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.cli.inspect import lines_of
from dfd_perception.core.clock import FrameStamps
from dfd_perception.datasets.folder import open_folder
from dfd_perception.groundtruth.rig.overlay import edge_offset
from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration
from dfd_perception.groundtruth.session import RecordedMoment, SessionDescription, SessionWriter
from support import rendered_rig as rig


@pytest.fixture
def recording(shared_data: Path) -> Path:
    return shared_data / "kinect" / "recording.mkv"


def said(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_an_ingest_that_failed_does_not_stand_in_the_way(recording, tmp_path, capsys):
    """No file as large as an image can be written: what a disk that is nearly full does."""
    arguments = ["ingest", str(recording), "--out", str(tmp_path / "session"), "--json"]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        assert main(arguments) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "it is larger than a file may be" in capsys.readouterr().err
    assert not (tmp_path / "session").exists()
    assert main(arguments) == 0


def test_recording_becomes_a_dataset(recording, tmp_path, capsys, shared_data):
    session = tmp_path / "session"
    assert main(["ingest", str(recording), "--out", str(session), "--json"]) == 0
    assert said(capsys)["written"] == 1
    assert main(["register", str(session), "--json"]) == 0
    counts = said(capsys)
    assert counts["frames"] == 1
    assert counts["valid_fraction"] == pytest.approx(0.58, abs=0.01)
    dataset = open_folder(session)
    sample = dataset[0]
    assert sample.defocused.shape == (720, 1280, 3)
    assert sample.camera.fx == pytest.approx(611.795, abs=1e-3)
    sdk_mm = cv2.imread(str(shared_data / "rgbd" / "azure_kinect_pyk4a" / "depth.png"), cv2.IMREAD_UNCHANGED)
    both = (sdk_mm > 0) & np.isfinite(sample.depth_m)
    assert np.median(np.abs(sample.depth_m[both] * 1e3 - sdk_mm[both])) < 1
    assert main(["inspect", str(session), "--json"]) == 0
    found = said(capsys)
    assert found["recorded"]["moments"] == found["registered"]["frames"] == 1
    assert main(["inspect", str(session)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("recorded    1 moment of ")
    assert not set("{}[]'") & set(captured.out.replace(str(session), "")), "words, not Python"
    assert captured.err == "", "no progress bar where nobody sees it"
    sheet = cv2.imread(found["registered"]["sheet"])
    assert sheet.shape[1] == 1600
    assert ((sheet[..., 2] > 180) & (sheet[..., 1] < 110) & (sheet[..., 0] < 110)).sum() > 200, "red edges"


def test_sharp_images_for_synthesis(recording, tmp_path, capsys):
    session = tmp_path / "session"
    assert main(["ingest", str(recording), "--out", str(session), "--json"]) == 0
    assert (
        main(["register", str(session), "--sharp", "--inpaint", "-1", "--crop", "200", "100", "640", "480", "--json"])
        == 0
    )
    capsys.readouterr()
    from dfd_perception.datasets.rgbd import RgbdFolder

    frame = RgbdFolder(session)[0]
    assert frame.rgb.shape == (480, 640, 3)
    assert np.isfinite(frame.depth_m).all()
    assert RgbdFolder(session).depth_unit.stated
    assert frame.camera.cx == pytest.approx(639.304 - 200, abs=1e-3)
    measured = cv2.imread(str(next((session / "measured").iterdir())), cv2.IMREAD_UNCHANGED)
    assert 0.5 < (measured > 0).mean() < 1


def test_users_mistakes_are_told(recording, tmp_path, capsys):
    session = tmp_path / "session"
    assert main(["ingest", str(tmp_path / "absent.mkv"), "--out", str(session)]) == 2
    assert main(["register", str(tmp_path)]) == 2
    assert main(["inspect", str(tmp_path)]) == 2
    assert main(["ingest", str(recording), "--out", str(session), "--json"]) == 0
    assert main(["ingest", str(recording), "--out", str(session)]) == 2
    assert main(["register", str(session), "--aif", "captured"]) == 2
    assert main(["calibrate", str(session), "--board", "chessboard:8x5:0.05"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("dfd: ")]
    assert len(lines) == 6
    assert "cannot be read" in lines[0]
    assert "session.json is missing" in lines[1]
    assert "exists" in lines[3]
    assert "possible: none" in lines[4]
    assert "no images in raw/image" in lines[5]


@pytest.fixture(scope="module")
def board_session(tmp_path_factory) -> Path:
    """The rendered rig's recording of a board: robot camera (defocused), Kinect colour, Kinect depth."""
    session = tmp_path_factory.mktemp("board") / "session"
    board = rig.CHARUCO
    cameras = {"image": rig.ROBOT, "colour": rig.KINECT_COLOUR, "depth": rig.KINECT_DEPTH}
    rendered = {name: rig.RenderedCamera(camera, board) for name, camera in cameras.items()}
    sensor = RgbdCalibration(rig.KINECT_DEPTH, rig.KINECT_COLOUR, rig.COLOUR_FROM_DEPTH)
    description = SessionDescription(source="rendered", parts=tuple(cameras))
    texts = {"calibration.yaml": RigCalibration(sensor=sensor).text()}
    writer = SessionWriter(session, description, texts, least_free_mb=0)
    for number, pose in enumerate(rig.board_poses(12)):
        depth_m = rendered["depth"].plane_depth_m(rig.ROBOT_FROM_DEPTH.inverse().after(pose))
        parts = {
            "image": rendered["image"].image(pose, 1.8, seed=number),
            "colour": rendered["colour"].image(rig.ROBOT_FROM_COLOUR.inverse().after(pose), seed=number),
            "depth": np.where((depth_m > 0.2) & (depth_m < 4), np.rint(depth_m * 1e3), 0).astype(np.uint16),
        }
        stamp = 10**18 + number * 10**8
        writer.write(RecordedMoment(parts=parts, stamps=FrameStamps(ros_ns=stamp + 3_000_000), image_ns=stamp))
    writer.close()
    return session


def test_board_session_calibrates_and_registers(board_session, capsys):
    arguments = [str(board_session), "--board", "charuco:9x6:0.05:0.037", "--json"]
    assert main(["calibrate", *arguments]) == 0
    figures = said(capsys)
    assert figures["camera_rms_px"] < 0.4
    assert figures["both_views"] >= 10
    assert (board_session / "coverage_image.png").is_file()
    solved = RigCalibration.read(board_session / "calibration.yaml")
    shift_m = solved.camera_from_colour.translation_m - rig.ROBOT_FROM_COLOUR.translation_m
    assert np.linalg.norm(shift_m) < 0.004
    assert main(["register", str(board_session), "--json"]) == 2, "the session itself does not know the camera yet"
    assert "dfd calibrate" in capsys.readouterr().err
    calibrated = ["register", str(board_session), "--calibration", str(board_session / "calibration.yaml"), "--json"]
    assert main(calibrated) == 0
    counts = said(capsys)
    assert counts["parts"] == ["defocused", "depth", "aif"]
    sample = open_folder(board_session)[0]
    # What the Kinect did not see is the defocused image, and marked: nothing counts it.
    assert sample.seen.mean() > 0.5
    assert np.array_equal(sample.aif[~sample.seen], sample.defocused[~sample.seen])
    truth_m = rig.RenderedCamera(rig.ROBOT, rig.CHARUCO).plane_depth_m(rig.board_poses(12)[0])
    error_mm = np.abs(sample.depth_m - truth_m) * 1e3
    assert np.nanmedian(error_mm) < 5
    # The Kinect's image stands in for the all-in-focus one: nearer to the sharp truth than the defocused one is.
    sharp = rig.RenderedCamera(rig.ROBOT, rig.CHARUCO).image(rig.board_poses(12)[0], 0.5).astype(float)
    error = [np.abs(image - sharp)[60:-60, 60:-60].mean() for image in (sample.aif, sample.defocused)]
    assert error[0] < 0.95 * error[1]


def test_one_frame_of_another_size_costs_one_frame(board_session, tmp_path, capsys):
    session = tmp_path / "session"
    shutil.copytree(board_session / "raw", session / "raw")
    odd = sorted((session / "raw" / "depth").iterdir())[2]
    cv2.imwrite(str(odd), np.full((119, 214), 900, np.uint16))
    calibrated = ["register", str(session), "--calibration", str(board_session / "calibration.yaml"), "--json"]
    assert main(calibrated) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)["frames"], json.loads(out)["refused"]) == (11, 1)
    assert f"1 moment left out, the first: {odd} is 214 x 119, its calibration" in err
    for path in (session / "raw" / "depth").iterdir():
        cv2.imwrite(str(path), np.full((119, 214), 900, np.uint16))
    assert main(calibrated) == 2
    assert "calibrate at the size that is recorded" in capsys.readouterr().err


def test_registering_again_for_synthesis_leaves_nothing_of_before(recording, tmp_path, capsys):
    """The hint of dfd ingest followed first, then the page on synthesis."""
    session, lens = tmp_path / "session", tmp_path / "lens.yaml"
    lens.write_text("focal_length_mm: 16\nf_number: 1.4\nfocus_distance_m: 0.6\n")
    assert main(["ingest", str(recording), "--out", str(session)]) == 0
    assert "dfd register" in capsys.readouterr().out
    assert main(["register", str(session)]) == 0
    assert "depth_unit_m: 0.001" in (session / "dataset.yaml").read_text()
    assert main(["register", str(session), "--sharp", "--crop", "500", "300", "160", "120"]) == 0
    assert not (session / "defocused").exists()
    next_step = f"dfd synthesize {session} --lens LENS.yaml --out DIR"
    assert capsys.readouterr().out.rstrip().endswith(f"Blur it for training: {next_step}")
    assert main(["inspect", str(session)]) == 0
    assert capsys.readouterr().out.rstrip().endswith(f"registered  sharp images; to blur them: {next_step}")
    out = tmp_path / "out"
    assert main(["synthesize", str(session), "--lens", str(lens), "--out", str(out)]) == 0
    assert "no stated unit" not in capsys.readouterr().err
    assert "depth_unit_m: 0.001" in (out / "dataset.yaml").read_text()


def test_a_failed_calibration_leaves_the_good_one_as_it_was(board_session, tmp_path, capsys):
    assert main(["calibrate", str(board_session), "--board", "charuco:9x6:0.05:0.037", "--json"]) == 0
    good = (board_session / "coverage_image.png").read_bytes()
    assert main(["calibrate", str(board_session), "--board", "charuco:9x6:0.05:0.037", "--min-views", "30"]) == 2
    assert (board_session / "coverage_image.png").read_bytes() == good
    assert (board_session / "coverage_image_failed.png").is_file()
    assert main(["calibrate", str(tmp_path), "--board", "charuco:9x6:0.05:0.037"]) == 2
    assert "is not a recorded session" in capsys.readouterr().err


def test_poor_calibration_is_refused_unless_accepted(board_session, tmp_path, capsys):
    arguments = ["calibrate", str(board_session), "--board", "charuco:9x6:0.05:0.037", "--min-views", "30"]
    arguments += ["--out", str(tmp_path / "poor.yaml"), "--json"]
    assert main(arguments) == 2
    assert "expected 30 or more" in capsys.readouterr().err
    assert not (tmp_path / "poor.yaml").exists()
    assert main([*arguments, "--accept-poor"]) == 0
    assert said(capsys)["faults"]


def test_edge_offset_finds_a_bad_registration():
    rng = np.random.default_rng(0)
    depth_m = np.full((200, 260), 2.0, np.float32)
    depth_m[60:150, 80:190] = 0.9
    image = np.where(depth_m[..., None] < 1, 180, 60) + rng.normal(0, 3, (200, 260, 3))
    image = np.clip(image, 0, 255).astype(np.uint8)
    good = edge_offset(image, depth_m)
    assert max(abs(good.dx), abs(good.dy)) <= 1
    bad = edge_offset(np.roll(image, (4, -7), (0, 1)), depth_m)
    assert bad.dx == pytest.approx(-7, abs=1)
    assert bad.dy == pytest.approx(4, abs=1)
    assert edge_offset(image, np.full((200, 260), 2.0, np.float32)) is None


def test_counts_are_told_without_what_never_came():
    recorded = {"moments": 1, "source": "rgbd_topics", "parts": ["depth"], "counts": {
        "pairs": 16, "bound_ms": 20.0, "dropped": 0, "nearest_ms": None, "histogram": [0, 16, 0]}}  # fmt: skip
    assert list(lines_of({"recorded": recorded})) == [
        "recorded    1 moment of rgbd_topics: depth",
        "            counts: pairs 16, bound ms 20",
    ]
