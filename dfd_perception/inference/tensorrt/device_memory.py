# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a runner needs of a CUDA library: buffers in pairs, one stream, a captured launch. Two libraries offer it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


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
