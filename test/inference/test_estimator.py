# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.errors import ImageError, ModelError
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.inference import compiled_network
from dfd_perception.inference import estimator as estimators
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.inference.ladder import ChosenBackend

ASSETS = Path(__file__).resolve().parent.parent / "assets"
CURVE = DefocusCurve(gain_px_per_dioptre=10.0, focus_distance_m=0.5)


class Scripted:
    """A backend that says 8 px of blur with a std of 2 px, and gives the image back."""

    name, precision, device, details = "scripted", "fp32", "CPU", {}
    compiled = 0

    def __init__(self, request):
        type(self).compiled += 1
        self.request = request
        self.closed = False

    def run(self, image_1x3HxW, blur_log_prior=None):
        one = np.ones((1, 1, *image_1x3HxW.shape[2:]), np.float32)
        said = {"coc": 8 * one, "coc_log_var": 2 * np.log(2.0) * one, "depth": 3 * one, "deblurred": image_1x3HxW}
        return {name: np.asarray(said[name], np.float32) for name in self.request.output_names}

    def close(self):
        self.closed = True


@pytest.fixture
def scripted(monkeypatch):
    def compile_scripted(request, name, failed=None):
        return ChosenBackend(Scripted(request), "test")

    Scripted.compiled = 0
    monkeypatch.setattr(compiled_network, "compile_backend", compile_scripted)


@pytest.fixture(scope="module")
def coc_model():
    return load_model_folder(ASSETS / "tiny_coc")


def image(height: int = 48, width: int = 70) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_depth_follows_from_blur_and_lens(scripted, coc_model):
    said = DepthEstimator(coc_model).predict(image(), CURVE)
    # 1/d = 1/0.5 - 8/10 = 1.2 dioptres; its std is d^2 * 2 / 10.
    assert said.depth_m.shape == (48, 70)
    np.testing.assert_allclose(said.depth_m, 1 / 1.2, rtol=1e-5)
    np.testing.assert_allclose(said.depth_std_m, (1 / 1.2) ** 2 * 0.2, rtol=1e-5)
    np.testing.assert_array_equal(said.deblurred, image())
    assert set(said.latency_s) == {"preprocess", "inference", "postprocess"}


def test_without_a_lens_there_is_blur_and_no_depth(scripted, coc_model):
    said = DepthEstimator(coc_model).predict(image())
    assert said.depth_m is None
    np.testing.assert_allclose(said.coc_px, 8.0, rtol=1e-6)
    np.testing.assert_allclose(said.coc_std_px, 2.0, rtol=1e-6)


def test_a_resized_input_changes_neither_depth_nor_the_unit_of_blur(scripted, coc_model):
    # At half size 8 px of blur are 16 px of the image: twice as many dioptres.
    options = EstimatorOptions(input_size=(48, 64))
    said = DepthEstimator(coc_model, options).predict(image(96, 128), DefocusCurve(
        gain_px_per_dioptre=20.0, focus_distance_m=0.5
    ))  # fmt: skip
    np.testing.assert_allclose(said.coc_px, 16.0, rtol=1e-5)
    np.testing.assert_allclose(said.depth_m, 1 / 1.2, rtol=1e-5)


def test_a_smaller_output_keeps_depth(scripted, coc_model):
    said = DepthEstimator(coc_model, EstimatorOptions(output_size=(24, 35))).predict(image(), CURVE)
    assert said.depth_m.shape == (24, 35)
    np.testing.assert_allclose(said.depth_m, 1 / 1.2, rtol=1e-4)
    assert said.deblurred.shape == (24, 35, 3)


@pytest.mark.parametrize(
    "options",
    [
        EstimatorOptions(depth_max_m=0.8),
        EstimatorOptions(depth_min_m=0.9),
        EstimatorOptions(depth_max_rel_std=0.1),
    ],
)
def test_what_is_out_of_bounds_or_unsure_is_not_a_number(scripted, coc_model, options):
    assert np.isnan(DepthEstimator(coc_model, options).predict(image(), CURVE).depth_m).all()


def test_blur_beyond_that_of_infinity_has_no_depth(scripted, coc_model):
    weak = DefocusCurve(gain_px_per_dioptre=3.0, focus_distance_m=0.5)
    assert np.isnan(DepthEstimator(coc_model).predict(image(), weak).depth_m).all()


