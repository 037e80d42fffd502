# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from types import SimpleNamespace

import onnx
import pytest

from dfd_perception.errors import EngineError
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.tensorrt import engine_precision
from dfd_perception.inference.tensorrt.engine_builder import BuildSettings, build_plan
from dfd_perception.inference.tensorrt.graph_precision import PreparedGraph, prepared_graph, with_opset
from dfd_perception.inference.tensorrt.quantised_graph import write_calibrated_graph
from dfd_perception.inference.tensorrt.runner import load_engine
from dfd_perception.inference.tensorrt.self_check import stored_frames
from dfd_perception.inference.tensorrt.trt_module import is_strongly_typed

SIZE = (64, 96)


@pytest.fixture
def graph_for(tiny_models, trt, tmp_path):
    def make(precision, target="coc", **options):
        calibrated = None
        if precision == "int8":
            calibrated = tmp_path / "calibrated.onnx"
            write_calibrated_graph(tiny_models[target].onnx_path, calibrated, stored_frames(SIZE) * 2)
        request = BackendRequest(model=tiny_models[target], size=SIZE)
        return prepared_graph(
            request, precision, calibrated=calibrated, strongly_typed=is_strongly_typed(trt), **options
        )

    return make


def header(plan: bytes) -> dict:
    return json.loads(plan.removeprefix(b"STAND-IN").split(b"\n", 1)[0])


@pytest.mark.parametrize(("precision", "types"), [("fp32", {"Float"}), ("fp16", {"Half"}), ("int8", {"Half", "Int8"})])
def test_every_version_builds_every_precision(trt, graph_for, precision, types):
    built = build_plan(trt, graph_for(precision), BuildSettings(workspace_mb=256))
    said = header(built.plan)
    assert set(said["types"]) == types
    assert said["workspace"] == 256 << 20
    assert said["tf32"] == (precision != "fp32"), "fp32 must not compute with the ten bits of TF32"
    assert built.timing_cache


def test_only_8_is_weakly_typed(trt, version):
    assert is_strongly_typed(trt) == (not version.startswith("8"))


def test_a_graph_that_does_not_parse_is_reported_in_the_parsers_words(trt):
    with pytest.raises(EngineError, match=f"TensorRT {trt.__version__} does not accept this graph: Failed to parse"):
        build_plan(trt, PreparedGraph(b"\x00garbage", "fp32", 0))


def test_a_failed_build_is_reported_in_the_builders_words(trt, graph_for):
    trt.behaviour.build_fails_with = "Error Code 4: node is not happy"
    with pytest.raises(EngineError, match="could not build the engine: Error Code 4: node is not happy$"):
        build_plan(trt, graph_for("fp32"))


def test_running_out_of_memory_is_called_by_its_name(trt, graph_for):
    trt.behaviour.build_fails_with = "Could not find any implementation for node {ForeignNode[c0...c2]}"
    with pytest.raises(EngineError, match="this is how running out of memory reads.*--workspace-mb .now 1024"):
        build_plan(trt, graph_for("fp32"))


def test_the_words_of_one_failure_are_not_repeated_for_the_next(trt, graph_for):
    trt.behaviour.build_fails_with = "first"
    with pytest.raises(EngineError, match="first"):
        build_plan(trt, graph_for("fp32"))
    trt.behaviour.build_fails_with = "second"
    with pytest.raises(EngineError, match="engine: second$"):
        build_plan(trt, graph_for("fp32"))


@pytest.mark.parametrize("thing", ["create_network", "create_builder_config"])
def test_none_from_the_builder_is_an_error(trt, graph_for, monkeypatch, thing):
    monkeypatch.setattr(trt.Builder, thing, lambda *arguments: None)
    with pytest.raises(EngineError, match=f"{thing} failed"):
        build_plan(trt, graph_for("fp32"))


def test_a_float32_network_is_not_called_fp16(trt, graph_for, version):
    fp32 = graph_for("fp32")
    mislabelled = PreparedGraph(fp32.content, "fp16", fp32.float32_weight_bytes)
    if version.startswith("8"):
        build_plan(trt, mislabelled)  # types are the builder's choice there; the loaded engine is asked instead
        return
    with pytest.raises(EngineError, match="7 of 7 convolutions of the network compute in FLOAT; expected all in HALF"):
        build_plan(trt, mislabelled)


def test_a_loaded_engine_without_half_layers_is_not_called_fp16(trt, graph_for):
    trt.behaviour.ignores_precision = True
    engine = load_engine(trt, build_plan(trt, graph_for("fp16")).plan)
    with pytest.raises(EngineError, match="has no fp16 layer among its 1"):
        engine_precision.require_engine_precision(trt, engine, "fp16")


