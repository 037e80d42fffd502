# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from dfd_perception.errors import EngineError
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.tensorrt import half_graph
from dfd_perception.inference.tensorrt.graph_precision import prepared_graph, with_opset
from dfd_perception.inference.tensorrt.image_io import as_image, as_planes
from dfd_perception.inference.tensorrt.quantised_graph import write_calibrated_graph
from dfd_perception.inference.tensorrt.self_check import stored_frames

SIZE = (64, 96)


def run(content: bytes, image) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": image}), strict=True))


def element_types(content: bytes) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(content)).graph
    types = {v.name: v.type.tensor_type.elem_type for v in [*graph.value_info, *graph.output, *graph.input]}
    return types | {t.name: t.data_type for t in graph.initializer}


@pytest.fixture
def request_for(tiny_models):
    return lambda target, heads="both": BackendRequest(model=tiny_models[target], heads=heads, size=SIZE)


@pytest.fixture
def calibrated(tiny_models, tmp_path, target):
    path = tmp_path / "calibrated.onnx"
    frames = stored_frames(SIZE)
    write_calibrated_graph(tiny_models[target].onnx_path, path, [*frames, *(f[..., ::-1].copy() for f in frames)])
    return path


def test_the_size_is_fixed_and_the_function_is_the_same(request_for, target, image):
    request = request_for(target)
    graph = prepared_graph(request, "fp32")
    dims = onnx.load_from_string(graph.content).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in dims] == [1, 3, *SIZE]
    original = run(request.model.onnx_path.read_bytes(), image)
    for name, array in run(graph.content, image).items():
        np.testing.assert_array_equal(array, original[name])


@pytest.mark.parametrize("heads", ["both", "depth", "deblurred"])
def test_half_precision_agrees_with_float32(request_for, target, heads, image):
    request = request_for(target, heads)
    expected = run(prepared_graph(request, "fp32").content, image)
    found = run(prepared_graph(request, "fp16").content, image)
    assert set(found) == set(request.output_names)
    for name, array in found.items():
        assert array.dtype == np.float32
        # half of a unit in the last of eleven bits, a few layers deep, relative to the output's range
        assert np.abs(array - expected[name]).max() < 4e-3 * max(1.0, np.abs(expected[name]).max())
        assert np.abs(array - expected[name]).max() > 0, "equal to the last bit: nothing was computed in float16"


@pytest.mark.parametrize("heads", ["both", "depth", "deblurred"])
def test_images_instead_of_planes_are_the_same_network(request_for, target, heads, image):
    request = request_for(target, heads)
    steps = np.rint(image * 255)
    expected = run(prepared_graph(request, "fp32").content, (steps / 255).astype(np.float32))
    content = prepared_graph(request, "fp32", images=True).content
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    packed = as_image(image)
    assert (packed.shape, packed.dtype) == ((1, *SIZE, 3), np.uint8)
    found = run(content, packed)
    assert set(found) == set(request.output_names)
    for name, array in found.items():
        if name == "deblurred":
            assert (array.shape, array.dtype) == ((1, *SIZE, 3), np.uint8)
            difference = array.astype(float) - expected[name].transpose(0, 2, 3, 1) * 255
            assert np.abs(difference).max() <= 0.5 + 1e-3, "rounded to the nearest"
        else:
            np.testing.assert_allclose(array, expected[name], atol=1e-5)
    planes = as_planes(found)
    for name, array in planes.items():
        assert array.shape == expected[name].shape
        assert np.abs(array - expected[name]).max() <= 0.5 / 255 + 1e-5


def test_half_precision_ends_at_the_edge_convolutions(request_for):
    content = prepared_graph(request_for("coc"), "fp16").content
    graph, types = onnx.load_from_string(content).graph, element_types(content)
    convolutions = [n for n in graph.node if n.op_type in ("Conv", "ConvTranspose")]
    assert len(convolutions) == 7
    assert {types[n.output[0]] for n in convolutions} == {TensorProto.FLOAT16}
    assert {types[n.input[1]] for n in convolutions} == {TensorProto.FLOAT16}
    for kind in ("Softplus", "Clip", "Sub", "Add", "Mul"):
        assert {types[n.output[0]] for n in graph.node if n.op_type == kind} == {TensorProto.FLOAT}
    for kind in ("Concat", "BatchNormalization"):
        assert {types[n.output[0]] for n in graph.node if n.op_type == kind} == {TensorProto.FLOAT16}
    assert not any(t.data_type == TensorProto.FLOAT and len(t.dims) > 1 for t in graph.initializer)


