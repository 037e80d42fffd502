# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""OpenVINO: the default on x86 CPUs. The only file that imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.prediction import IMAGE_INPUT
from dfd_perception.errors import BackendError
from dfd_perception.inference.backends.interface import BackendRequest, Precision
from dfd_perception.inference.backends.onnx_graph import pruned_graph, require_fitting_graph

PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class OpenVinoBackend:
    """One compiled model, one infer request: use it from one thread at a time."""

    name = "openvino"

    def __init__(self, request: BackendRequest) -> None:
        try:
            import openvino
        except (ImportError, OSError) as error:
            raise BackendError(f"OpenVINO cannot be imported ({error}); pip install openvino") from error
        if request.precision not in PRECISION_HINTS:
            raise BackendError(f"OpenVINO: precision {request.precision} is not offered; expected fp32, bf16 or fp16")
        config = {
            # Never left to the plug-in: its default on CPUs with bfloat16 is bfloat16, and answers differ.
            "INFERENCE_PRECISION_HINT": PRECISION_HINTS[request.precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if request.num_threads:
            config["INFERENCE_NUM_THREADS"] = str(request.num_threads)
        try:
            core = openvino.Core()
            model = core.read_model(pruned_graph(request))
            require_fitting_graph(request, _shapes(model.inputs), _shapes(model.outputs))
            model.reshape({IMAGE_INPUT: [1, 3, *request.size]})
            self._compiled = core.compile_model(model, "CPU", config)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO refuses {request.model.onnx_path}: {error}") from error
        self._request = self._compiled.create_infer_request()
        self._inputs = request.inputs
        self.precision: Precision = request.precision
        self.device = str(core.get_property("CPU", "FULL_DEVICE_NAME"))
        self.details = {"runtime": f"openvino {openvino.__version__.split('-')[0]}"}

    def run(
        self, image_1x3HxW: NDArray[np.float32], blur_log_prior: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        inputs = self._inputs(image_1x3HxW, blur_log_prior)
        try:
            results = self._request.infer(inputs, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO cannot run the graph: {error}") from error
        return {output.get_any_name(): results[output] for output in self._compiled.outputs}

    def close(self) -> None:
        del self._request, self._compiled


def _shapes(ports: Sequence[Any]) -> dict[str, list[Any]]:
    """Shape by name; None for a free dimension."""
    return {
        port.get_any_name(): [side.get_length() if side.is_static else None for side in port.get_partial_shape()]
        for port in ports
    }
