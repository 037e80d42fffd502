# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The prior of lens and working range reaches the network, in every runtime; graphs of before take none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfd_perception.core.blur_bins import bin_centres_px, blur_log_prior
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.inference.ladder import compile_backend

BACKENDS = ("openvino", "onnxruntime", "torch")
IMAGE = np.random.default_rng(0).random((1, 3, 64, 96)).astype(np.float32)


@pytest.fixture
def tiny(project_root: Path) -> Path:
    return project_root / "test" / "assets"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_prior_narrows_what_the_network_says(tiny: Path, backend: str) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    request = BackendRequest(model=load_model_folder(tiny / "tiny_coc"), heads="depth", size=(64, 96))
    compiled = compile_backend(request, backend).backend
    free = compiled.run(IMAGE)["coc"].copy()
    prior = np.full((1, 28, 1, 1), -12, np.float32)
    prior[:, 3:6] = 0
    bound = compiled.run(IMAGE, prior)["coc"].copy()
    again = compiled.run(IMAGE)["coc"]
    centres_px = bin_centres_px(28)
    assert free.mean() > centres_px[6]
    assert centres_px[3] <= bound.mean() < centres_px[6]
    np.testing.assert_array_equal(again, free)


def test_the_estimator_gives_lens_and_range_to_the_network(tiny: Path) -> None:
    model = load_model_folder(tiny / "tiny_coc")
    image = (IMAGE[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    weak = DefocusCurve(gain_px_per_dioptre=2.0, focus_distance_m=1.0)
    estimator = DepthEstimator(model, EstimatorOptions(backend="onnxruntime"))
    free, bound = estimator.predict(image), estimator.predict(image, weak)
    assert free.coc_px is not None
    assert bound.coc_px is not None
    # K / F = 2 px is all that this lens can blur beyond its focus distance.
    assert bound.coc_px.max() < 3.3 < free.coc_px.mean()
    ranged = DepthEstimator(model, EstimatorOptions(backend="onnxruntime", depth_min_m=1.0, depth_max_m=1.2))
    narrow = ranged.predict(image, weak)
    assert narrow.coc_px is not None
    assert narrow.coc_px.mean() < bound.coc_px.mean()
    assert blur_log_prior(weak, 28, 1.0, 1.2)[0, -1, 0, 0] == -12


def test_a_model_of_before_runs_on_by_its_graph(tiny: Path) -> None:
    model = load_model_folder(tiny / "tiny_coc_before")
    assert model.card.blur_bins == 0
    image = (IMAGE[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    curve = DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6)
    said = DepthEstimator(model, EstimatorOptions(backend="openvino")).predict(image, curve)
    assert said.coc_px is not None
    assert said.coc_px.shape == (64, 96)
