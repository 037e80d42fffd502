# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The examples run: the script as a program, the notebook cell by cell in one namespace."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")

ROOT = Path(__file__).resolve().parent.parent
LENS = "focal_length_mm: 35\nf_number: 1.4\nfocus_distance_m: 0.6\npixel_pitch_um: 56.25\n"


def test_the_script_runs(tiny_coc_model, tmp_path):
    cv2.imwrite(str(tmp_path / "image.png"), np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    (tmp_path / "lens.yaml").write_text(LENS)
    script = [sys.executable, str(ROOT / "examples" / "depth_of_an_image.py")]
    arguments = [str(tmp_path / name) for name in ("image.png", "lens.yaml")]
    command = [*script, *arguments, "--model", str(tiny_coc_model)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert result.returncode == 0, result.stderr
    assert re.search(r"\d+ points from \(-?\d+\.\d\d, ", result.stdout)
    assert re.search(r"in the middle: [\d.]+ m \+- [\d.]+ m", result.stdout)
    assert (tmp_path / "image_sheet.png").stat().st_size > 1000
    assert (tmp_path / "image_points.ply").read_bytes().startswith(b"ply\n")


def test_the_script_says_what_a_lens_lacks(tiny_coc_model, tmp_path):
    (tmp_path / "lens.yaml").write_text(LENS.replace("pixel_pitch_um: 56.25\n", ""))
    script = str(ROOT / "examples" / "depth_of_an_image.py")
    command = [sys.executable, script, "image.png", str(tmp_path / "lens.yaml"), "--model", str(tiny_coc_model)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert result.returncode == 1
    assert "the focal length in pixels is not known" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_cell_of_the_notebook_runs(tiny_coc_model, monkeypatch, capsys):
    pytest.importorskip("rosbags", reason="no rosbags in this environment")
    monkeypatch.setenv("DEMO", str(ROOT / "demo"))
    monkeypatch.setenv("MODEL", str(tiny_coc_model))
    notebook = json.loads((ROOT / "examples" / "depth_of_an_image.ipynb").read_text("utf-8"))
    assert notebook["nbformat"] == 4
    names: dict = {"__name__": "notebook"}
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for source in cells:
        exec(compile(source, "depth_of_an_image.ipynb", "exec"), names)
    assert names["points"].shape[1] == 3
    assert names["result"].depth_m.shape == (352, 448)
    assert "in focus: not resolved" in capsys.readouterr().out


def test_the_python_page_names_what_there_is(tiny_coc_model, tmp_path, monkeypatch):
    """Code blocks of docs/python.md run from top to bottom."""
    text = (ROOT / "docs" / "python.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) >= 4
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lens.yaml").write_text(LENS)
    cv2.imwrite("image.jpg", np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    names: dict = {"__name__": "page"}
    for block in blocks:
        exec(compile(block.replace('"2hded-small"', repr(str(tiny_coc_model))), "python.md", "exec"), names)
