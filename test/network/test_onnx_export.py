# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from dfd_perception.core.network_geometry import Geometry
from dfd_perception.errors import ModelError
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.ladder import compile_backend
from dfd_perception.network import create_network
from dfd_perception.network.onnx_export import export_onnx

ASSETS = Path(__file__).resolve().parent.parent / "assets"
TOLERANCE_OF_RANGE = 1e-4
"""Largest difference to torch, as a share of the output's range: float32 sums in another order."""


@pytest.fixture(scope="module")
def photograph(shared_data) -> np.ndarray:
    from dfd_perception.files.images import read_rgb

    images = sorted((shared_data / "rgbd").rglob("rgb.*"))
    if not images:
        pytest.skip(f"no rgb image below {shared_data / 'rgbd'}")
    return read_rgb(images[0])


@pytest.mark.parametrize("heads", ["both", "depth", "deblurred"])
@pytest.mark.parametrize("name", ["tiny_coc", "tiny_depth"])
def test_every_runtime_says_the_same_of_a_photograph(photograph, name, heads):
    model = load_model_folder(ASSETS / name)
    geometry = Geometry.fitting(photograph.shape[:2], (250, 330))
    batch = geometry.to_network(photograph)
    answers = {}
    for backend in ("torch", "onnxruntime", "openvino"):
        request = BackendRequest(model=model, heads=heads, size=geometry.padded_size, device="cpu", num_threads=1)
        compiled = compile_backend(request, backend).backend
        answers[backend] = {name: array.copy() for name, array in compiled.run(batch).items()}
        compiled.close()
    reference = answers.pop("torch")
    for backend, said in answers.items():
        assert said.keys() == reference.keys()
        for output, expected in reference.items():
            largest = float(np.abs(said[output] - expected).max())
            bound = TOLERANCE_OF_RANGE * float(np.ptp(expected))
            assert largest <= bound, f"{backend} {output}: {largest} > {bound}"


@pytest.mark.parametrize("target", ["coc", "depth"])
def test_a_graph_has_the_names_that_the_design_gives(tmp_path, target, tiny_options):
    network = create_network("2hded-small", target, **tiny_options).eval()
    names = export_onnx(network, tmp_path / "m.onnx", metadata={"unit": "px"})
    graph = onnx.load(str(tmp_path / "m.onnx"))
    assert names == (["coc", "coc_log_var", "deblurred"] if target == "coc" else ["depth", "deblurred"])
    inputs = ["image", "blur_log_prior"] if target == "coc" else ["image"]
    assert [value.name for value in graph.graph.input] == inputs
    assert [value.name for value in graph.graph.output] == names
    assert {prop.key: prop.value for prop in graph.metadata_props}["unit"] == "px"
    assert graph.opset_import[0].version == 18


def test_a_static_half_precision_graph_is_near_the_full_one(tmp_path, tiny_options):
    onnxruntime = pytest.importorskip("onnxruntime")
    network = create_network("2hded-small", "coc", **tiny_options).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    export_onnx(network, tmp_path / "half.onnx", size=(64, 96), half=True)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    image = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)
    session = onnxruntime.InferenceSession(str(tmp_path / "half.onnx"), providers=["CPUExecutionProvider"])
    (coc,) = session.run(["coc"], {"image": image, "blur_log_prior": np.zeros((1, 28, 1, 1), np.float32)})
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).coc_px.numpy()
    assert coc.dtype == np.float32
    assert np.abs(coc - expected).max() < 0.02 * max(float(expected.max()), 1.0)


@pytest.mark.parametrize("size", [(0, 64), (48, 64), (64, 100)])
def test_a_size_that_the_encoder_cannot_halve_is_refused(tmp_path, size, tiny_options):
    network = create_network("2hded-small", "coc", **tiny_options)
    with pytest.raises(ModelError, match="multiples of 32"):
        export_onnx(network, tmp_path / "m.onnx", size=size)
