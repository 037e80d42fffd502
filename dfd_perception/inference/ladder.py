# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The ladder of backends that `auto` climbs down.

TensorRT, then torch on CUDA, then OpenVINO (x86) or ONNX Runtime (any CPU), then torch on the CPU. Each is
optional; why one was passed over is part of the answer.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dfd_perception.errors import BackendError
from dfd_perception.inference.backends.interface import BackendName, BackendRequest, InferenceBackend


@dataclass(frozen=True)
class ChosenBackend:
    """A compiled backend and why it is this one."""

    backend: InferenceBackend
    reason: str
    passed_over: dict[str, str] = field(default_factory=dict)
    """Backends above it in the ladder, each with the reason it was not taken."""


def _backend(module: str, name: str) -> Callable[[BackendRequest], InferenceBackend]:
    """The class of a backend, imported when the first one is made: each needs a package of its own."""

    def build(request: BackendRequest) -> InferenceBackend:
        found = getattr(importlib.import_module(f"dfd_perception.inference.backends.{module}"), name)
        backend: InferenceBackend = found(request)
        return backend

    return build


CPU_RUNTIMES = ("openvino", "onnxruntime")

BUILDERS: dict[str, Callable[[BackendRequest], InferenceBackend]] = {
    "tensorrt": _backend("tensorrt_backend", "TensorRtBackend"),
    "openvino": _backend("openvino_backend", "OpenVinoBackend"),
    "onnxruntime": _backend("onnxruntime_backend", "OnnxRuntimeBackend"),
    "torch": _backend("torch_backend", "TorchBackend"),
}


def compile_backend(
    request: BackendRequest, name: BackendName = "auto", failed: Mapping[str, str] | None = None
) -> ChosenBackend:
    """Compile for the asked backend, or for the first of the ladder that works here.

    Args:
        failed: backends that auto passes over, each with what happened to it.

    Raises:
        BackendError: the asked one does not work (nothing else is tried), or with auto, none does.
    """
    if name != "auto":
        if name not in BUILDERS:
            raise BackendError(f"backend is {name!r}; expected auto, {', '.join(BUILDERS)}")
        return ChosenBackend(BUILDERS[name](request), "asked for")
    passed_over: dict[str, str] = dict(failed or {})
    for candidate, why in ladder(request.device):
        if failed and candidate in failed:
            continue
        absent = missing_package(candidate)
        if absent is None and candidate != "torch" and request.model.card.onnx is None:
            absent = f"the model folder {request.model.path} has no ONNX graph"
        if absent:
            passed_over[candidate] = absent
            continue
        try:
            return ChosenBackend(BUILDERS[candidate](request), why, passed_over)
        except BackendError as error:
            passed_over[candidate] = str(error)
        if candidate in CPU_RUNTIMES and request.precision != "fp32":
            # Reduced precision is a wish for speed; on a CPU that has none of it, float32 is the answer, not nothing.
            with contextlib.suppress(BackendError):
                backend = BUILDERS[candidate](replace(request, precision="fp32"))
                return ChosenBackend(backend, f"{why}, in fp32: it has no {request.precision}", passed_over)
    reasons = "; ".join(f"{k}: {v}" for k, v in passed_over.items())
    raise BackendError(f"no backend works here ({reasons}); install one: pip install openvino, or onnxruntime")


def ladder(device: str = "auto") -> list[tuple[str, str]]:
    """Backends in the order that `auto` tries, each with what speaks for it."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    cpu = [("openvino", "fastest on this x86 CPU"), ("onnxruntime", "runs on any CPU")]
    rungs = cpu if x86 else cpu[::-1]
    if device != "cpu":
        rungs = [("tensorrt", "fastest on an NVIDIA GPU"), *_torch_on_cuda(device), *rungs]
    return [*rungs, ("torch", "last resort")]


def _torch_on_cuda(device: str) -> list[tuple[str, str]]:
    # Importing torch takes seconds: only where a CUDA driver is visible is the question worth asking.
    has_driver = any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu"))
    return [("torch", "CUDA without TensorRT")] if has_driver or device.startswith("cuda") else []


def missing_package(name: str) -> str | None:
    """Why a backend cannot be imported here, or None if it can."""
    if importlib.util.find_spec(name) is None:
        return f"the Python package {name} is not installed"
    return None