def test_a_network_is_compiled_once_for_heads_and_padded_size(scripted, coc_model):
    estimator = DepthEstimator(coc_model)
    for height, width, heads in ((48, 70, "both"), (60, 90, "both"), (48, 70, "depth"), (48, 70, "both")):
        estimator.predict(image(height, width), CURVE, heads)
    assert Scripted.compiled == 2
    backend = estimator.compiled((48, 70)).chosen.backend
    estimator.close()
    assert backend.closed


def test_only_a_few_networks_are_kept_and_the_rest_is_released(scripted, coc_model):
    estimator = DepthEstimator(coc_model)
    first = estimator.compiled((32, 32)).chosen.backend
    second = estimator.compiled((32, 64)).chosen.backend
    for width in range(96, 96 + 32 * (estimators.NETWORKS_KEPT - 2), 32):
        estimator.compiled((32, width))
    assert estimator.compiled((32, 32)).chosen.backend is first  # used again: the other one is the oldest now
    estimator.compiled((32, 640))
    assert second.closed
    assert not first.closed
    assert estimator.is_compiled((32, 32))
    assert not estimator.is_compiled((32, 64))
    assert estimator.compiled((32, 64)).chosen.backend is not second


def test_a_compiled_network_answers_like_the_estimator(scripted, coc_model):
    estimator = DepthEstimator(coc_model)
    one = estimator.predict(image(), CURVE, "depth")
    other = estimator.compiled((48, 70), "depth").predict(image(), CURVE)
    np.testing.assert_array_equal(one.depth_m, other.depth_m)
    assert other.deblurred is None


def test_only_the_asked_head_answers(scripted, coc_model):
    estimator = DepthEstimator(coc_model)
    assert estimator.predict(image(), CURVE, "depth").deblurred is None
    assert estimator.predict(image(), CURVE, "deblurred").depth_m is None


def test_a_head_that_was_not_trained_is_refused(scripted, coc_model):
    only_depth = replace(coc_model, card=replace(coc_model.card, heads=("depth",)))
    estimator = DepthEstimator(only_depth)
    assert estimator.predict(image(), CURVE, "depth").depth_m is not None
    with pytest.raises(ModelError, match="no trained deblurred head"):
        estimator.predict(image(), CURVE, "both")


def test_a_depth_model_needs_no_lens(scripted):
    said = DepthEstimator(load_model_folder(ASSETS / "tiny_depth")).predict(image())
    np.testing.assert_allclose(said.depth_m, 3.0)
    assert said.coc_px is None


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((48, 70), np.uint8), ((48, 70, 4), np.uint8), ((0, 70, 3), np.uint8), ((48, 70, 3), np.float32)],
)
def test_what_is_no_image_is_refused(scripted, coc_model, shape, dtype):
    with pytest.raises(ImageError, match="expected|empty"):
        DepthEstimator(coc_model).predict(np.zeros(shape, dtype), CURVE)


@pytest.mark.parametrize("size", [(1, 40), (45, 33), (64, 96)])
def test_any_size_through_a_real_network(coc_model, size):
    pytest.importorskip("onnxruntime")
    estimator = DepthEstimator(coc_model, EstimatorOptions(backend="onnxruntime", num_threads=1))
    said = estimator.predict(image(*size), CURVE)
    assert said.coc_px.shape == size
    assert said.deblurred.shape == (*size, 3)


def test_standard_deviations_are_left_out_where_nobody_wants_them(scripted, coc_model):
    """Depth is the same without; a limit on the relative std needs them all the same."""
    whole = DepthEstimator(coc_model).compiled((48, 70)).predict(image(), CURVE)
    network = DepthEstimator(coc_model).compiled((48, 70))
    without = network.predict(image(), CURVE, with_std=False)
    assert without.depth_std_m is None
    assert without.coc_std_px is None
    np.testing.assert_array_equal(without.depth_m, whole.depth_m)
    limited = DepthEstimator(coc_model, EstimatorOptions(depth_max_rel_std=0.01)).compiled((48, 70))
    assert np.isnan(limited.predict(image(), CURVE, with_std=False).depth_m).all()
