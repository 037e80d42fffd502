# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""docs/fine-tuning.md, command by command, on real RGB-D images that a simulated lens has defocused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.clock import FrameStamps
from dfd_perception.core.depth_encoding import depth_m_from_uint16_mm
from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.registration import RigidTransform
from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration
from dfd_perception.groundtruth.session import RecordedMoment, SessionDescription, SessionWriter

pytestmark = pytest.mark.torch

FRAMES = 15
SIZE = (192, 256)
LENS = "focal_length_mm: 35.0\nf_number: 1.4\nfocus_distance_m: 0.6\nblur_floor_px: 2.5\n"
"""K 5.3 px per dioptre on this camera: within what the shipped model was trained for."""
CAMERA = DistortedCamera(intrinsics=CameraIntrinsics(width=256, height=192, fx=210.0, fy=210.0, cx=127.5, cy=95.5))


@pytest.fixture
def session(shared_data: Path, tmp_path: Path) -> Path:
    """What the recorder leaves after a drive around: defocused images, sharp ones, depth of the same camera."""
    curve = DefocusCurve.from_aperture(210.0, 35.0 / 1.4, 0.6, "far", 0.0)
    rig = RigCalibration(
        sensor=RgbdCalibration(CAMERA, None, RigidTransform.identity()),
        camera=CAMERA,
        camera_from_depth=RigidTransform.identity(),
    )
    description = SessionDescription(source="rgbd_topics", parts=("depth", "image", "aif"))
    writer = SessionWriter(tmp_path / "session", description, {"calibration.yaml": rig.text()}, least_free_mb=0)
    for number in range(FRAMES):
        folder = shared_data / "rgbd" / f"osd_learn{2 * number:02d}"
        sharp = cv2.imread(str(next(folder.glob("rgb.*"))))[..., ::-1]
        depth_mm = cv2.imread(str(folder / "depth.png"), cv2.IMREAD_UNCHANGED)
        sharp = cv2.resize(np.ascontiguousarray(sharp), SIZE[::-1], interpolation=cv2.INTER_AREA)
        depth_mm = cv2.resize(depth_mm, SIZE[::-1], interpolation=cv2.INTER_NEAREST)
        signed_px = np.asarray(curve.signed_coc_px(depth_m_from_uint16_mm(depth_mm)), np.float32)
        defocused = np.clip(blur_layers(sharp.astype(np.float32), signed_px), 0, 255).astype(np.uint8)
        stamp = 10**18 + number * 10**8
        parts = {"depth": depth_mm, "image": defocused, "aif": sharp}
        writer.write(RecordedMoment(parts=parts, stamps=FrameStamps(ros_ns=stamp), image_ns=stamp))
    writer.close()
    (tmp_path / "lens.yaml").write_text(LENS)
    return tmp_path / "session"


def said(capsys) -> dict:
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_recorded_session_improves_the_weights(session, tmp_path, capsys):
    """The shipped weights, fitted to the session for a minute: its held-back frames are read better."""
    assert main(["register", str(session), "--lens", str(tmp_path / "lens.yaml"), "--json"]) == 0
    counts = said(capsys)
    assert counts["frames"] == FRAMES
    assert counts["parts"] == ["defocused", "depth", "aif"]
    assert main(["inspect", str(session), "--json"]) == 0
    assert said(capsys)["registered"]["frames"] == FRAMES
    tuned = tmp_path / "runs/tuned/model"
    settings = [
        f"runs={tmp_path / 'runs'}", "name=tuned", "max_steps=120", "batch_size=4", "augmentation.crop_px=[160,160]",
        "optimiser.warmup_steps=4", "optimiser.ema_decay=0.9", "validate_every=1000", "workers=0", "threads=1",
        "onnx=false", "precision=fp32",
    ]  # fmt: skip
    assert main(["train", "finetune", "--data", str(session), "--json", *settings]) == 0
    capsys.readouterr()
    rows = [json.loads(line) for line in (tuned.parent / "metrics.jsonl").read_text().splitlines()]
    before, after = (row["loss"] for row in rows if row["split"] == "validation")
    assert after < before
    reports = {}
    for name, model in (("before", "2hded-small"), ("after", str(tuned))):
        out = tmp_path / f"report_{name}"
        arguments = ["--model", model, "--data", str(session), "--split", "val", "--backend", "torch"]
        assert main(["evaluate", *arguments, "--out", str(out)]) == 0
        assert (out / "report.html").is_file()
        reports[name] = json.loads((out / "report.json").read_text())
    assert reports["after"]["frames"] == reports["after"]["answered"] == 3
    blur_px, rmse_m = (
        [reports[name][section][figure] for name in ("before", "after")]
        for section, figure in (("defocus", "mae"), ("depth", "rmse_m"))
    )
    print(f"held-back frames: loss {before:.2f} to {after:.2f}, blur {blur_px} px, depth {rmse_m} m")
    assert blur_px[1] < blur_px[0]
    assert rmse_m[1] < rmse_m[0]


def test_kinect_recording_alone_becomes_defocused_training_data(shared_data, tmp_path, capsys):
    session, lens = tmp_path / "kinect", tmp_path / "lens.yaml"
    lens.write_text(LENS)
    recording = shared_data / "kinect" / "recording.mkv"
    assert main(["ingest", str(recording), "--out", str(session), "--json"]) == 0
    assert main(["register", str(session), "--sharp", "--crop", "320", "120", "320", "240", "--json"]) == 0
    assert main(["synthesize", str(session), "--lens", str(lens), "--out", str(tmp_path / "data"), "--json"]) == 0
    assert said(capsys)["frames"] == 1
    defocused = cv2.imread(str(next((tmp_path / "data" / "defocused").iterdir())))
    sharp = cv2.imread(str(next((tmp_path / "data" / "aif").iterdir())))
    assert cv2.Laplacian(defocused, cv2.CV_32F).var() < cv2.Laplacian(sharp, cv2.CV_32F).var()
