# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Which library reaches the GPU here: torch, or cuda-python without it."""

from __future__ import annotations

from dfd_perception.errors import EngineError
from dfd_perception.inference.tensorrt import cuda_python_memory, torch_memory
from dfd_perception.inference.tensorrt.device_memory import DeviceMemory


def open_device(device: str = "auto") -> DeviceMemory:
    """Use a GPU through torch, or without torch through cuda-python.

    Args:
        device: auto, cuda or cuda:N.

    Raises:
        EngineError: no GPU, or neither library reaches it; the message says what each one said.
    """
    if device == "cpu":
        raise EngineError("TensorRT runs on a GPU only, and device is cpu; use device auto or cuda")
    index = int(device.partition(":")[2] or 0)
    reasons = []
    for library in (torch_memory.TorchMemory, cuda_python_memory.CudaPythonMemory):
        try:
            return library(index)
        except EngineError as error:
            reasons.append(str(error))
    raise EngineError("no CUDA GPU can be used: " + "; ".join(reasons))
