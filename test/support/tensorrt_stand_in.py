# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Three modules with the Python interface of TensorRT 8.6, 10.3 and 11.4, which run their plans with ONNX Runtime.

Names are there or missing as in the real bindings. A plan is the ONNX graph behind a header; "device" pointers are
addresses of NumPy arrays. What a real TensorRT answers with None or False, these do, when told to.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime

MAGIC = b"STAND-IN"


@dataclass
class Behaviour:
    """What goes wrong, and what was called."""

    build_fails_with: str | None = None
    build_takes_s: float = 0.0
    ignores_precision: bool = False
    load_fails: bool = False
    context_fails: bool = False
    refuses_address: bool = False
    refuses_launch: bool = False
    spoil: dict = field(default_factory=dict)
    """Precision -> function of (run number, name, array) that changes an output."""
    calls: Counter = field(default_factory=Counter)


API = {
    "8.6.2.3": dict(
        creation=("EXPLICIT_BATCH", "EXPLICIT_PRECISION"),
        builder_flags=("FP16", "INT8", "DEBUG", "GPU_FALLBACK", "STRICT_TYPES", "REFIT", "TF32"),
        fast_precision=True, progress=False, memory_size=("device_memory_size",), old_bindings=True, opset=17,
    ),
    "10.3.0.30": dict(
        creation=("EXPLICIT_BATCH", "STRONGLY_TYPED"),
        builder_flags=("FP16", "INT8", "BF16", "TF32", "REFIT", "DISABLE_TIMING_CACHE", "VERSION_COMPATIBLE"),
        fast_precision=True, progress=True, memory_size=("device_memory_size", "device_memory_size_v2"),
        old_bindings=False, opset=20,
    ),
    "11.4.0.106": dict(
        creation=("STRONGLY_TYPED",), builder_flags=("TF32", "REFIT", "DISABLE_TIMING_CACHE", "VERSION_COMPATIBLE"),
        fast_precision=False, progress=True, memory_size=("device_memory_size_v2",), old_bindings=False, opset=25,
    ),
}  # fmt: skip