def test_variances_beyond_float16_survive(graphs, image):
    model = graphs.tiny_graph("coc")
    tensors = {t.name: t for t in model.graph.initializer}
    big = np.linspace(7e4, 9e6, graphs.WIDTH).astype(np.float32)  # float16 ends at 65504
    tensors["bn_var"].CopyFrom(numpy_helper.from_array(big, "bn_var"))
    expected = run(model.SerializeToString(), image)
    half_graph.to_half(model)
    for name, array in run(model.SerializeToString(), image).items():
        np.testing.assert_allclose(array, expected[name], atol=4e-3 * max(1.0, np.abs(expected[name]).max()))


def test_a_weight_beyond_float16_is_refused_by_name(graphs):
    model = graphs.tiny_graph("coc")
    weight = next(t for t in model.graph.initializer if t.name == "w1")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1e6), "w1"))
    with pytest.raises(EngineError, match="weight w1 reaches"):
        half_graph.to_half(model)


def test_branches_are_refused():
    body = helper.make_graph([helper.make_node("Identity", ["image"], ["y"])], "b", [], [])
    node = helper.make_node("If", ["c"], ["out"], then_branch=body, else_branch=body)
    with pytest.raises(EngineError, match="branches"):
        half_graph.to_half(helper.make_model(helper.make_graph([node], "g", [], [])))


def test_int8_has_symmetric_quantisers_and_no_quantised_bias(request_for, target, calibrated):
    content = prepared_graph(request_for(target), "int8", calibrated=calibrated).content
    graph, types = onnx.load_from_string(content).graph, element_types(content)
    quantisers = [n for n in graph.node if n.op_type == "QuantizeLinear"]
    assert quantisers
    zero_points = {t.name: numpy_helper.to_array(t) for t in graph.initializer if t.data_type == TensorProto.INT8}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            assert not np.any(zero_points[node.input[2]])
            assert types[node.input[1]] == TensorProto.FLOAT16
    assert TensorProto.INT32 not in {t.data_type for t in graph.initializer}
    feeders = {n.output[0]: n for n in graph.node}
    quantised = [n for n in graph.node if n.op_type in ("Conv", "ConvTranspose") and n.input[1] in feeders]
    assert [n.name for n in quantised] == ["node_c1", "node_c2"], "first, last and transposed stay float16"
    assert all(feeders[n.input[0]].op_type == "DequantizeLinear" for n in quantised), "split by a cast"


@pytest.mark.parametrize("heads", ["both", "depth", "deblurred"])
def test_int8_stays_near_float32(request_for, target, heads, calibrated, image):
    request = request_for(target, heads)
    expected = run(prepared_graph(request, "fp32").content, image)
    found = run(prepared_graph(request, "int8", calibrated=calibrated).content, image)
    for name, array in found.items():
        assert np.abs(array - expected[name]).mean() < 0.02 * max(1.0, np.abs(expected[name]).max())


def test_transposed_convolutions_are_quantised_when_asked_for(tiny_models, tmp_path):
    images = stored_frames(SIZE) * 2
    source = tiny_models["coc"].onnx_path
    assert write_calibrated_graph(source, tmp_path / "a.onnx", images) == 2
    assert write_calibrated_graph(source, tmp_path / "b.onnx", images, transposed=True) == 3


def test_too_few_images_are_refused(tiny_models, tmp_path):
    with pytest.raises(EngineError, match="got 4 images; expected at least 8"):
        write_calibrated_graph(tiny_models["coc"].onnx_path, tmp_path / "a.onnx", stored_frames(SIZE))


def test_images_of_a_size_that_the_network_does_not_take_are_refused(tiny_models, tmp_path):
    with pytest.raises(EngineError, match=r"shape \(1, 3, 60, 96\); expected sides of multiples of 32"):
        write_calibrated_graph(tiny_models["coc"].onnx_path, tmp_path / "a.onnx", stored_frames((60, 96)) * 2)


def test_int8_without_calibration_and_other_precisions_are_refused(request_for):
    with pytest.raises(EngineError, match="write_calibrated_graph"):
        prepared_graph(request_for("coc"), "int8")
    with pytest.raises(EngineError, match="bf16 is not offered"):
        prepared_graph(replace(request_for("coc"), precision="bf16"), "bf16")


def test_weak_typing_gets_float32_in_an_old_opset(request_for, image):
    request = request_for("depth")
    content = prepared_graph(request, "fp16", strongly_typed=False).content
    model = onnx.load_from_string(content)
    assert model.opset_import[0].version == 17
    assert TensorProto.FLOAT16 not in {t.data_type for t in model.graph.initializer}
    expected = run(prepared_graph(request, "fp32").content, image)
    for name, array in run(content, image).items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5)


def test_an_opset_that_cannot_be_reached_is_an_error(graphs):
    with pytest.raises(EngineError, match="cannot be converted from opset 18 to 1:"):
        with_opset(graphs.tiny_graph("coc"), 1)
