# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A float32 ONNX graph in float16 between its convolutions, for strongly typed networks. Needs onnx, not torch.

What lies before the first and behind the last convolution stays float32: the normalisation of the image, the
residual sum that carries the image's own values to the deblurred image, softplus and clamps. It is cheap, and
eleven bits would show there. So do inputs and outputs, which keep the types of the float32 engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dfd_perception.errors import EngineError

QUANTISER_OPSET = 19
"""The first in which a quantiser's scale may be float16."""

CONVOLUTIONS = ("Conv", "ConvTranspose")

FLOAT32_ONLY_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}
"""Inputs that the operator wants in float32 whatever the type of its data: region and scales."""

LARGEST_HALF = 65504.0
SMALLEST_NORMAL_HALF = 6.104e-5


def to_half(model: Any) -> None:
    """Convert in place.

    Raises:
        EngineError: a graph with branches, or a weight beyond the range of float16.
    """
    import onnx

    graph = model.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        raise EngineError("the ONNX graph has branches (If, Loop); float16 is made for plain feed-forward graphs")
    _normalise_batch_norms(graph)
    between = _between_convolutions(graph)
    types = _tensor_types(model)
    _Converter(onnx, graph, between, types).convert()
    del graph.value_info[:]
    onnx.checker.check_model(model)


def _between_convolutions(graph: Any) -> set[int]:
    """Indices of nodes that have a convolution at or before them and at or behind them."""
    producer = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    weights = {tensor.name for tensor in graph.initializer}
    behind_one: set[int] = set()
    for index, node in enumerate(graph.node):  # ONNX lists nodes in an order in which they can run
        if node.op_type == "DequantizeLinear" and node.input[0] in weights:
            behind_one.add(index)  # quantised weights are a part of their convolution
        fed_by = (producer[name] for name in node.input if name in producer)
        if node.op_type in CONVOLUTIONS or any(source in behind_one for source in fed_by):
            behind_one.add(index)
    before_one: set[int] = set()
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if node.op_type in CONVOLUTIONS or index in before_one:
            before_one.add(index)
            before_one.update(producer[name] for name in node.input if name in producer)
    return behind_one & before_one


def _tensor_types(model: Any) -> dict[str, int]:
    """Element type of every tensor of the graph, by name."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=False).graph
    described = [*inferred.value_info, *inferred.input, *inferred.output]
    types = {value.name: value.type.tensor_type.elem_type for value in described}
    types.update({tensor.name: tensor.data_type for tensor in inferred.initializer})
    return types


def _normalise_batch_norms(graph: Any) -> None:
    """Write each BatchNormalization with mean 0 and variance 1: trained variances do not fit into float16."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "BatchNormalization" or not all(name in tensors for name in node.input[1:5]):
            continue
        values = [numpy_helper.to_array(tensors[name]).astype(np.float64) for name in node.input[1:5]]
        scale, bias, mean, variance = values
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        unit = (factor, bias - mean * factor, np.zeros_like(mean), np.ones_like(mean))
        for number, array in enumerate(unit):
            name = f"{node.output[0]}_norm_{number}"
            graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
            node.input[number + 1] = name
        for attribute in node.attribute:
            if attribute.name == "epsilon":
                attribute.f = 0.0
        if not any(a.name == "epsilon" for a in node.attribute):
            node.attribute.add(name="epsilon", type=1, f=0.0)


