# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""docs/add-a-backend.md, followed: one file and one row, and everything that lists backends knows the new one."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from dfd_perception.cli import benchmark, evaluate, predict
from dfd_perception.cli.doctor import wanted_packages
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.inference.backends.table import BACKENDS, BackendRow, backend_names
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.inference.ladder import ladder

ROW = BackendRow(
    package="numpy",
    implementation="support.mean_backend:MeanBackend",
    devices={"cpu": "answers at once"},
    precisions=("fp32",),
    reads_graph=False,
    advice="pip install numpy",
)


@pytest.fixture
def with_row(monkeypatch):
    monkeypatch.setitem(BACKENDS, "mean", ROW)


def test_the_estimator_runs_it(with_row):
    model = load_model_folder(Path(__file__).parents[1] / "assets" / "tiny_coc")
    estimator = DepthEstimator(model, EstimatorOptions(backend="mean"))
    image = np.full((40, 60, 3), 51, np.uint8)
    np.testing.assert_allclose(estimator.predict(image).coc_px[:32, :32], 0.2 * 40 * 60 / (64 * 64), atol=0.2)
    assert estimator.compiled((40, 60)).chosen.backend.name == "mean"


def test_auto_doctor_and_the_options_know_it(with_row):
    assert ("mean", "answers at once") in ladder("cpu")
    assert "mean" in backend_names()
    assert any("backend mean" in package.purpose for package in wanted_packages())
    for command in (benchmark, evaluate, predict):
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        assert "onnxruntime, torch, mean" in " ".join(parser.format_help().split())


def test_the_node_offers_it(with_row):
    pytest.importorskip("rclpy")
    import importlib

    from dfd_perception.ros.depth_node import dfd_parameters

    importlib.reload(dfd_parameters)
    choices = {
        described.name: described.choices
        for field in dfd_parameters.DfdParameters.__dataclass_fields__.values()
        for described in field.metadata.values()
    }
    assert "mean" in choices["backend"]


def test_every_row_names_a_class_of_one_file():
    for row in BACKENDS.values():
        module, _, name = row.implementation.partition(":")
        path = Path(__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py")
        assert f"class {name}" in path.read_text("utf-8")
