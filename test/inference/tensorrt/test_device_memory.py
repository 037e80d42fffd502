# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""GPU memory through either library. cuda-python is a stand-in here; torch is tried where there is a GPU."""

from __future__ import annotations

import ctypes
import sys
from enum import IntEnum
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from dfd_perception.errors import EngineError
from dfd_perception.inference.tensorrt import cuda_python_memory, device_library, torch_memory
from dfd_perception.inference.tensorrt.cuda_python_memory import CudaPythonMemory


class CudaRuntime:
    """`cuda.bindings.runtime` with the host as the device: each call answers a tuple that begins with a status."""

    cudaMemcpyKind = IntEnum("cudaMemcpyKind", {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 2})
    cudaStreamCaptureMode = IntEnum("cudaStreamCaptureMode", {"cudaStreamCaptureModeThreadLocal": 1})

    def __init__(self):
        self.status, self.calls, self.blocks, self.recorded, self.recording = {}, [], {}, [], False

    def __getattr__(self, name):
        if not name.startswith("cuda"):
            raise AttributeError(name)

        def call(*arguments):
            self.calls.append((name, *arguments))
            if self.status.get(name):
                return (self.status[name],)
            answer = getattr(self, f"do_{name[4:]}", lambda *a: ())(*arguments)
            return (0, *answer)

        return call

    def cudaGetErrorString(self, status):  # noqa: N802
        return 0, b"CUDA driver version is insufficient" if status == 35 else b"out of memory"

    def do_StreamCreateWithFlags(self, flags):  # noqa: N802
        return (77,)

    def do_GetDeviceProperties(self, index):  # noqa: N802
        return (SimpleNamespace(name=b"Orin\x00\x00", major=8, minor=7),)

    def do_RuntimeGetVersion(self):  # noqa: N802
        return (12060,)

    def do_MemGetInfo(self):  # noqa: N802
        return 3 << 30, 8 << 30

    def do_Malloc(self, size):  # noqa: N802
        block = ctypes.create_string_buffer(size)
        self.blocks[ctypes.addressof(block)] = block
        return (ctypes.addressof(block),)

    do_MallocHost = do_Malloc

    def do_Free(self, pointer):  # noqa: N802
        del self.blocks[pointer]
        return ()

    do_FreeHost = do_Free

    def do_MemcpyAsync(self, to, source, size, kind, stream):  # noqa: N802
        if self.recording:
            self.recorded.append((to, source, size))
        else:
            ctypes.memmove(to, source, size)
        return ()

    def do_StreamBeginCapture(self, stream, mode):  # noqa: N802
        self.recording, self.recorded = True, []
        return ()

    def do_StreamEndCapture(self, stream):  # noqa: N802
        self.recording = False
        return ("graph",)

    def do_GraphInstantiate(self, graph, flags):  # noqa: N802
        return ("executable",)

    def do_GraphLaunch(self, executable, stream):  # noqa: N802
        for to, source, size in self.recorded:
            ctypes.memmove(to, source, size)
        return ()


@pytest.fixture
def cuda(monkeypatch):
    runtime = CudaRuntime()
    package, bindings = ModuleType("cuda"), ModuleType("cuda.bindings")
    package.bindings, bindings.runtime = bindings, runtime
    monkeypatch.setitem(sys.modules, "cuda", package)
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    return runtime


def test_cuda_python_copies_there_and_back(cuda):
    memory = CudaPythonMemory(1)
    assert ("cudaSetDevice", 1) in cuda.calls
    assert memory.stream == 77
    device = memory.device()
    assert (device.name, device.compute_capability, device.cuda_version) == ("Orin", "8.7", "12.6")
    assert memory.free_bytes() == 3 << 30
    buffer = memory.allocate((2, 3), np.dtype(np.float32))
    buffer.host[...] = np.arange(6).reshape(2, 3)
    memory.upload(buffer)
    buffer.host[...] = -1
    memory.download(buffer)
    np.testing.assert_array_equal(buffer.host, np.arange(6).reshape(2, 3))
    memory.close()
    assert cuda.blocks == {}
    assert [name for name, *_ in cuda.calls][-1] == "cudaStreamDestroy"


def test_cuda_python_records_a_launch(cuda):
    memory = CudaPythonMemory()
    buffer = memory.allocate((4,), np.dtype(np.float32))
    launch = memory.capture(lambda: memory.upload(buffer))
    buffer.host[...] = 5
    launch()
    buffer.host[...] = 0
    memory.download(buffer)
    assert (buffer.host == 5).all()
    memory.close()
    assert ("cudaGraphExecDestroy", "executable") in cuda.calls


def test_a_status_is_an_error_with_its_words(cuda):
    cuda.status["cudaSetDevice"] = 35
    with pytest.raises(EngineError, match=r"cudaSetDevice: CUDA driver version is insufficient \(CUDA error 35\)"):
        CudaPythonMemory()


def test_running_out_of_memory_frees_the_half_that_was_had(cuda):
    memory = CudaPythonMemory()
    cuda.status["cudaMalloc"] = 2
    with pytest.raises(EngineError, match="cudaMalloc: out of memory"):
        memory.allocate((4,), np.dtype(np.float32))
    assert cuda.blocks == {}


def test_torch_comes_first_and_cuda_python_stands_in(cuda, monkeypatch):
    def absent(index):
        raise EngineError("torch cannot be imported")

    monkeypatch.setattr(torch_memory, "TorchMemory", absent)
    assert device_library.open_device("cuda:0").library == "cuda-python"


def test_both_reasons_are_told(monkeypatch):
    def absent(index):
        raise EngineError(f"no {index}")

    monkeypatch.setattr(torch_memory, "TorchMemory", absent)
    monkeypatch.setattr(cuda_python_memory, "CudaPythonMemory", absent)
    with pytest.raises(EngineError, match="no CUDA GPU can be used: no 2; no 2"):
        device_library.open_device("cuda:2")


def test_a_cpu_is_no_device():
    with pytest.raises(EngineError, match="device is cpu"):
        device_library.open_device("cpu")


def test_a_torch_without_cuda_is_named():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this torch sees a GPU")
    with pytest.raises(EngineError, match=f"torch {torch.__version__.split('+')[0]}.* sees no GPU"):
        torch_memory.TorchMemory()


@pytest.mark.gpu
def test_torch_copies_computes_and_records(image):
    """A kernel of torch stands where the engine would be: buffers, stream, capture and replay are the real ones."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    memory = torch_memory.TorchMemory()
    source = memory.allocate(image.shape, np.dtype(np.float32))
    target = memory.allocate(image.shape, np.dtype(np.float32))
    assert memory.stream != 0

    def queue():
        memory.upload(source)
        torch.mul(source.on_device, 2, out=target.on_device)
        memory.download(target)

    with memory.active():
        source.host[...] = image
        queue()
        memory.wait()
        np.testing.assert_array_equal(target.host, image * 2)
        launch = memory.capture(queue)
        for factor in (0.5, 0.25):
            source.host[...] = image * factor
            launch()
            memory.wait()
            np.testing.assert_allclose(target.host, image * factor * 2, rtol=1e-6)
        memory.close()
