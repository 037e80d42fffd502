# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From a model's ONNX file to the graph that an engine is built from: heads, size and precision are in the graph.

Precision that is carried by the graph means the same to TensorRT 10 and 11, which no longer has flags for it.
None of this needs torch: a robot has the model's float32 graph and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfd_perception.core.size import Size
from dfd_perception.errors import EngineError
from dfd_perception.inference.backends.interface import BackendRequest, Precision
from dfd_perception.inference.backends.onnx_graph import pruned_graph

GRAPH_RECIPE = 2
"""Part of every engine's key; raise it when the same model would be turned into another graph."""

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")

NEXT_PRECISION: dict[Precision, Precision] = {"int8": "fp16", "fp16": "fp32"}
"""What is tried when an engine of a precision cannot be trusted."""


@dataclass(frozen=True)
class PreparedGraph:
    """What the builder is given."""

    content: bytes
    """Serialised ONNX."""
    precision: Precision
    float32_weight_bytes: int
    """Size of the weights as float32: what a reduced engine must be smaller than."""


def prepared_graph(
    request: BackendRequest,
    precision: Precision,
    *,
    calibrated: Path | None = None,
    strongly_typed: bool = True,
    images: bool = False,
) -> PreparedGraph:
    """The graph of a request in a precision.

    Args:
        calibrated: the graph with quantisers that `quantised_graph` wrote; for int8.
        strongly_typed: whether the graph's types decide (TensorRT 10 and newer); else it stays float32.
        images: whether input and deblurred image are uint8 images (`image_io`) instead of float planes.

    Raises:
        EngineError: onnx is absent, a precision that is not offered, or a graph that cannot be converted.
        ModelError: the model folder has no graph.
    """
    onnx = _import_onnx()
    if precision not in PRECISIONS:
        raise EngineError(f"TensorRT: precision {precision} is not offered; expected {', '.join(PRECISIONS)}")
    if precision == "int8" and calibrated is None:
        raise EngineError("precision int8 needs the graph that write_calibrated_graph makes from images")
    content = pruned_graph(request, calibrated) if precision == "int8" else pruned_graph(request)
    model = onnx.load_from_string(content)
    set_input_size(model, request.size)
    from dfd_perception.inference.tensorrt import half_graph, weak_typing
    from dfd_perception.inference.tensorrt import image_io as image_io

    weights = float32_weight_bytes(model)
    if not strongly_typed:
        model = with_opset(model, weak_typing.NEWEST_OPSET)
    elif precision in ("fp16", "int8"):
        if precision == "int8":
            model = with_opset(model, half_graph.QUANTISER_OPSET)
        half_graph.to_half(model)
    if images:
        image_io.add_image_io(model)
    return PreparedGraph(bytes(model.SerializeToString()), precision, weights)


def set_input_size(model: Any, size: Size) -> None:
    """Fix height and width of the graph's image input, in place; the shapes behind it are inferred anew."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, value in zip(dims, (1, 3, *size), strict=True):
        dim.ClearField("dim_param")
        dim.dim_value = value
    # Shapes noted by the exporter are in symbols that mean nothing now.
    del model.graph.value_info[:]
    for output in model.graph.output:
        for dim, value in zip(output.type.tensor_type.shape.dim[2:], size, strict=True):
            dim.ClearField("dim_param")
            dim.dim_value = value


def with_opset(model: Any, wanted: int) -> Any:
    """The same graph in another version of the operator set.

    Raises:
        EngineError: an operator has no equivalent there.
    """
    from onnx import version_converter

    have = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if have == wanted:
        return model
    try:
        return version_converter.convert_version(model, wanted)
    except Exception as error:  # the converter raises RuntimeError and its own classes, which share no base
        raise EngineError(f"the ONNX graph cannot be converted from opset {have} to {wanted}: {error}") from error


def float32_weight_bytes(model: Any) -> int:
    """Bytes that the graph's floating point and quantised weights take as float32."""
    onnx = _import_onnx()
    types = onnx.TensorProto
    weights = {types.FLOAT, types.FLOAT16, types.INT8}
    total = 0
    for tensor in model.graph.initializer:
        if tensor.data_type in weights:
            count = 1
            for side in tensor.dims:
                count *= side
            total += 4 * count
    return total


def _import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise EngineError("building an engine needs the package onnx; pip install onnx") from error
    return onnx
