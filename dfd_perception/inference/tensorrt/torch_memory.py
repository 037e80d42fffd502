# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""GPU memory through torch, whose CUDA context the other networks of the process share. Its only importer here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.environment import jetson_model
from dfd_perception.errors import EngineError
from dfd_perception.inference.tensorrt.device_memory import Device, DeviceBuffer


class TorchBuffer:
    """A pinned tensor and one on the device; both live as long as this does."""

    def __init__(self, torch: Any, shape: tuple[int, ...], dtype: np.dtype[Any], device: Any) -> None:
        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        self.pinned = torch.empty(shape, dtype=kind, pin_memory=True)
        self.on_device = torch.empty(shape, dtype=kind, device=device)
        self.host: NDArray[Any] = self.pinned.numpy()
        self.pointer: int = self.on_device.data_ptr()


class TorchMemory:
    """One GPU and one stream."""

    library = "torch"

    def __init__(self, index: int = 0) -> None:
        try:
            import torch
        except (ImportError, OSError) as error:
            raise EngineError(f"torch cannot be imported ({error})") from error
        if not torch.cuda.is_available():
            advice = "this is NVIDIA's board: install NVIDIA's wheel for its JetPack" if jetson_model() else "no driver"
            raise EngineError(f"torch {torch.__version__} sees no GPU ({advice}, or a CPU-only torch)")
        self._torch: Any = torch
        self._device = torch.device("cuda", index)
        self._buffers: list[TorchBuffer] = []
        self._graphs: list[Any] = []
        try:
            # Before TensorRT touches the device: it then uses torch's context instead of making one.
            self._torch.cuda.init()
            self._stream = self._torch.cuda.Stream(self._device)
        except RuntimeError as error:
            raise EngineError(f"torch cannot use {self._device}: {error}") from error
        self.stream = int(self._stream.cuda_stream)

    def device(self) -> Device:
        properties = self._torch.cuda.get_device_properties(self._device)
        return Device(
            properties.name,
            f"{properties.major}.{properties.minor}",
            str(self._torch.version.cuda),
        )

    def free_bytes(self) -> int:
        return int(self._torch.cuda.mem_get_info(self._device)[0])

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> TorchBuffer:
        try:
            buffer = TorchBuffer(self._torch, shape, dtype, self._device)
        except RuntimeError as error:
            raise EngineError(f"GPU memory for a tensor of shape {shape} cannot be had: {error}") from error
        self._buffers.append(buffer)
        return buffer

    @contextmanager
    def active(self) -> Iterator[None]:
        with self._torch.cuda.device(self._device), self._torch.cuda.stream(self._stream):
            yield

    def upload(self, buffer: DeviceBuffer) -> None:
        assert isinstance(buffer, TorchBuffer)
        buffer.on_device.copy_(buffer.pinned, non_blocking=True)

    def download(self, buffer: DeviceBuffer) -> None:
        assert isinstance(buffer, TorchBuffer)
        buffer.pinned.copy_(buffer.on_device, non_blocking=True)

    def wait(self) -> None:
        try:
            self._stream.synchronize()
        except RuntimeError as error:
            raise EngineError(f"the GPU reported an error: {error}") from error

    def capture(self, queue: Callable[[], None]) -> Callable[[], None]:
        torch = self._torch
        graph = torch.cuda.CUDAGraph()
        # Only this thread's calls are watched: another network may be running beside.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            queue()
        self._graphs.append(graph)
        return graph.replay

    def close(self) -> None:
        self._stream.synchronize()
        self._graphs.clear()
        self._buffers.clear()
