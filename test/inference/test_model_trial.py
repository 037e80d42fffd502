# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A graph that is not of the weights beside it is refused before it answers anything."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.probe import probe_image, summary_of
from dfd_perception.errors import BackendError, DfdPerceptionError, ModelError
from dfd_perception.files.configuration import read_yaml, write_yaml
from dfd_perception.files.model_folder import load_model_folder, sha256_of
from dfd_perception.inference import model_trial
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.inference.ladder import compile_backend
from dfd_perception.inference.model_trial import require_graph_of_weights

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SHIPPED = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture
def folder(tiny_coc_model, tmp_path) -> Path:
    shutil.copytree(tiny_coc_model, tmp_path / "model")
    return tmp_path / "model"


def with_graph(folder: Path, graph) -> Path:
    """Put a graph into a folder as somebody does who knows about the hash."""
    path = folder / "model.onnx"
    if not isinstance(graph, bytes) and "prior" not in str(graph.graph.input):
        take_other_inputs(graph, onnx.load(SHIPPED.parent / "test/assets/tiny_coc/model.onnx"))
    path.write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
    card = read_yaml(folder / "model.yaml")
    card["onnx"]["sha256"] = sha256_of(path)
    write_yaml(folder / "model.yaml", card)
    return folder


def take_other_inputs(graph, whole) -> None:
    """Inputs beside the image belong to the network's kind, not to what is wrong with its graph: use them too."""
    value = "v"
    for number, found in enumerate(found for found in whole.graph.input if found.name != "image"):
        graph.graph.input.append(found)
        mean, nothing, total = (f"{name}{number}" for name in ("mean", "nothing", "total"))
        for node in graph.graph.node:
            node.input[:] = [total if name == value else name for name in node.input]
        added = [
            onnx.helper.make_node("ReduceMean", [found.name], [mean], keepdims=0),
            onnx.helper.make_node("Mul", [mean, "zero"], [nothing]),
            onnx.helper.make_node("Add", [value, nothing], [total]),
        ]
        nodes = [*graph.graph.node[:2], *added, *graph.graph.node[2:]]
        del graph.graph.node[:]
        graph.graph.node.extend(nodes)
        value = total


def loaded(folder: Path):
    return load_model_folder(folder)


def constant_graph(value: float, names=("coc", "coc_log_var", "deblurred"), image="image", grey=False):
    """Outputs of the right shapes which all say one value."""
    helper = onnx.helper
    nodes = [helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("z", 1, [1], [0.0]))]
    nodes += [helper.make_node("Constant", [], ["v"], value=helper.make_tensor("v", 1, [1], [value]))]
    nodes += [helper.make_node("Mul", [image, "zero"], ["none"])]
    nodes += [helper.make_node("ReduceMean", ["none"], ["plane"], axes=[1], keepdims=1)]
    for name in names:
        nodes.append(helper.make_node("Add", ["none" if name == "deblurred" and not grey else "plane", "v"], [name]))
    shape = lambda name: [1, 3 if name in (image, "" if grey else "deblurred") else 1, "height", "width"]  # noqa: E731
    value_info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value_info(image, 1, shape(image))], [value_info(name, 1, shape(name)) for name in names]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_the_models_of_the_project_pass(tiny_coc_model, tiny_depth_model, tmp_path):
    for path in (tiny_coc_model, tiny_depth_model, *(p.parent for p in SHIPPED.glob("*/model.yaml"))):
        model = load_model_folder(path)
        assert model.card.probe, f"{path} has no answer to the probe image; dfd export and dfd train write it"
        require_graph_of_weights(model, tmp_path)
    assert len(list(tmp_path.iterdir())) >= 3, "successes are remembered"


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_every_runtime_answers_the_probe_as_the_weights_do(tiny_coc_model, backend):
    pytest.importorskip(backend)
    model = load_model_folder(tiny_coc_model)
    runtime = compile_backend(BackendRequest(model=model, size=(64, 96), num_threads=1), backend).backend
    found = summary_of({name: np.array(a) for name, a in runtime.run(probe_image()).items()})
    for name, values in model.card.probe.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)


@pytest.mark.torch
def test_the_probe_of_the_card_is_what_the_weights_say(tiny_coc_model):
    pytest.importorskip("torch")
    from dfd_perception.network.checkpoint import load_network
    from dfd_perception.network.onnx_export import probe_answer

    model = load_model_folder(tiny_coc_model)
    said = probe_answer(load_network(model), "both")
    for name, values in model.card.probe.items():
        np.testing.assert_allclose(said[name], values, atol=1e-5)


def test_a_graph_that_lacks_an_output_is_refused(folder, tmp_path):
    model = loaded(with_graph(folder, constant_graph(1.0, names=("coc", "deblurred"))))
    with pytest.raises(ModelError, match="has no output coc_log_var; it has coc, deblurred"):
        require_graph_of_weights(model, tmp_path / "cache")


def test_a_graph_with_other_names_or_shapes_is_refused(folder, tmp_path):
    model = loaded(with_graph(folder, constant_graph(1.0, image="input")))
    with pytest.raises(ModelError, match="takes .*input; expected image"):
        require_graph_of_weights(model, tmp_path / "cache")
    model = loaded(with_graph(folder, constant_graph(1.0, grey=True)))
    with pytest.raises(ModelError, match="deblurred has shape 1x1x.*; expected 1 x 3 x height x width"):
        require_graph_of_weights(model, tmp_path / "cache")