def make_tensorrt(version: str, behaviour: Behaviour | None = None) -> SimpleNamespace:
    api = API[version]
    told = behaviour or Behaviour()
    trt = SimpleNamespace(__version__=version, behaviour=told)
    trt.NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", _numbered(api["creation"]))
    trt.BuilderFlag = IntEnum("BuilderFlag", _numbered(api["builder_flags"]))
    trt.MemoryPoolType = IntEnum("MemoryPoolType", {"WORKSPACE": 0})
    trt.DataType = IntEnum("DataType", {"FLOAT": 0, "HALF": 1, "INT8": 2, "UINT8": 5})
    trt.LayerType = IntEnum("LayerType", {"CONVOLUTION": 0, "DECONVOLUTION": 7, "QUANTIZE": 41, "ACTIVATION": 2})
    trt.TensorIOMode = IntEnum("TensorIOMode", {"NONE": 0, "INPUT": 1, "OUTPUT": 2})
    trt.ProfilingVerbosity = IntEnum("ProfilingVerbosity", {"LAYER_NAMES_ONLY": 0, "NONE": 1, "DETAILED": 2})
    trt.LayerInformationFormat = IntEnum("LayerInformationFormat", {"ONELINE": 0, "JSON": 1})
    trt.nptype = lambda dtype: {0: np.float32, 1: np.float16, 2: np.int8, 5: np.uint8}[int(dtype)]

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    class IProgressMonitor:
        pass

    class Memory:
        """Readable as bytes; has no len(), as in 11."""

        def __init__(self, content):
            self._content = content
            self.nbytes = len(content)

        def __bytes__(self):
            return self._content

    class TimingCache:
        def __init__(self, content):
            self.content = content

        def serialize(self):
            return Memory(self.content or f"timings of {version}".encode())

    class Config:
        def __init__(self):
            self.flags, self.pools = set(), {}
            self.builder_optimization_level, self.profiling_verbosity = 3, trt.ProfilingVerbosity.LAYER_NAMES_ONLY
            if "TF32" in trt.BuilderFlag.__members__:
                self.flags.add(trt.BuilderFlag.TF32)
            if api["progress"]:
                self.progress_monitor = None

        def set_memory_pool_limit(self, pool, size):
            self.pools[pool] = size

        def set_flag(self, flag):
            self.flags.add(flag)

        def clear_flag(self, flag):
            self.flags.discard(flag)

        def create_timing_cache(self, content):
            return TimingCache(content)

        def set_timing_cache(self, cache, ignore_mismatch):
            told.calls["timing cache reused"] += bool(cache.content)
            return not cache.content or version.encode() in cache.content

    class Network:
        def __init__(self, flags):
            self.flags, self.model, self.layers = flags, None, []

        num_layers = property(lambda self: len(self.layers))

        def get_layer(self, index):
            return self.layers[index]

    class Builder:
        def __init__(self, logger):
            assert isinstance(logger, ILogger)
            self.logger = logger
            if api["fast_precision"]:
                self.platform_has_fast_fp16 = self.platform_has_fast_int8 = True

        def create_network(self, flags=0):
            return Network(flags)

        def create_builder_config(self):
            return Config()

        def build_serialized_network(self, network, config):
            told.calls["build"] += 1
            monitor = getattr(config, "progress_monitor", None)
            if monitor is not None:
                monitor.phase_start("Building Engine", None, 4)
                for step in range(4):
                    time.sleep(told.build_takes_s / 4)
                    monitor.step_complete("Building Engine", step)
                monitor.phase_finish("Building Engine")
            else:
                time.sleep(told.build_takes_s)
            if told.build_fails_with is not None:
                self.logger.log(ILogger.ERROR, told.build_fails_with)
                return None
            strongly_typed = "STRONGLY_TYPED" in trt.NetworkDefinitionCreationFlag.__members__ and bool(
                network.flags & (1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) or not api["fast_precision"]
            )
            names = {flag.name for flag in config.flags} & {"FP16", "INT8"}
            if strongly_typed and names:
                self.logger.log(ILogger.ERROR, "API Usage Error (!config.getFlag(BuilderFlag::kFP16))")
                return None
            dims = network.model.graph.input[0].type.tensor_type.shape.dim
            if any(not dim.dim_value for dim in dims):
                self.logger.log(ILogger.ERROR, "Network has dynamic or shape inputs, but no optimization profile")
                return None
            types = _types_of(network.model) if strongly_typed else {"Half" if "FP16" in names else "Float"}
            if not strongly_typed and "INT8" in names:
                types = types | {"Int8"}
            if told.ignores_precision:
                types = {"Float"}
            body = network.model.SerializeToString()
            header = {"version": version, "types": sorted(types), "sha": hashlib.sha256(body).hexdigest(),
                      "tf32": "TF32" in {f.name for f in config.flags},
                      "workspace": config.pools.get(trt.MemoryPoolType.WORKSPACE)}  # fmt: skip
            return Memory(MAGIC + json.dumps(header).encode() + b"\n" + body)

    class OnnxParser:
        def __init__(self, network, logger):
            self.network, self.errors = network, []

        num_errors = property(lambda self: len(self.errors))

        def get_error(self, index):
            return self.errors[index]

        def parse(self, content):
            explicit = trt.NetworkDefinitionCreationFlag.__members__.get("EXPLICIT_BATCH")
            if version.startswith("8") and not self.network.flags & (1 << explicit):
                return self._refuse("The parser only supports networks with an explicit batch dimension")
            try:
                model = onnx.load_from_string(content)
                onnx.checker.check_model(model)
            except Exception as error:
                return self._refuse(f"Failed to parse ONNX model: {type(error).__name__}")
            if model.opset_import[0].version > api["opset"]:
                return self._refuse(f"opset {model.opset_import[0].version} is not supported")
            self.network.model, self.network.layers = model, _layers_of(trt, model)
            return True

        def _refuse(self, words):
            self.errors.append(SimpleNamespace(desc=lambda: words, node_name=lambda: "", node_operator=lambda: ""))
            return False

    class Context:
        def __init__(self, engine):
            self.engine, self.addresses, self.runs = engine, {}, 0

        def set_input_shape(self, name, shape):
            return tuple(shape) == self.engine.shapes[name]

        def get_tensor_shape(self, name):
            return self.engine.shapes[name]

        def set_tensor_address(self, name, pointer):
            self.addresses[name] = pointer
            return not told.refuses_address

        def execute_async_v3(self, stream):
            assert stream, "the default stream makes TensorRT wait for the device"
            told.calls["run"] += 1
            self.runs += 1
            if told.refuses_launch:
                return False
            inputs = {name: self._array(name) for name in self.engine.inputs}
            outputs = self.engine.session.run(self.engine.outputs, inputs)
            for name, array in zip(self.engine.outputs, outputs, strict=True):
                for precision, change in told.spoil.items():
                    if precision in self.engine.types or precision == "any":
                        changed = change(self.runs, name, array.astype(np.float32))
                        is_uint8 = array.dtype == np.uint8
                        array = np.clip(np.nan_to_num(changed), 0, 255).astype(np.uint8) if is_uint8 else changed
                self._array(name)[...] = array
            return True

        def _array(self, name):
            shape, dtype = self.engine.shapes[name], np.dtype(trt.nptype(self.engine.get_tensor_dtype(name)))
            raw = (ctypes.c_byte * int(np.prod(shape) * dtype.itemsize)).from_address(self.addresses[name])
            return np.frombuffer(raw, dtype).reshape(shape)

    class Engine:
        def __init__(self, header, body):
            model = onnx.load_from_string(body)
            self.types = header["types"]
            described = [*model.graph.input, *model.graph.output]
            self.shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in described}
            element = {onnx.TensorProto.FLOAT: trt.DataType.FLOAT, onnx.TensorProto.UINT8: trt.DataType.UINT8}
            self.dtypes = {v.name: element[v.type.tensor_type.elem_type] for v in described}
            self.inputs = [v.name for v in model.graph.input]
            self.outputs = [v.name for v in model.graph.output]
            options = onnxruntime.SessionOptions()
            options.log_severity_level, options.intra_op_num_threads = 3, 1
            self.session = onnxruntime.InferenceSession(body, options, providers=["CPUExecutionProvider"])
            for name in api["memory_size"]:
                setattr(self, name, 4096)
            if api["old_bindings"]:
                self.num_bindings = self.num_io_tensors

        num_io_tensors = property(lambda self: len(self.inputs) + len(self.outputs))

        def get_tensor_name(self, index):
            return [*self.inputs, *self.outputs][index]

        def get_tensor_mode(self, name):
            return trt.TensorIOMode.INPUT if name in self.inputs else trt.TensorIOMode.OUTPUT

        def get_tensor_dtype(self, name):
            return self.dtypes[name]

        def create_execution_context(self):
            return None if told.context_fails else Context(self)

        def create_engine_inspector(self):
            layers = [{"Name": t, "Outputs": [{"Name": t, "Format/Datatype": t}]} for t in self.types]
            return SimpleNamespace(get_engine_information=lambda form: json.dumps({"Layers": layers}))

    class Runtime:
        def __init__(self, logger):
            self.logger = logger

        def deserialize_cuda_engine(self, plan):
            told.calls["load"] += 1
            problem = "CUDA initialization failure with error: 35" if told.load_fails else None
            header, body = {}, b""
            if not plan.startswith(MAGIC):
                problem = "Magic tag does not match"
            with contextlib.suppress(ValueError):
                head, body = plan[len(MAGIC) :].split(b"\n", 1)
                header = json.loads(head)
            if problem is None and header.get("version") != version:
                problem = f"Version tag does not match: plan {header.get('version')}, library {version}"
            if problem is None and hashlib.sha256(body).hexdigest() != header["sha"]:
                problem = "Serialized Engine Data Corrupted"
            if problem is not None:
                self.logger.log(ILogger.ERROR, problem)
                return None
            return Engine(header, body)

    for thing in (ILogger, Builder, OnnxParser, Runtime):
        setattr(trt, thing.__name__, thing)
    if api["progress"]:
        trt.IProgressMonitor = IProgressMonitor
    trt.IBuilderConfig, trt.ICudaEngine, trt.IExecutionContext = Config, Engine, Context
    return trt


