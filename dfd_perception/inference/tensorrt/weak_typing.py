# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""TensorRT 8.x (JetPack 6.0): float32 networks, and flags that allow the builder to use less. Nothing newer is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dfd_perception.errors import EngineError
from dfd_perception.inference.backends.interface import Precision

if TYPE_CHECKING:
    import tensorrt

NEWEST_OPSET = 17
"""The parser of 8.6 reads ONNX up to this."""


def network_flags(trt: Any) -> int:
    """Flags of create_network: without this one 8.x takes ONNX graphs for ones without a batch dimension."""
    return 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


def allow_precision(trt: Any, builder: tensorrt.Builder, config: tensorrt.IBuilderConfig, precision: Precision) -> None:
    """Let the builder use float16 or int8 arithmetic.

    Raises:
        EngineError: the GPU has none of it worth using.
    """
    if precision == "fp32":
        return
    if not builder.platform_has_fast_fp16:
        raise EngineError(f"precision {precision}: this GPU has no fast float16; use fp32")
    config.set_flag(trt.BuilderFlag.FP16)
    if precision == "int8":
        if not builder.platform_has_fast_int8:
            raise EngineError("precision int8: this GPU has no fast int8; use fp16")
        config.set_flag(trt.BuilderFlag.INT8)
