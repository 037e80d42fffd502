# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""torch, on CUDA or as the last resort on a CPU. The only file of inference that imports it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import BackendError
from dfd_perception.inference.backends.interface import BackendRequest, Precision


class TorchBackend:
    """The network itself, eager, channels last."""

    name = "torch"

    def __init__(self, request: BackendRequest) -> None:
        try:
            import torch
        except (ImportError, OSError) as error:
            raise BackendError(f"torch cannot be imported ({error}); pip install torch") from error
        from dfd_perception.network.checkpoint import load_network

        self._torch = torch
        device = request.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise BackendError(f"device {device} asked for, but this torch ({torch.__version__}) sees no CUDA GPU")
        precisions = {"fp32": torch.float32, "bf16": torch.bfloat16}
        if device.startswith("cuda"):
            precisions["fp16"] = torch.float16
        if request.precision not in precisions:
            raise BackendError(
                f"torch on {device}: precision {request.precision} is not offered; expected {', '.join(precisions)}"
            )
        if request.num_threads and device == "cpu":
            torch.set_num_threads(request.num_threads)
        self._dtype = precisions[request.precision]
        self._device = torch.device(device)
        self._heads = request.heads
        self._outputs = request.output_names
        network = load_network(request.model).to(self._device)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision: Precision = request.precision
        self.device = torch.cuda.get_device_name(self._device) if device != "cpu" else "CPU"
        self.details = {"runtime": f"torch {torch.__version__}"}

    def run(
        self, image_1x3HxW: NDArray[np.float32], blur_log_prior: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        torch = self._torch
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32),
        ):
            image = torch.from_numpy(image_1x3HxW).to(self._device, memory_format=torch.channels_last)
            prior = None if blur_log_prior is None else torch.from_numpy(blur_log_prior).to(self._device)
            output = self._network(image, heads=self._heads, blur_log_prior=prior)
        fields = {"depth": output.depth_m, "coc": output.coc_px, "coc_log_var": output.coc_log_var}
        fields["deblurred"] = output.deblurred
        return {name: fields[name].float().cpu().numpy() for name in self._outputs}

    def close(self) -> None:
        del self._network