def test_a_black_graph_is_refused_whatever_the_card_says(folder, tmp_path):
    with_graph(folder, constant_graph(0.0))
    model = loaded(folder)
    for probe in ({}, model.card.probe):
        tried = replace(model, card=replace(model.card, probe=probe))
        with pytest.raises(ModelError, match="deblurred image is black"):
            require_graph_of_weights(tried, tmp_path / "cache")


def test_a_graph_whose_numbers_differ_from_the_weights_is_refused(folder, tmp_path):
    graph = onnx.load(folder / "model.onnx")
    for weights in graph.graph.initializer:
        if "upper_head" in weights.name and len(weights.dims) == 4:
            changed = onnx.numpy_helper.to_array(weights) * 1.5
            weights.CopyFrom(onnx.numpy_helper.from_array(changed.astype(np.float32), weights.name))
    model = loaded(with_graph(folder, graph))
    with pytest.raises(ModelError, match="does not answer as the weights beside it do"):
        DepthEstimator(model, EstimatorOptions(backend="onnxruntime"))


def other_weights(folder: Path, probe: dict) -> Path:
    """The graph of other weights, with a card whose hash is right and that says `probe` of the weights."""
    graph = onnx.load(folder / "model.onnx")
    for weights in graph.graph.initializer:
        if "upper_head" in weights.name and len(weights.dims) == 4:
            changed = onnx.numpy_helper.to_array(weights) * 1.5
            weights.CopyFrom(onnx.numpy_helper.from_array(changed.astype(np.float32), weights.name))
    with_graph(folder, graph)
    card = read_yaml(folder / "model.yaml")
    card["probe"] = probe
    write_yaml(folder / "model.yaml", card)
    return folder


@pytest.mark.torch
@pytest.mark.parametrize("said", [(), ("deblurred",), ("something",)])
def test_a_card_that_does_not_say_it_all_has_the_weights_asked(folder, tmp_path, said):
    pytest.importorskip("torch")
    probe = load_model_folder(folder).card.probe
    right = replace(load_model_folder(folder), card=replace(load_model_folder(folder).card, probe={}))
    require_graph_of_weights(right, tmp_path / "cache")
    model = loaded(other_weights(folder, {name: probe.get(name, [1.0]) for name in said}))
    with pytest.raises(ModelError, match="does not answer as the weights beside it do"):
        DepthEstimator(model)


def test_without_probe_and_torch_it_is_said_each_time(folder, tmp_path, monkeypatch, caplog):
    def without_torch(request, name):
        if name == "torch":
            raise BackendError("torch cannot be imported")
        return compile_backend(request, name)

    monkeypatch.setattr(model_trial, "compile_backend", without_torch)
    model = loaded(other_weights(folder, {}))
    for _ in range(2):
        caplog.clear()
        require_graph_of_weights(model, tmp_path / "cache")
        assert "cannot be compared with the weights beside it" in caplog.text
        assert "torch cannot be imported" in caplog.text


def test_a_graph_of_other_weights_by_its_own_word_is_refused(folder, tmp_path):
    graph = onnx.load(folder / "model.onnx")
    stated = next(entry for entry in graph.metadata_props if entry.key == "weights_sha256")
    stated.value = "0" * 64
    model = loaded(with_graph(folder, graph))
    with pytest.raises(ModelError, match="is the graph of other weights than weights.safetensors"):
        require_graph_of_weights(model, tmp_path / "cache")


def test_rubbish_is_left_to_the_ladder(folder, tmp_path):
    model = loaded(with_graph(folder, b"no graph"))
    require_graph_of_weights(model, tmp_path / "cache")
    with pytest.raises(BackendError):
        compile_backend(BackendRequest(model=model, size=(64, 96)), "onnxruntime")


def test_a_graph_of_a_fixed_size_is_refused_in_words_for_another(folder):
    graph = onnx.load(folder / "model.onnx")
    for dimension in graph.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_value = 64
    model = loaded(with_graph(folder, graph))
    for backend in ("onnxruntime", "openvino"):
        pytest.importorskip(backend)
        with pytest.raises(BackendError, match=r"is of 64 x 64 pixels, 64 x 96 are asked for"):
            compile_backend(BackendRequest(model=model, size=(64, 96)), backend)


def test_a_card_that_reaches_out_of_its_folder_is_refused(folder):
    card = read_yaml(folder / "model.yaml")
    card["weights"]["file"] = "../../../etc/passwd"
    write_yaml(folder / "model.yaml", card)
    with pytest.raises(DfdPerceptionError, match="expected a name without folders"):
        loaded(folder)


def test_the_hash_is_that_of_the_file_that_runs(tiny_coc_model):
    model = load_model_folder(tiny_coc_model)
    assert model.hash_of("torch") == sha256_of(tiny_coc_model / "weights.safetensors")[:12]
    assert model.hash_of("openvino") == sha256_of(tiny_coc_model / "model.onnx")[:12]


def test_a_folder_without_a_graph_runs_on_torch(folder):
    pytest.importorskip("torch")
    card = read_yaml(folder / "model.yaml")
    del card["onnx"]
    write_yaml(folder / "model.yaml", card)
    estimator = DepthEstimator(loaded(folder), EstimatorOptions(device="cpu"))
    curve = DefocusCurve(gain_px_per_dioptre=16.0, focus_distance_m=0.6)
    prediction = estimator.predict(np.full((32, 32, 3), 128, np.uint8), curve)
    assert prediction.deblurred is not None
    chosen = estimator.compiled((32, 32)).chosen
    assert chosen.backend.name == "torch"
    assert "dfd export" in chosen.passed_over["openvino"]