class _Converter:
    """Rewrites the edges of the float16 part; a tensor is cast once for all who read it."""

    def __init__(self, onnx: Any, graph: Any, between: set[int], types: dict[str, int]) -> None:
        self.onnx = onnx
        self.graph = graph
        self.between = between
        self.types = types
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        self.half_tensors = {
            name for index in between for name in graph.node[index].output if types.get(name) == onnx.TensorProto.FLOAT
        }
        self.nodes: list[Any] = []
        self.made: dict[tuple[str, str], str] = {}

    def convert(self) -> None:
        """Rebuild the node list with casts where the two parts meet."""
        half, full = self.onnx.TensorProto.FLOAT16, self.onnx.TensorProto.FLOAT
        for index, node in enumerate(self.graph.node):
            inside = index in self.between
            kept = FLOAT32_ONLY_INPUTS.get(node.op_type, ())
            for position, name in enumerate(node.input):
                wants_half = inside and position not in kept
                if wants_half and name not in self.half_tensors and self.types.get(name) == full:
                    is_weight = name in self.weights
                    node.input[position] = self._half_weight(name) if is_weight else self._cast(name, half)
                elif not wants_half and name in self.half_tensors:
                    node.input[position] = self._cast(name, full)
            if inside:
                self._retype_attributes(node)
                self._require_fine_scale(node)
            self.nodes.append(node)
        self._keep_outputs_float32()
        rebuilt = [self._copy(node) for node in self.nodes]
        del self.graph.node[:]
        self.graph.node.extend(rebuilt)
        self._drop_unread_weights()

    def _copy(self, node: Any) -> Any:
        duplicate = self.onnx.NodeProto()
        duplicate.CopyFrom(node)
        return duplicate

    def _cast(self, name: str, to: int) -> str:
        half = self.onnx.TensorProto.FLOAT16
        key = (name, "half" if to == half else "float")
        if key not in self.made:
            self.made[key] = f"{name}_as_{key[1]}"
            self.nodes.append(
                self.onnx.helper.make_node("Cast", [name], [self.made[key]], name=f"cast_{self.made[key]}", to=to)
            )
        return self.made[key]

    def _half_weight(self, name: str) -> str:
        key = (name, "half weight")
        if key not in self.made:
            self.made[key] = f"{name}_as_half"
            values = self.onnx.numpy_helper.to_array(self.weights[name])
            largest = float(np.abs(values).max(initial=0.0))
            if not largest <= LARGEST_HALF:
                raise EngineError(
                    f"precision fp16: weight {name} reaches {largest:g}, float16 ends at {LARGEST_HALF:g}; use fp32"
                )
            self.graph.initializer.append(self.onnx.numpy_helper.from_array(values.astype(np.float16), self.made[key]))
        return self.made[key]

    def _require_fine_scale(self, node: Any) -> None:
        if node.op_type != "QuantizeLinear":
            return
        scale = next((tensor for tensor in self.graph.initializer if tensor.name == node.input[1]), None)
        smallest = float(np.min(self.onnx.numpy_helper.to_array(scale))) if scale is not None else 1.0
        if smallest < SMALLEST_NORMAL_HALF:
            raise EngineError(
                f"precision int8: the scale of {node.input[0]} is {smallest:g}, too fine for float16; this tensor is "
                "always near zero: calibrate with more images, or use fp16"
            )

    def _retype_attributes(self, node: Any) -> None:
        half, full = self.onnx.TensorProto.FLOAT16, self.onnx.TensorProto.FLOAT
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == full:
                attribute.i = half
            elif attribute.HasField("t") and attribute.t.data_type == full:
                values = self.onnx.numpy_helper.to_array(attribute.t).astype(np.float16)
                attribute.t.CopyFrom(self.onnx.numpy_helper.from_array(values, attribute.t.name))

    def _keep_outputs_float32(self) -> None:
        full = self.onnx.TensorProto.FLOAT
        for output in self.graph.output:
            if output.name not in self.half_tensors:
                continue
            inner = f"{output.name}_half"
            for node in self.nodes:
                for names in (node.input, node.output):
                    for position, name in enumerate(names):
                        if name == output.name:
                            names[position] = inner
            self.nodes.append(
                self.onnx.helper.make_node("Cast", [inner], [output.name], name=f"cast_{output.name}", to=full)
            )

    def _drop_unread_weights(self) -> None:
        read = {name for node in self.graph.node for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in read]
        copies = []
        for tensor in kept:
            duplicate = self.onnx.TensorProto()
            duplicate.CopyFrom(tensor)
            copies.append(duplicate)
        del self.graph.initializer[:]
        self.graph.initializer.extend(copies)
