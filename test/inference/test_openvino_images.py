# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""OpenVINO converts images inside the graph: what comes out is what OpenCV's conversions around it give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfd_perception.core.blur_bins import blur_log_prior
from dfd_perception.core.network_geometry import Geometry
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.inference.backends.interface import BackendRequest, ImageBackend
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.inference.ladder import compile_backend

pytest.importorskip("openvino")
pytest.importorskip("onnx")

ASSETS = Path(__file__).resolve().parent.parent / "assets"
SIZE = (64, 96)


def image(height: int, width: int) -> np.ndarray:
    """Every value from 0 to 255 in each channel, and noise."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    noise.reshape(-1, 3)[:256] = np.arange(256, dtype=np.uint8)[:, None]
    return noise


@pytest.mark.parametrize("heads", ["both", "depth", "deblurred"])
@pytest.mark.parametrize("name", ["tiny_coc", "tiny_depth"])
def test_images_and_planes_give_the_same(name, heads):
    model = load_model_folder(ASSETS / name)
    request = BackendRequest(model=model, heads=heads, size=SIZE, device="cpu", num_threads=1)
    backend = compile_backend(request, "openvino").backend
    assert isinstance(backend, ImageBackend)
    geometry, picture = Geometry.fitting(SIZE), image(*SIZE)
    prior = None
    if request.prior_bins:
        prior = blur_log_prior(DefocusCurve(gain_px_per_dioptre=10, focus_distance_m=0.5), request.prior_bins)
    planes = {key: array.copy() for key, array in backend.run(geometry.to_network(picture), prior).items()}
    images = {key: array.copy() for key, array in backend.run_image(picture, prior).items()}
    backend.close()
    assert images.keys() == planes.keys() == set(request.output_names)
    for key, expected in planes.items():
        if key != "deblurred":
            np.testing.assert_allclose(images[key], expected, atol=1e-5 * float(np.ptp(expected)))
            continue
        assert (images[key].shape, images[key].dtype) == ((1, *SIZE, 3), np.uint8)
        assert np.ptp(images[key]) > 10, "an image that says something"
        steps = np.abs(images[key][0].astype(int) - geometry.image_from_network(expected[0]))
        assert steps.max() <= 1
        assert (steps > 0).mean() < 1e-3


@pytest.mark.parametrize("name", ["tiny_coc", "tiny_depth"])
def test_predictions_are_those_of_onnxruntime(name):
    pytest.importorskip("onnxruntime")
    model = load_model_folder(ASSETS / name)
    curve = DefocusCurve(gain_px_per_dioptre=10, focus_distance_m=0.5, blur_floor_px=1.0)
    said = []
    for backend in ("openvino", "onnxruntime"):
        estimator = DepthEstimator(model, EstimatorOptions(backend=backend, num_threads=1))
        first = estimator.predict(image(50, 70), curve)
        kept = first.deblurred.copy(), first.depth_m.copy()
        estimator.predict(255 - image(50, 70), curve)
        np.testing.assert_array_equal(first.deblurred, kept[0], "an answer stays when the next one comes")
        np.testing.assert_array_equal(first.depth_m, kept[1], "an answer stays when the next one comes")
        said.append(first)
        estimator.close()
    ours, theirs = said
    np.testing.assert_allclose(ours.depth_m, theirs.depth_m, rtol=1e-3)
    assert np.abs(ours.deblurred.astype(int) - theirs.deblurred).max() <= 1
