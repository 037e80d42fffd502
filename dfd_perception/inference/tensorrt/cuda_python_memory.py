# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""GPU memory through NVIDIA's cuda-python, for a robot without torch: pip install cuda-python. Its only importer."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import EngineError
from dfd_perception.inference.tensorrt.device_memory import Device, DeviceBuffer

NON_BLOCKING_STREAM = 1


class CudaBuffer:
    """Page-locked host memory and device memory."""

    def __init__(self, pinned: int, pointer: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.pinned = pinned
        self.pointer = pointer
        self.size = int(np.prod(shape)) * dtype.itemsize
        raw: Any = (ctypes.c_byte * self.size).from_address(pinned)
        self.host: NDArray[Any] = np.frombuffer(raw, dtype).reshape(shape)


class CudaPythonMemory:
    """One GPU and one stream."""

    library = "cuda-python"

    def __init__(self, index: int = 0) -> None:
        try:
            from cuda.bindings import runtime  # cuda-python 12.6 and newer
        except (ImportError, OSError):
            try:
                from cuda import cudart as runtime
            except (ImportError, OSError) as error:
                raise EngineError(f"cuda-python cannot be imported ({error}); pip install cuda-python") from error
        self._cuda = runtime
        self._index = index
        self._buffers: list[CudaBuffer] = []
        self._graphs: list[Any] = []
        self._call("cudaSetDevice", index)
        self._stream = self._call("cudaStreamCreateWithFlags", NON_BLOCKING_STREAM)
        self.stream = int(self._stream)

    def device(self) -> Device:
        properties = self._call("cudaGetDeviceProperties", self._index)
        version = self._call("cudaRuntimeGetVersion")
        name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
        return Device(
            name.rstrip("\x00"),
            f"{properties.major}.{properties.minor}",
            f"{version // 1000}.{version % 1000 // 10}",
        )

    def free_bytes(self) -> int:
        return int(self._call("cudaMemGetInfo")[0])

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> CudaBuffer:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        pinned = int(self._call("cudaMallocHost", size))
        try:
            pointer = int(self._call("cudaMalloc", size))
        except EngineError:
            self._call("cudaFreeHost", pinned)
            raise
        buffer = CudaBuffer(pinned, pointer, shape, np.dtype(dtype))
        self._buffers.append(buffer)
        return buffer

    @contextmanager
    def active(self) -> Iterator[None]:
        self._call("cudaSetDevice", self._index)
        yield

    def upload(self, buffer: DeviceBuffer) -> None:
        assert isinstance(buffer, CudaBuffer)
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", buffer.pointer, buffer.pinned, buffer.size, kind, self._stream)

    def download(self, buffer: DeviceBuffer) -> None:
        assert isinstance(buffer, CudaBuffer)
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", buffer.pinned, buffer.pointer, buffer.size, kind, self._stream)

    def wait(self) -> None:
        self._call("cudaStreamSynchronize", self._stream)

    def capture(self, queue: Callable[[], None]) -> Callable[[], None]:
        # Only this thread's calls are watched: another network may be running beside.
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)
        try:
            queue()
        finally:
            graph = self._call("cudaStreamEndCapture", self._stream)
        executable = self._call("cudaGraphInstantiate", graph, 0)
        self._call("cudaGraphDestroy", graph)
        self._graphs.append(executable)

        def launch() -> None:
            self._call("cudaGraphLaunch", executable, self._stream)

        return launch

    def close(self) -> None:
        self._call("cudaStreamSynchronize", self._stream)
        for graph in self._graphs:
            self._call("cudaGraphExecDestroy", graph)
        for buffer in self._buffers:
            self._call("cudaFree", buffer.pointer)
            self._call("cudaFreeHost", buffer.pinned)
        self._graphs.clear()
        self._buffers.clear()
        self._call("cudaStreamDestroy", self._stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the runtime; its first answer is a status, the others are the result."""
        status, *results = getattr(self._cuda, name)(*arguments)
        if int(status):
            words = self._cuda.cudaGetErrorString(status)[1]
            text = words.decode() if isinstance(words, bytes) else str(words)
            raise EngineError(f"{name}: {text} (CUDA error {int(status)})")
        return results[0] if len(results) == 1 else tuple(results)
