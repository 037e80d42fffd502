# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The demo, whole: three processes, real topics, a tiny network; and what its bag holds."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from dfd_perception.files.lens_file import read_lens
from dfd_perception.ros.tools.demo_report import measure
from dfd_perception.ros.tools.demo_scene import SceneFrame, demo_folder, read_scene


@pytest.mark.slow
def test_the_demo_answers_every_frame_and_ends_by_itself(ros_environment, tiny_coc_model, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dfd_perception.ros.tools.demo", "--out", str(out), "--model", str(tiny_coc_model)]
    command += ["--picture", str(out / "page.jpg")]
    result = subprocess.run(command, env=ros_environment, capture_output=True, text=True, timeout=110)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert f"look at {out / 'montage.png'}" in result.stdout
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames_sent"] == 24
    assert summary["frames_answered"] + summary["frames_dropped"] == 24
    assert summary["frames_answered"] >= 12
    assert summary["latency_ms"]["p50"] > 0
    assert summary["depth"]["coverage"] > 0.99
    assert summary["depth_baseline"]["abs_rel"] > 0.1
    assert summary["deblurred"]["input_psnr_db"] == summary["deblurred_baseline"]["psnr_db"]
    montage = cv2.imread(str(out / "montage.png"))
    # Of each scene two rows of title and image, one of them with a legend; three columns; gaps.
    assert montage.shape == (2 * (2 * (30 + 251) + 48 + 3 * 8), 3 * 320 + 4 * 8, 3)
    assert cv2.imread(str(out / "page.jpg")).shape == cv2.imread(str(out / "page-2.jpg")).shape == (634, 992, 3)


def test_a_model_that_is_not_there_is_one_line(ros_environment):
    command = [sys.executable, "-m", "dfd_perception.ros.tools.demo", "--model", "no_such_model"]
    result = subprocess.run(command, env=ros_environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "model 'no_such_model' not found" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_scenes_lie_beyond_the_focus_and_are_blurred():
    folder = demo_folder()
    scene = read_scene(folder / "scene_bag")
    assert len(scene) == 24
    nearest = min(float(np.nanmin(frame.depth_m)) for frame in scene.values())
    assert nearest >= read_lens(folder / "lens.yaml").focus_distance_m
    for frame in scene.values():
        assert np.isfinite(frame.depth_m).mean() > 0.9
        detail = [cv2.Laplacian(image, cv2.CV_32F).std() for image in (frame.defocused, frame.aif)]
        assert detail[0] < 0.8 * detail[1]


def test_measures_put_a_trivial_answer_beside_ours():
    truth = np.full((32, 32), 2.0, np.float32)
    truth[:16] = 1.0
    aif = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    scene = {7: SceneFrame(defocused=cv2.GaussianBlur(aif, (0, 0), 2), aif=aif, depth_m=truth)}
    result = measure(scene, {7: truth * 1.1}, {7: aif})
    assert result["depth"]["abs_rel"] == pytest.approx(0.1, abs=1e-4)
    # Of half 1 m and half 2 m the best constant is 1 m: right, and off by half of the truth. 1.5 m would be 0.375.
    assert result["depth_baseline"]["abs_rel"] == pytest.approx(0.25, abs=0.01)
    assert "psnr_db" not in result["deblurred"]  # infinite for the right answer
    assert result["deblurred_baseline"]["psnr_db"] < 20
