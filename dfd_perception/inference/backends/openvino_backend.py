# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""OpenVINO: the default on x86 CPUs. The only file that imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.prediction import IMAGE_INPUT, IMAGE_OUTPUT
from dfd_perception.errors import BackendError
from dfd_perception.inference.backends.interface import BackendRequest, Precision
from dfd_perception.inference.backends.onnx_graph import pruned_graph, require_fitting_graph

PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class OpenVinoBackend:
    """The graph with uint8 images at its ends, compiled for one request: use it from one thread at a time.

    Float planes go through a second compiled model, which is made when the first come.
    """

    name = "openvino"

    def __init__(self, request: BackendRequest) -> None:
        if request.precision not in PRECISION_HINTS:
            raise BackendError(f"OpenVINO: precision {request.precision} is not offered; expected fp32, bf16 or fp16")
        self._request = request
        self._images = _Compiled(request, images=True)
        self._planes: _Compiled | None = None
        self.precision: Precision = request.precision
        self.device = self._images.device
        self.details = {"runtime": f"openvino {self._images.version}"}

    def run(
        self, image_1x3HxW: NDArray[np.float32], blur_log_prior: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        if self._planes is None:
            self._planes = _Compiled(self._request, images=False)
        return self._planes.run(self._request.inputs(image_1x3HxW, blur_log_prior))

    def run_image(
        self, image_HxWx3: NDArray[np.uint8], blur_log_prior: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[Any]]:
        return self._images.run(self._request.inputs(image_HxWx3[None], blur_log_prior))

    def close(self) -> None:
        del self._images, self._planes


class _Compiled:
    """One compiled model and its infer request."""

    def __init__(self, request: BackendRequest, images: bool) -> None:
        """Compile for uint8 images at both ends, or for float planes.

        Raises:
            BackendError: OpenVINO is absent, or refuses the graph.
        """
        try:
            import openvino
        except (ImportError, OSError) as error:
            raise BackendError(f"OpenVINO cannot be imported ({error}); pip install openvino") from error
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
            if images:
                model = _with_images(model)
            self._compiled = core.compile_model(model, "CPU", config)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO refuses {request.model.onnx_path}: {error}") from error
        self._names = {output.get_any_name(): output for output in self._compiled.outputs}
        self._infer_request = self._compiled.create_infer_request()
        self.device = str(core.get_property("CPU", "FULL_DEVICE_NAME"))
        self.version = openvino.__version__.split("-")[0]

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs by name, valid until the next run."""
        try:
            results = self._infer_request.infer(inputs, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO cannot run the graph: {error}") from error
        return {name: results[output] for name, output in self._names.items()}


def _with_images(model: Any) -> Any:
    """The model with (1, H, W, 3) uint8 RGB in place of float planes, in `image` and in `deblurred`.

    The conversions become steps of the graph, fused with its first and last ones and done by all of its threads.
    Results are those of OpenCV's conversions: the input divided by 255, the output rounded to the nearest.
    """
    from openvino import Layout, Type, opset13
    from openvino.preprocess import PrePostProcessor

    def rounded(planes: Any) -> Any:
        steps = opset13.round(opset13.multiply(planes, np.float32(255)), "half_to_even")
        return opset13.convert(opset13.clamp(steps, 0.0, 255.0), "u8").output(0)

    planar, packed = Layout("NCHW"), Layout("NHWC")
    ends = PrePostProcessor(model)
    image = ends.input(IMAGE_INPUT)
    image.tensor().set_element_type(Type.u8).set_layout(packed)
    image.preprocess().convert_element_type(Type.f32).scale(255.0)
    image.model().set_layout(planar)
    if any(IMAGE_OUTPUT in output.get_names() for output in model.outputs):
        deblurred = ends.output(IMAGE_OUTPUT)
        deblurred.model().set_layout(planar)
        deblurred.postprocess().custom(rounded)
        deblurred.tensor().set_element_type(Type.u8).set_layout(packed)
    return ends.build()


def _shapes(ports: Sequence[Any]) -> dict[str, list[Any]]:
    """Shape by name; None for a free dimension."""
    return {
        port.get_any_name(): [side.get_length() if side.is_static else None for side in port.get_partial_shape()]
        for port in ports
    }