def _numbered(names) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def _element_types(model) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    return {v.name: v.type.tensor_type.elem_type for v in [*inferred.value_info, *inferred.output]}


def _layers_of(trt, model) -> list:
    kinds = {"Conv": trt.LayerType.CONVOLUTION, "ConvTranspose": trt.LayerType.DECONVOLUTION,
             "QuantizeLinear": trt.LayerType.QUANTIZE}  # fmt: skip
    types = _element_types(model)
    names = {onnx.TensorProto.FLOAT: trt.DataType.FLOAT, onnx.TensorProto.FLOAT16: trt.DataType.HALF}
    layers = []
    for node in model.graph.node:
        dtype = names.get(types.get(node.output[0]), trt.DataType.FLOAT)
        layers.append(
            SimpleNamespace(
                type=kinds.get(node.op_type, trt.LayerType.ACTIVATION),
                get_output=lambda index, dtype=dtype: SimpleNamespace(dtype=dtype),
            )
        )
    return layers


def _types_of(model) -> set[str]:
    types = _element_types(model)
    found = set()
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            found.add("Half" if types.get(node.output[0]) == onnx.TensorProto.FLOAT16 else "Float")
        if node.op_type == "QuantizeLinear":
            found.add("Int8")
    return found


class HostMemory:
    """DeviceMemory whose device is the host: enough for runners of the stand-ins."""

    library = "host"
    stream = 1

    def __init__(self, name="NVIDIA Orin", capability="8.7", capture_fails=False):
        self.name, self.capability, self.capture_fails = name, capability, capture_fails
        self.closed, self.launches = 0, 0

    def device(self):
        from dfd_perception.inference.tensorrt.device_memory import Device

        return Device(self.name, self.capability, "12.6")

    def free_bytes(self):
        return 4 << 30

    def allocate(self, shape, dtype):
        host, device = np.zeros(shape, dtype), np.zeros(shape, dtype)
        return SimpleNamespace(host=host, device=device, pointer=device.ctypes.data)

    @contextlib.contextmanager
    def active(self):
        yield

    def upload(self, buffer):
        buffer.device[...] = buffer.host

    def download(self, buffer):
        buffer.host[...] = buffer.device

    def wait(self):
        pass

    def capture(self, queue):
        if self.capture_fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        queue()

        def launch():
            self.launches += 1
            queue()

        return launch

    def close(self):
        self.closed += 1
