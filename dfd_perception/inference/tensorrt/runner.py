# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A loaded engine and its execution: persistent buffers, a stream of its own, a CUDA graph."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import EngineError
from dfd_perception.inference.tensorrt.device_memory import DeviceBuffer, DeviceMemory
from dfd_perception.inference.tensorrt.trt_module import logger_for

if TYPE_CHECKING:
    import tensorrt

_log = logging.getLogger(__name__)


class Tensor(NamedTuple):
    """What an input or output is."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] = np.dtype(np.float32)


NUMPY_TYPES = {"FLOAT": "float32", "HALF": "float16", "UINT8": "uint8", "INT8": "int8", "INT32": "int32"}


def load_engine(trt: Any, plan: bytes) -> tensorrt.ICudaEngine:
    """Deserialise a plan; several runners may share the engine.

    Raises:
        EngineError: it is of another TensorRT, GPU or damaged; in TensorRT's own words.
    """
    logger = logger_for(trt)
    logger.take_problems()
    runtime: tensorrt.Runtime | None = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(plan) if runtime is not None else None
    if engine is None:
        raise EngineError(f"TensorRT {trt.__version__} cannot load this engine: {logger.take_problems()}")
    return engine


class EngineRunner:
    """One execution context. Calls from several threads wait for each other; for two at once make two runners."""

    def __init__(
        self,
        trt: Any,
        engine: tensorrt.ICudaEngine,
        memory: DeviceMemory,
        tensors: dict[str, Tensor],
    ) -> None:
        """Prepare everything that a run needs, and run once.

        Args:
            engine: from `load_engine`.
            memory: given up to this runner, which closes it.
            tensors: inputs and outputs by name; what the engine has must agree.

        Raises:
            EngineError: other tensors than expected, or no memory for it.
        """
        self._lock = threading.Lock()
        self._logger = logger_for(trt)
        self._memory = memory
        self._engine: tensorrt.ICudaEngine | None = engine
        self._launch: Callable[[], None] | None = None
        self.cuda_graph = "off"
        with memory.active():
            self._context: tensorrt.IExecutionContext | None = engine.create_execution_context()
            if self._context is None:
                raise EngineError(f"TensorRT: no execution context ({self._logger.take_problems()}); out of memory?")
            self._inputs, self._outputs = self._bind(trt, tensors)
            self._queue()  # allocates what TensorRT allocates late; only then can a graph be captured
            self._memory.wait()
            self._try_capture()

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once; the arrays returned are overwritten by the next run.

        Raises:
            EngineError: a wrong input, a refused launch or a GPU error; or after close.
        """
        with self._lock:
            if self._context is None:
                raise EngineError("this TensorRT runner is closed")
            for name, array in inputs.items():
                host = self._inputs[name].host
                if array.shape != host.shape or array.dtype != host.dtype:
                    raise EngineError(
                        f"input {name} is {array.dtype} {array.shape}; the engine takes {host.dtype} {host.shape}"
                    )
                np.copyto(host, array)
            with self._memory.active():
                (self._launch or self._queue)()
                self._memory.wait()
            return {name: buffer.host for name, buffer in self._outputs.items()}

    def device_bytes(self) -> int:
        """GPU memory of the context and the buffers; the weights come on top."""
        buffers = [*self._inputs.values(), *self._outputs.values()]
        # 11 has only the name with _v2, 8.6 only the one without.
        name = "device_memory_size_v2" if hasattr(self._engine, "device_memory_size_v2") else "device_memory_size"
        return int(getattr(self._engine, name)) + sum(buffer.host.nbytes for buffer in buffers)

    def close(self) -> None:
        """Release context, then memory, then engine; safe to call twice."""
        with self._lock:
            if self._context is None:
                return
            with self._memory.active():
                self._memory.wait()
                self._launch = None
                self._context = None
                self._inputs, self._outputs = {}, {}
                self._memory.close()
            self._engine = None

    def _bind(self, trt: Any, tensors: dict[str, Tensor]) -> tuple[dict[str, DeviceBuffer], dict[str, DeviceBuffer]]:
        engine, context = self._engine, self._context
        assert engine is not None
        assert context is not None
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        if set(names) != set(tensors):
            raise EngineError(f"the engine has tensors {sorted(names)}; expected {sorted(tensors)}")
        inputs: dict[str, DeviceBuffer] = {}
        outputs: dict[str, DeviceBuffer] = {}
        is_input = {name: engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names}
        for name in sorted(names, key=lambda name: not is_input[name]):  # inputs first: they decide output shapes
            wanted, dtype = tensors[name]
            if is_input[name] and not context.set_input_shape(name, wanted):
                raise EngineError(f"the engine takes no {name} of shape {wanted}; it was built for another size")
            dims: Any = context.get_tensor_shape(name)
            sides = tuple(dims)
            if sides != wanted:
                raise EngineError(f"the engine's {name} has shape {sides}; expected {wanted}")
            engine_dtype = _numpy_type(engine.get_tensor_dtype(name))
            if engine_dtype != dtype:
                raise EngineError(f"the engine's {name} is {engine_dtype}; expected {dtype}")
            buffer = self._memory.allocate(wanted, dtype)
            buffer.host[...] = 0
            if not context.set_tensor_address(name, buffer.pointer):
                raise EngineError(f"TensorRT refuses memory for {name}: {self._logger.take_problems()}")
            (inputs if is_input[name] else outputs)[name] = buffer
        return inputs, outputs

    def _queue(self) -> None:
        for buffer in self._inputs.values():
            self._memory.upload(buffer)
        # A refused launch leaves the outputs of the frame before in their buffers.
        if self._context is None or not self._context.execute_async_v3(self._memory.stream):
            raise EngineError(f"TensorRT refused to run: {self._logger.take_problems()}")
        for buffer in self._outputs.values():
            self._memory.download(buffer)

    def _try_capture(self) -> None:
        try:
            self._launch = self._memory.capture(self._queue)
            self.cuda_graph = "on"
        except (EngineError, RuntimeError) as error:
            self.cuda_graph = f"off: {error}"
            _log.warning("no CUDA graph, each launch costs more: %s", error)
            # A capture that was cut short is reported once more by whatever waits next; the engine itself may be whole.
            with contextlib.suppress(EngineError, RuntimeError):
                self._memory.wait()
            self._queue()
            self._memory.wait()


def _numpy_type(dtype: Any) -> np.dtype[Any]:
    # trt.nptype of 8.6 names np.bool, which NumPy 1.24 took away.
    name = str(getattr(dtype, "name", dtype)).rpartition(".")[2]
    if name not in NUMPY_TYPES:
        raise EngineError(f"the engine has a tensor of type {name}; expected one of {', '.join(NUMPY_TYPES)}")
    return np.dtype(NUMPY_TYPES[name])
