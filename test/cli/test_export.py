# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd export` writes what another runtime can read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dfd_perception.cli.__main__ import main

pytest.importorskip("torch", reason="no torch in this environment")


@pytest.mark.slow
@pytest.mark.torch
def test_the_file_runs_and_agrees_with_the_folders_own(tiny_coc_model, tmp_path, capsys):
    import onnxruntime

    out = tmp_path / "upper.onnx"
    arguments = ["export", str(tiny_coc_model), "--out", str(out), "--heads", "depth", "--size", "32x64", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == ["coc", "coc_log_var"]
    image = np.random.default_rng(0).random((1, 3, 32, 64), np.float32)
    inputs = {"image": image, "blur_log_prior": np.zeros((1, 28, 1, 1), np.float32)}
    providers = ["CPUExecutionProvider"]
    ours = onnxruntime.InferenceSession(str(out), providers=providers).run(["coc"], inputs)[0]
    kept = onnxruntime.InferenceSession(str(tiny_coc_model / "model.onnx"), providers=providers)
    np.testing.assert_allclose(ours, kept.run(["coc"], inputs)[0], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "x.bin"], "expected a name that ends in .onnx"),
        (["--out", "x.onnx", "--size", "big"], "expected HEIGHTxWIDTH"),
        (["--out", "x.onnx", "--size", "33x64"], "expected multiples of 32"),
    ],
)
def test_mistakes_are_one_line(tiny_coc_model, capsys, arguments, says):
    assert main(["export", str(tiny_coc_model), *arguments]) == 2
    assert says in capsys.readouterr().err
