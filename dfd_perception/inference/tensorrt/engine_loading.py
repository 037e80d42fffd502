# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From a plan to a runner that answers images, with what is known of it for diagnostics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dfd_perception.core.prediction import IMAGE_OUTPUT, PRIOR_INPUT
from dfd_perception.inference.backends.interface import BackendRequest, Precision
from dfd_perception.inference.tensorrt.device_memory import DeviceMemory
from dfd_perception.inference.tensorrt.engine_precision import require_engine_precision
from dfd_perception.inference.tensorrt.runner import EngineRunner, Tensor, load_engine


class LoadedEngine(NamedTuple):
    """A runner and the details that diagnostics show of it."""

    runner: EngineRunner
    details: dict[str, str]


def load_plan(
    trt: Any, plan: bytes, request: BackendRequest, precision: Precision, open_memory: Callable[[], DeviceMemory]
) -> LoadedEngine:
    """Load a plan for a request.

    Args:
        open_memory: asked once the engine is known to be of this precision; the runner closes what it gives.

    Raises:
        EngineError: it cannot be loaded here, is of another precision or size, or there is no memory for it.
    """
    engine = load_engine(trt, plan)
    layers = require_engine_precision(trt, engine, precision)
    height, width = request.size
    image = Tensor((1, height, width, 3), np.dtype(np.uint8))
    tensors = {name: Tensor((1, 1, height, width)) for name in request.output_names}
    tensors.update({name: image for name in ("image", IMAGE_OUTPUT) if name == "image" or name in tensors})
    if request.prior_bins:
        tensors[PRIOR_INPUT] = Tensor((1, request.prior_bins, 1, 1))
    memory = open_memory()
    try:
        runner = EngineRunner(trt, engine, memory, tensors)
    except BaseException:
        memory.close()
        raise
    details = {
        "layers": layers,
        "engine_mib": f"{len(plan) / 2**20:.1f}",
        "context_mib": f"{runner.device_bytes() / 2**20:.1f}",
        "cuda_graph": runner.cuda_graph,
        "memory": memory.library,
    }
    return LoadedEngine(runner, details)
