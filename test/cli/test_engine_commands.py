# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd build-engine` and `dfd engines`, with a TensorRT that runs on the CPU."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from dfd_perception.cli import __main__ as cli
from dfd_perception.inference.backends import tensorrt_backend as backend
from dfd_perception.inference.tensorrt import engine_provider
from dfd_perception.inference.tensorrt.self_check import stored_frames
from support import tensorrt_stand_in as stand_in
from support import tiny_graphs as graphs


@pytest.fixture
def trt(monkeypatch):
    made = stand_in.make_tensorrt("10.3.0.30")
    monkeypatch.setattr(backend, "import_tensorrt", lambda: made)
    monkeypatch.setattr(engine_provider, "open_device", lambda device: stand_in.HostMemory())
    return made


@pytest.fixture
def model(tmp_path):
    return graphs.write_model(tmp_path / "indoor", "coc").path


@pytest.fixture
def dfd(trt, model, tmp_path, capsys):
    def run(*arguments, code=0):
        place = ["--cache", str(tmp_path / "engines")]
        assert cli.main([*map(str, arguments), *place]) == code
        return capsys.readouterr()

    return run


def test_an_engine_is_built_listed_and_removed(dfd, model):
    lines = dfd("build-engine", model, "--size", "60x90", "--json").out.splitlines()
    stages = [json.loads(line)["progress"]["stage"] for line in lines[:-1]]
    found = json.loads(lines[-1])["engine"]
    assert {"building (fp16)", "Building Engine", "checking against fp32 on the CPU"} <= set(stages)
    assert (found["precision"], found["heads"]) == ("fp16", "both")
    assert found["self_check"].startswith("passed")
    assert found["latency_ms_p50"] > 0
    listed = json.loads(dfd("engines", "list", "--json").out)["engines"]
    assert [(e["model"], e["size"], e["precision"], e["gpu"]) for e in listed] == [
        ("indoor", "64x96", "fp16", "NVIDIA Orin")
    ]
    assert "1 engine in" in dfd("engines", "list").out
    assert "removed 1 file" in dfd("engines", "prune").out
    assert json.loads(dfd("engines", "list", "--json").out)["engines"] == []


def test_a_second_build_is_a_load_unless_forced(dfd, model, trt):
    for extra in ([], [], ["--force"]):
        dfd("build-engine", model, "--size", "64x96", *extra)
    assert trt.behaviour.calls["build"] == 2


def test_each_of_the_heads(dfd, model):
    lines = dfd("build-engine", model, "--size", "64x96", "--heads", "depth", "deblurred", "--json").out.splitlines()
    assert [json.loads(line)["engine"]["heads"] for line in lines if "engine" in json.loads(line)] == [
        "depth",
        "deblurred",
    ]


def test_a_fallback_is_told(dfd, model, trt):
    trt.behaviour.spoil = {"Half": lambda run, name, array: np.zeros_like(array)}
    said = dfd("build-engine", model, "--size", "64x96").out
    assert "precision        fp32" in said
    assert "its self-check failed" in said


def test_int8_from_a_session(dfd, model, tmp_path):
    session = tmp_path / "session" / "defocused"
    session.mkdir(parents=True)
    for number, frame in enumerate(stored_frames((96, 128)) * 3):
        cv2.imwrite(str(session / f"{number:03d}.png"), (frame[0].transpose(1, 2, 0) * 255).astype(np.uint8))
    options = ("--size", "64x96", "--precision", "int8")
    refused = dfd("build-engine", model, *options).out
    assert "not calibrated on this machine" in refused
    assert "precision        fp16" in refused
    assert "precision        int8" in dfd("build-engine", model, *options, "--calibration", session.parent).out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "480"], "expected HEIGHTxWIDTH"),
        (["--precision", "int4"], "invalid choice"),
    ],
)
def test_bad_options_are_refused(dfd, model, arguments, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["build-engine", str(model), *arguments])
    assert words in capsys.readouterr().err


def test_bad_calibration_is_refused(dfd, model, tmp_path):
    assert "is for int8" in dfd("build-engine", model, "--calibration", tmp_path, code=2).err
    assert "no images" in dfd("build-engine", model, "--precision", "int8", "--calibration", tmp_path, code=2).err
    nowhere = tmp_path / "nowhere"
    assert "no such folder" in dfd("build-engine", model, "--precision", "int8", "--calibration", nowhere, code=2).err


def test_a_failing_build_is_one_line_and_exit_code_1(dfd, model, trt):
    trt.behaviour.build_fails_with = "no tactic"
    said = dfd("build-engine", model, "--size", "64x96", code=1)
    assert "no tactic" in said.err.splitlines()[-1]


def test_without_tensorrt_the_way_to_it_is_said(model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert cli.main(["build-engine", str(model)]) == 1
    assert "tensorrt cannot be imported" in capsys.readouterr().err
