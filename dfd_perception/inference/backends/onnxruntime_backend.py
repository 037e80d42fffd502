# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""ONNX Runtime: the default on CPUs other than x86. The only file that imports it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import BackendError
from dfd_perception.inference.backends.interface import BackendRequest, Precision
from dfd_perception.inference.backends.onnx_graph import pruned_graph, require_fitting_graph


class OnnxRuntimeBackend:
    """One session on the CPU provider."""

    name = "onnxruntime"

    def __init__(self, request: BackendRequest) -> None:
        try:
            import onnxruntime
        except (ImportError, OSError) as error:
            raise BackendError(f"ONNX Runtime cannot be imported ({error}); pip install onnxruntime") from error
        if request.precision != "fp32":
            raise BackendError(f"ONNX Runtime: precision {request.precision} is not offered on the CPU; use fp32")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = request.num_threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                pruned_graph(request), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises classes of its own that share no base
            raise BackendError(f"ONNX Runtime refuses {request.model.onnx_path}: {error}") from error
        require_fitting_graph(
            request,
            {port.name: port.shape for port in self._session.get_inputs()},
            {port.name: port.shape for port in self._session.get_outputs()},
        )
        self._outputs = list(request.output_names)
        self._inputs = request.inputs
        self.precision: Precision = "fp32"
        self.device = "CPU"
        self.details = {"runtime": f"onnxruntime {onnxruntime.__version__}"}

    def run(
        self, image_1x3HxW: NDArray[np.float32], blur_log_prior: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        try:
            answers = self._session.run(self._outputs, self._inputs(image_1x3HxW, blur_log_prior))
        except Exception as error:  # as above
            raise BackendError(f"ONNX Runtime cannot run the graph: {error}") from error
        return dict(zip(self._outputs, answers, strict=True))

    def close(self) -> None:
        del self._session