def engine_that_says(layers):
    told = json.dumps({"Layers": layers})
    return SimpleNamespace(create_engine_inspector=lambda: SimpleNamespace(get_engine_information=lambda form: told))


def tensor(kind):
    return {"Name": kind, "Format/Datatype": kind}


IMAGE_CAST = {"LayerType": "Cast", "Inputs": [tensor("Row major linear UINT8 format")], "Outputs": [tensor("Float")]}
HALF_CONVOLUTION = {
    "LayerType": "CaskConvolution",
    "Inputs": [tensor("Channel major FP16 format where channel % 8 == 0")],
    "Outputs": [tensor("Channel major FP16 format where channel % 8 == 0")],
    "Weights": {"Type": "Half", "Count": 72},
}
INT8_CONVOLUTION = {
    "LayerType": "CaskConvolution",
    "Inputs": [tensor("Thirty-two wide channel vectorized row major Int8 format")],
    "Outputs": [tensor("Half")],
    "Weights": {"Type": "Int8", "Count": 72},
}
IMAGE_POINTWISE = {"LayerType": "PointWiseV2", "Inputs": [tensor("UINT8")], "Outputs": [tensor("UInt8")]}
QUANTISER = {"LayerType": "Reformat", "Inputs": [tensor("Half")], "Outputs": [tensor("Int8")]}


def test_uint8_images_make_no_engine_int8(trt):
    engine = engine_that_says([IMAGE_CAST, IMAGE_POINTWISE, HALF_CONVOLUTION, QUANTISER])
    with pytest.raises(EngineError, match="has no int8 layer among its 4"):
        engine_precision.require_engine_precision(trt, engine, "int8")
    assert engine_precision.require_engine_precision(trt, engine, "fp16") == "1 of 4 layers fp16"


def test_layers_that_compute_in_int8_are_counted(trt):
    engine = engine_that_says([IMAGE_CAST, QUANTISER, INT8_CONVOLUTION, INT8_CONVOLUTION, HALF_CONVOLUTION])
    assert engine_precision.require_engine_precision(trt, engine, "int8") == "2 of 5 layers int8"


def test_a_plan_as_large_as_the_float32_weights_is_not_called_fp16():
    graph = PreparedGraph(b"", "fp16", 40 << 20)
    engine_precision.require_plan_size(b"\0" * (22 << 20), graph)
    with pytest.raises(EngineError, match="has 38 MiB, its weights as float32 have 40 MiB"):
        engine_precision.require_plan_size(b"\0" * (38 << 20), graph)


def test_an_int8_graph_without_quantisers_is_not_called_int8(trt, graph_for, version):
    if version.startswith("8"):
        pytest.skip("8.x: types are the builder's choice, the loaded engine is asked")
    fp16 = graph_for("fp16")
    with pytest.raises(EngineError, match="no quantised tensor"):
        build_plan(trt, PreparedGraph(fp16.content, "int8", fp16.float32_weight_bytes))


def test_the_timing_cache_is_used_again_and_a_foreign_one_dropped(trt, graph_for):
    first = build_plan(trt, graph_for("fp32"))
    assert build_plan(trt, graph_for("fp32"), timing_cache=first.timing_cache).timing_cache == first.timing_cache
    foreign = build_plan(trt, graph_for("fp32"), timing_cache=b"timings of another library")
    assert foreign.timing_cache == first.timing_cache


def test_progress_is_told_where_tensorrt_tells_it(trt, graph_for, version):
    told = []
    build_plan(trt, graph_for("fp32"), on_progress=told.append)
    if version.startswith("8"):
        assert told == []
    else:
        assert told[0].stage == "Building Engine"
        assert 0 < told[0].fraction <= 1


def test_8_refuses_reduced_precision_on_a_gpu_without_it(stand_in, graph_for, monkeypatch):
    trt = stand_in.make_tensorrt("8.6.2.3")
    original = trt.Builder.__init__

    def slow(self, logger):
        original(self, logger)
        self.platform_has_fast_fp16 = False

    monkeypatch.setattr(trt.Builder, "__init__", slow)
    fp32 = graph_for("fp32")
    content = with_opset(onnx.load_from_string(fp32.content), 17).SerializeToString()
    with pytest.raises(EngineError, match="no fast float16; use fp32"):
        build_plan(trt, PreparedGraph(content, "fp16", 0))
