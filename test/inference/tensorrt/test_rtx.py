# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The real builder and ONNX parser of TensorRT-RTX, which need no GPU: everything up to the plan."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dfd_perception.errors import EngineError
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.tensorrt.engine_builder import build_plan
from dfd_perception.inference.tensorrt.graph_precision import PreparedGraph, prepared_graph, set_input_size
from dfd_perception.inference.tensorrt.quantised_graph import write_calibrated_graph
from dfd_perception.inference.tensorrt.runner import load_engine
from dfd_perception.inference.tensorrt.self_check import stored_frames
from dfd_perception.inference.tensorrt.trt_module import is_strongly_typed, version_of

pytestmark = [pytest.mark.tensorrt, pytest.mark.timeout(400)]

SIZE = (64, 96)


@pytest.fixture(scope="module")
def rtx():
    return pytest.importorskip("tensorrt_rtx_bindings", reason="make test-tensorrt installs it", exc_type=ImportError)


# A worker of its own exports and builds each network.
NETWORKS = [
    pytest.param(network, marks=pytest.mark.xdist_group("-".join(network)))
    for network in (("2hded-small", "coc"), ("2hded-small", "depth"), ("2hded", "depth"))
]


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, tmp_path_factory, graphs):
    """A model folder with an exported network of a variant, random weights."""
    torch = pytest.importorskip("torch")
    from dfd_perception.files.model_folder import FileHash, ModelFolder, sha256_of
    from dfd_perception.network import create_network
    from dfd_perception.network.onnx_export import export_onnx

    variant, target = request.param
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("exported") / variant
    model = graphs.write_model(folder, target)
    exported = create_network(variant, target).eval()
    export_onnx(exported, model.onnx_path)
    onnx_file = FileHash(file="model.onnx", sha256=sha256_of(model.onnx_path))
    return ModelFolder(folder, replace(model.card, variant=variant, onnx=onnx_file, blur_bins=exported.bins))


@pytest.fixture(scope="module")
def calibrated(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrated") / "model.onnx"
    write_calibrated_graph(network.onnx_path, path, stored_frames(SIZE) * 2)
    return path


@pytest.fixture(scope="module")
def built(rtx, network, calibrated):
    """Builds a precision and set of heads of the network, each once: a build takes seconds."""

    @functools.cache
    def build(precision, heads="both"):
        graph = graph_of(network, precision, calibrated, heads, images=True)
        return graph, build_plan(rtx, graph)

    return build


def graph_of(model, precision, calibrated=None, heads="both", **options) -> PreparedGraph:
    request = BackendRequest(model=model, heads=heads, size=SIZE)
    return prepared_graph(request, precision, calibrated=calibrated if precision == "int8" else None, **options)


@pytest.mark.parametrize("heads", ["both", "depth", "deblurred"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_it_builds(built, precision, heads):
    _, engine = built(precision, heads)
    assert set(engine.convolutions) == {"FLOAT" if precision == "fp32" else "HALF"}
    assert len(engine.plan) > 10_000


def test_fp16_engines_are_smaller(built):
    (graph, fp32), (_, fp16) = built("fp32"), built("fp16")
    saved = len(fp32.plan) - len(fp16.plan)
    weights = graph.float32_weight_bytes
    assert saved > 0.4 * weights, "half of each weight"


def test_a_mislabelled_graph_is_not_built(rtx, network):
    fp32 = graph_of(network, "fp32")
    with pytest.raises(EngineError, match="compute in FLOAT; expected all in HALF"):
        build_plan(rtx, PreparedGraph(fp32.content, "fp16", fp32.float32_weight_bytes))


def test_garbage_is_reported_in_the_parsers_words(rtx):
    with pytest.raises(EngineError, match=r"TensorRT 1\.\S+ does not accept this graph: .*(parse|ModelProto)"):
        build_plan(rtx, PreparedGraph(b"not a graph", "fp32", 0))


def test_an_unknown_operator_is_named(rtx):
    node = helper.make_node("DepthFromDefocus", ["image"], ["depth"], domain="nobody.knows", name="the_node")
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 32, 32]) for n in ("image", "depth")]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nobody.knows", 1)]
    content = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    with pytest.raises(EngineError, match="Plugin not found.*node the_node, operator DepthFromDefocus"):
        build_plan(rtx, PreparedGraph(content, "fp32", 0))


def test_default_quantisers_of_the_tool_would_be_refused(rtx, graphs, tmp_path):
    """Why `quantised_graph` asks for symmetric activations and float biases: TensorRT takes nothing else."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    source, out = tmp_path / "a.onnx", tmp_path / "b.onnx"
    model = graphs.tiny_graph("depth")
    bias = onnx.numpy_helper.from_array(np.full(graphs.WIDTH, 0.1, np.float32), "bias")
    model.graph.initializer.append(bias)
    next(n for n in model.graph.node if n.name == "node_c1").input.append("bias")
    source.write_bytes(model.SerializeToString())

    class Frames(quantization.CalibrationDataReader):
        def __init__(self):
            self.frames = iter(stored_frames(SIZE))

        def get_next(self):
            frame = next(self.frames, None)
            return None if frame is None else {"image": frame}

    quantization.quantize_static(str(source), str(out), Frames())
    quantised = onnx.load(str(out))
    set_input_size(quantised, SIZE)
    with pytest.raises(EngineError):
        build_plan(rtx, PreparedGraph(quantised.SerializeToString(), "fp32", 0))


def test_loading_without_a_driver_is_an_error_and_no_crash(rtx, built):
    try:
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a driver here")
    except ImportError:
        pass
    with pytest.raises(EngineError, match="cannot load this engine"):
        load_engine(rtx, built("fp32")[1].plan)


def test_it_is_strongly_typed_and_says_its_version(rtx):
    assert is_strongly_typed(rtx)
    assert version_of(rtx).count(".") == 3


def test_the_newest_stand_in_claims_no_more_than_the_real_one(rtx, stand_in):
    fake = stand_in.make_tensorrt("11.4.0.106")
    for name in vars(fake):
        assert name in ("behaviour", "__version__") or hasattr(rtx, name), name
    for enum in ("BuilderFlag", "NetworkDefinitionCreationFlag", "MemoryPoolType", "LayerType", "DataType",
                 "TensorIOMode", "ProfilingVerbosity", "LayerInformationFormat"):  # fmt: skip
        for member in getattr(fake, enum).__members__:
            assert hasattr(getattr(rtx, enum), member), f"{enum}.{member}"
    for kind in ("Builder", "OnnxParser", "Runtime", "IBuilderConfig", "IExecutionContext", "ICudaEngine"):
        for method in (m for m in vars(getattr(fake, kind)) if not m.startswith("_")):
            assert hasattr(getattr(rtx, kind), method), f"{kind}.{method}"
    for gone in ("FP16", "INT8"):
        assert not hasattr(rtx.BuilderFlag, gone)
    for gone in ("platform_has_fast_fp16", "platform_has_fast_int8"):
        assert not hasattr(rtx.Builder, gone)
    assert not hasattr(rtx.ICudaEngine, "device_memory_size")
    assert not hasattr(rtx.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH")
