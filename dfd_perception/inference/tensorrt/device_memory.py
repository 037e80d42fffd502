"""What a runner needs of a CUDA library: buffers in pairs, one stream, a captured launch. Two libraries offer it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import EngineError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """The GPU."""

    name: str
    compute_capability: str
    """As "8.7"."""
    cuda_version: str
    """Of the runtime that the memory library uses."""


class DeviceBuffer(Protocol):
    """Page-locked host memory and device memory of one tensor."""

    host: NDArray[Any]
    pointer: int
    """Address on the device."""


class DeviceMemory(Protocol):
    """One GPU as one runner uses it. Failures are EngineError."""

    library: str
    stream: int
    """Handle of a stream of its own: on the default one TensorRT waits for the whole device."""

    def device(self) -> Device: ...

    def free_bytes(self) -> int: ...

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> DeviceBuffer: ...

    def active(self) -> AbstractContextManager[None]:
        """Make the device and the stream current for this thread."""

    def upload(self, buffer: DeviceBuffer) -> None:
        """Queue host to device."""

    def download(self, buffer: DeviceBuffer) -> None:
        """Queue device to host."""

    def wait(self) -> None:
        """Until everything queued is done."""

    def capture(self, queue: Callable[[], None]) -> Callable[[], None]:
        """Record what `queue` queues as a CUDA graph; returns what launches it."""

    def close(self) -> None:
        """Release everything; buffers are invalid then."""


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
    from dfd_perception.inference.tensorrt import cuda_python_memory, torch_memory

    for library in (torch_memory.TorchMemory, cuda_python_memory.CudaPythonMemory):
        try:
            return library(index)
        except EngineError as error:
            reasons.append(str(error))
    raise EngineError("no CUDA GPU can be used: " + "; ".join(reasons))
