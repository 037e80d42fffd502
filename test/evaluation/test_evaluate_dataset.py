# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Data sets, baselines, and shares on several machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import jsonschema
import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.evaluation.report.report_json import read_report, schema
from dfd_perception.evaluation.run import evaluate

DATASET_YAML = """format: 1
name: bench
lens: {focus_distance_m: 0.5, focal_length_mm: 35, f_number: 1.4, pixel_pitch_um: 56.25}
counts: {defocused: 7, aif: 7, depth: 7}
splits: {val: [f5, f6]}
"""


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "bench"
    for part in ("defocused", "aif", "depth"):
        (folder / part).mkdir(parents=True)
    (folder / "dataset.yaml").write_text(DATASET_YAML)
    rng = np.random.default_rng(0)
    for i in range(7):
        aif = cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), (64, 48), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / "aif" / f"f{i}.png"), aif)
        cv2.imwrite(str(folder / "defocused" / f"f{i}.png"), cv2.GaussianBlur(aif, (0, 0), 2))
        cv2.imwrite(str(folder / "depth" / f"f{i}.png"), np.full((48, 64), 900 + 50 * i, np.uint16))
    return folder


@pytest.fixture
def arguments(dataset, tiny_coc_model, tmp_path):
    return ["evaluate", "--model", str(tiny_coc_model), "--data", str(dataset), "--out", str(tmp_path / "out"),
            "--backend", "onnxruntime", "--threads", "1"]  # fmt: skip


def repeatable(report):
    return json.dumps({key: value for key, value in report.items() if key not in ("timing", "run")}, sort_keys=True)


def test_a_split_with_its_baselines(arguments, tmp_path):
    extra = ["--split", "val", *(f for name in ("constant", "classical", "sharp") for f in ("--baseline", name))]
    assert main([*arguments, *extra]) == 0
    report = read_report(tmp_path / "out")
    jsonschema.validate(report, schema())
    assert [frame["name"] for frame in report["per_frame"]] == ["f5", "f6"]
    assert report["data"]["sources"][0]["split"] == "val"
    assert report["depth"]["kld"] is not None
    constant = report["baselines"]["constant"]
    assert constant["depth_m"] == pytest.approx(1.15, rel=0.005)  # of 1.15 and 1.2 m, the nearer weighs more
    assert constant["depth"]["abs_rel"] == pytest.approx(0.5 * 0.05 / 1.2, abs=0.004)
    assert set(report["baselines"]) == {"constant", "classical", "sharp"}
    assert report["baselines"]["sharp"]["depth"]["abs_rel"] != report["depth"]["abs_rel"]


def test_the_truth_as_prediction_has_no_error(plan_for, dataset, monkeypatch):
    from dfd_perception.core.prediction import Prediction
    from dfd_perception.evaluation.predictors import ModelPredictor

    def truth(self, frame):
        curve: DefocusCurve = frame.curve
        return Prediction(depth_m=frame.depth_m, coc_px=curve.coc_px(frame.depth_m).astype("f4"), deblurred=frame.aif)

    monkeypatch.setattr(ModelPredictor, "predict", truth)
    report = evaluate(plan_for(data=dataset, lens=None))
    assert (report["depth"]["rmse_m"], report["depth"]["delta1"], report["depth"]["coverage"]) == (0, 1, 1)
    assert report["deblurred"]["ssim"] == 1
    assert report["defocus"]["mae"] == pytest.approx(0, abs=1e-6)
    assert report["calibration"]["scale"] == pytest.approx(1)


def test_two_workers_under_torchrun_write_one_report(arguments, tmp_path, plan_for, dataset):
    pytest.importorskip("torch")
    assert main(arguments) == 0
    alone = read_report(tmp_path / "out")
    out = tmp_path / "shared"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
               "dfd_perception.cli", *arguments[:5], "--out", str(out), *arguments[7:]]  # fmt: skip
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (out / "rows").glob("*.jsonl")) == ["0-of-2.jsonl", "1-of-2.jsonl"]
    assert repeatable(read_report(out)) == repeatable(alone)


def test_shares_by_hand_the_last_one_writes(arguments, tmp_path, capsys):
    assert main([*arguments, "--share", "1/2"]) == 0
    assert "the last one writes the report" in capsys.readouterr().err
    assert not (tmp_path / "out" / "report.json").exists()
    assert main([*arguments, "--share", "0/2"]) == 0
    assert read_report(tmp_path / "out")["frames"] == 7


def test_more_workers_than_frames(arguments, tmp_path):
    assert main([*arguments, "--split", "val", "--share", "2/3"]) == 0
    for share in ("0/3", "1/3"):
        assert main([*arguments, "--split", "val", "--share", share]) == 0
    assert read_report(tmp_path / "out")["frames"] == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: (d / "depth" / "f3.png").unlink(), "f3"),
        (lambda d: (d / "aif" / "f3.png").write_bytes(b"no image"), "f3.png"),
        (lambda d: (d / "dataset.yaml").unlink(), "no known data set layout"),
    ],
)
def test_a_spoilt_data_set_is_one_line(arguments, dataset, capsys, spoil, said):
    spoil(dataset)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_figures_for_a_program(arguments, capsys):
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["frames"] == 7
    assert "per_frame" not in printed


def test_max_frames_holds_for_data_sets_and_the_lens_is_in_the_report(arguments, tmp_path, capsys):
    assert main([*arguments, "--max-frames", "3", "--workers", "2"]) == 0
    report = read_report(tmp_path / "out")
    jsonschema.validate(report, schema())
    assert report["frames"] == 3
    assert report["data"]["sources"][0]["pictures"] == 3
    lens = report["lens"]
    assert lens["origin"] == "the data set's own"
    assert lens["gain_px_per_dioptre"] == pytest.approx(16.7, rel=0.01)
    assert "focus at 0.5 m" in capsys.readouterr().out
    assert "focus at 0.5 m" in (tmp_path / "out" / "report.html").read_text()


def test_without_a_lens_the_report_says_why_and_shows_the_truth(arguments, dataset, tmp_path, capsys):
    (dataset / "dataset.yaml").write_text("format: 1\nname: bench\ncounts: {defocused: 7, aif: 7, depth: 7}\n")
    assert main([*arguments, "--max-frames", "2"]) == 0
    report = read_report(tmp_path / "out")
    jsonschema.validate(report, schema())
    assert "depth" not in report
    assert "states no lens and none was given (--lens)" in report["lens"]["missing"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Depth, true" in page
    assert "states no lens and none was given" in page
