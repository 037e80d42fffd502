# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images instead of float planes at the engine's ends: conversion runs on the GPU, and a quarter of the bytes travel.

`image` is (1, H, W, 3) uint8 RGB as a camera gives it, `deblurred` (1, H, W, 3) uint8; the maps stay float32. The
conversions are nodes of the graph, so that they need no CUDA library of their own and are captured with the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.prediction import IMAGE_INPUT, IMAGE_OUTPUT


def add_image_io(model: Any) -> None:
    """Change the graph's ends, in place. TensorRT wants the casts outermost."""
    from onnx import TensorProto, helper

    graph = model.graph
    image = next(value for value in graph.input if value.name == IMAGE_INPUT)
    name, planes = IMAGE_INPUT, f"{IMAGE_INPUT}_planes"
    _rename(graph, name, planes)
    weights = {"image_scale": 1 / 255, "image_steps": 255.0, "image_half_step": 0.5}
    for key, value in weights.items():
        graph.initializer.append(helper.make_tensor(key, TensorProto.FLOAT, [], [value]))
    before = [
        _node("Cast", [name], "image_float", to=TensorProto.FLOAT),
        _node("Transpose", ["image_float"], "image_float_planes", perm=[0, 3, 1, 2]),
        _node("Mul", ["image_float_planes", "image_scale"], planes),
    ]
    after = []
    if any(output.name == IMAGE_OUTPUT for output in graph.output):
        inner = f"{IMAGE_OUTPUT}_planes"
        _rename(graph, IMAGE_OUTPUT, inner)
        after = [
            _node("Mul", [inner, "image_steps"], "deblurred_steps"),
            _node("Add", ["deblurred_steps", "image_half_step"], "deblurred_rounded"),  # the cast cuts off
            _node("Transpose", ["deblurred_rounded"], "deblurred_packed", perm=[0, 2, 3, 1]),
            _node("Cast", ["deblurred_packed"], IMAGE_OUTPUT, to=TensorProto.UINT8),
        ]
    nodes = [*before, *(_copy(node) for node in graph.node), *after]
    del graph.node[:]
    graph.node.extend(nodes)
    for value in [image, *(output for output in graph.output if output.name == IMAGE_OUTPUT)]:
        _make_packed(value, TensorProto.UINT8)


def as_image(image_1x3HxW: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(1, 3, H, W) float32 in [0, 1] to (1, H, W, 3) uint8."""
    packed: NDArray[np.uint8] = np.rint(image_1x3HxW.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    return packed


def as_planes(outputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """Outputs of an engine as those of the float32 network: (1, C, H, W) float32."""
    planes = dict(outputs)
    if IMAGE_OUTPUT in planes:
        packed = planes[IMAGE_OUTPUT].transpose(0, 3, 1, 2)
        planes[IMAGE_OUTPUT] = np.ascontiguousarray(packed, np.float32) * np.float32(1 / 255)
    return planes


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(kind, inputs, [output], name=f"image_io_{output}", **attributes)


def _copy(node: Any) -> Any:
    duplicate = type(node)()
    duplicate.CopyFrom(node)
    return duplicate


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == old:
                    names[position] = new


def _make_packed(value: Any, element: int) -> None:
    """Description of an input or output: (1, C, H, W) becomes (1, H, W, C)."""
    tensor = value.type.tensor_type
    dims = [type(dim).FromString(dim.SerializeToString()) for dim in tensor.shape.dim]
    tensor.elem_type = element
    del tensor.shape.dim[:]
    tensor.shape.dim.extend([dims[0], dims[2], dims[3], dims[1]])
