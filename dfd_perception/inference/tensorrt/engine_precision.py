# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Whether a network or engine is of the precision it is called: an fp32 engine must never run as fp16."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from dfd_perception.errors import EngineError, counted
from dfd_perception.inference.backends.interface import Precision
from dfd_perception.inference.tensorrt.graph_precision import PreparedGraph

if TYPE_CHECKING:
    import tensorrt

SIZE_EVIDENCE_BYTES = 32 << 20
"""Weights [bytes as float32] from which the plan's size tells their type: below, kernels make up too much of it."""

HALF_PLAN_FRACTION = 0.8
"""A float16 plan of such weights is smaller than this fraction of the float32 weights: half, and kernels."""

_NAMES_OF_TYPES = {"fp16": frozenset({"fp16", "half"}), "int8": frozenset({"int8"})}
_WORD = re.compile(r"[a-z0-9]+")
_MOVING = ("reformat", "noop", "no_op", "shuffle", "slice", "concat", "cast", "quantize", "copy")
"""Layers that convert or move a tensor: what they touch says nothing of what the network computes in."""


def require_network_precision(trt: Any, network: tensorrt.INetworkDefinition, precision: Precision) -> dict[str, int]:
    """Count the convolutions of a strongly typed network by type; the engine will obey these types.

    Raises:
        EngineError: they are not what the precision promises.
    """
    kinds = (trt.LayerType.CONVOLUTION, trt.LayerType.DECONVOLUTION)
    types: Counter[str] = Counter()
    quantised = 0
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type in kinds:
            types[_type_name(layer.get_output(0).dtype)] += 1
        elif layer.type == trt.LayerType.QUANTIZE:
            quantised += 1
    wanted = "FLOAT" if precision == "fp32" else "HALF"
    wrong = sum(count for name, count in types.items() if name != wanted)
    if wrong:
        raise EngineError(
            f"precision {precision}: {wrong} of {sum(types.values())} convolutions of the network compute in "
            f"{', '.join(sorted(set(types) - {wanted}))}; expected all in {wanted}"
        )
    if precision == "int8" and not quantised:
        raise EngineError("precision int8: the network has no quantised tensor; calibrate the model anew")
    return dict(types)


def _type_name(dtype: Any) -> str:
    return str(getattr(dtype, "name", dtype)).rsplit(".", 1)[-1]


def require_plan_size(plan: bytes, graph: PreparedGraph) -> None:
    """Refuse a reduced plan that is as large as the float32 weights.

    Raises:
        EngineError: the weights cannot be of the precision that was asked for.
    """
    if graph.precision == "fp32" or graph.float32_weight_bytes < SIZE_EVIDENCE_BYTES:
        return
    if len(plan) > HALF_PLAN_FRACTION * graph.float32_weight_bytes:
        raise EngineError(
            f"the engine that was to be {graph.precision} has {len(plan) >> 20} MiB, its weights as float32 have "
            f"{graph.float32_weight_bytes >> 20} MiB: TensorRT built float32; it is not called {graph.precision}"
        )


def require_engine_precision(trt: Any, engine: tensorrt.ICudaEngine, precision: Precision) -> str:
    """Ask a loaded engine for the types of its layers; returns what was found, in words for diagnostics.

    Raises:
        EngineError: no layer uses the precision.
    """
    layers = engine_layers(trt, engine)
    if not layers or precision not in _NAMES_OF_TYPES:
        return "as typed" if precision != "fp32" else "fp32"
    reduced = [layer for layer in layers if _computes_in(layer, _NAMES_OF_TYPES[precision])]
    if not reduced:
        raise EngineError(
            f"the engine that was to be {precision} has no {precision} layer among its {len(layers)}: TensorRT built "
            f"another precision; it is not called {precision}"
        )
    return f"{len(reduced)} of {counted(len(layers), 'layer')} {precision}"


def engine_layers(trt: Any, engine: tensorrt.ICudaEngine) -> list[dict[str, Any]]:
    """Layers of a loaded engine as its inspector describes them; empty where it does not (other verbosity)."""
    inspector = engine.create_engine_inspector()
    if inspector is None:
        return []
    try:
        stated = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    except (ValueError, TypeError):
        return []
    return [layer for layer in stated.get("Layers", []) if isinstance(layer, dict)]


def _computes_in(layer: dict[str, Any], names: frozenset[str]) -> bool:
    """Whether a layer computes in one of these types: a tensor or its weights have it, and it is no mere conversion."""
    kind = str(layer.get("LayerType", "")).lower()
    if any(moving in kind for moving in _MOVING):
        return False
    tensors = [tensor for tensor in [*layer.get("Inputs", []), *layer.get("Outputs", [])] if isinstance(tensor, dict)]
    stated = [str(tensor.get("Format/Datatype", "")) for tensor in tensors]
    weights = layer.get("Weights")
    if isinstance(weights, dict):
        stated.append(str(weights.get("Type", "")))
    # Whole words: "int8" is part of "uint8", the type of images.
    return any(names & set(_WORD.findall(text.lower())) for text in stated)
