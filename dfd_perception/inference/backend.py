"""The backend protocol, and the ladder that `auto` climbs down.

TensorRT, then torch on CUDA, then OpenVINO (x86) or ONNX Runtime (any CPU), then torch on the CPU. Each is
optional; why one was passed over is part of the answer.
"""

from __future__ import annotations

import contextlib
import importlib.util
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.frames import Heads
from dfd_perception.errors import BackendError
from dfd_perception.model_folder import ModelFolder

BackendName = Literal["auto", "tensorrt", "openvino", "onnxruntime", "torch"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]

OUTPUT_NAMES = {
    ("depth", "both"): ("depth", "deblurred"),
    ("depth", "depth"): ("depth",),
    ("coc", "both"): ("coc", "coc_log_var", "deblurred"),
    ("coc", "depth"): ("coc", "coc_log_var"),
    ("depth", "deblurred"): ("deblurred",),
    ("coc", "deblurred"): ("deblurred",),
}
"""Names of the graph outputs by (target, heads)."""


class InferenceBackend(Protocol):
    """A network compiled for one set of heads and one input size."""

    name: str
    """tensorrt, openvino, onnxruntime or torch."""
    precision: Precision
    device: str
    """Device in words, for diagnostics: "CPU", "NVIDIA Orin"."""
    details: dict[str, str]
    """More for diagnostics: engine key, runtime version."""

    def run(self, image_1x3HxW: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, each (1, C, H, W); the arrays are the caller's until the next run."""

    def close(self) -> None:
        """Release what it holds; using it afterwards is an error."""


@runtime_checkable
class PictureBackend(Protocol):
    """A backend that converts between pictures and planes itself (on the GPU)."""

    def run_picture(self, picture_HxWx3: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """As `run` of an InferenceBackend, from and to uint8: `deblurred` is (1, H, W, 3) uint8."""


@dataclass(frozen=True, kw_only=True)
class BackendRequest:
    """What to compile."""

    model: ModelFolder
    heads: Heads = "both"
    size: tuple[int, int] = (480, 640)
    """Height and width, multiples of 32."""
    precision: Precision = "fp32"
    device: str = "auto"
    """auto, cpu, cuda, cuda:N."""
    num_threads: int = 0
    """CPU threads; 0 = all."""
    engine_cache_dir: Path | None = None
    build_engines: bool = True
    """TensorRT: build an engine that the cache lacks (minutes on a Jetson); else refuse, so that the ladder goes on."""

    @property
    def output_names(self) -> tuple[str, ...]:
        return OUTPUT_NAMES[self.model.card.target, self.heads]


@dataclass(frozen=True)
class ChosenBackend:
    """A compiled backend and why it is this one."""

    backend: InferenceBackend
    reason: str
    passed_over: dict[str, str] = field(default_factory=dict)
    """Backends above it in the ladder, each with the reason it was not taken."""


def _tensorrt(request: BackendRequest) -> InferenceBackend:
    from dfd_perception.inference.tensorrt.backend import TensorRtBackend

    return TensorRtBackend(request)


def _torch(request: BackendRequest) -> InferenceBackend:
    from dfd_perception.inference.torch_backend import TorchBackend

    return TorchBackend(request)


def _openvino(request: BackendRequest) -> InferenceBackend:
    from dfd_perception.inference.openvino_backend import OpenVinoBackend

    return OpenVinoBackend(request)


def _onnxruntime(request: BackendRequest) -> InferenceBackend:
    from dfd_perception.inference.onnx_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend(request)


CPU_RUNTIMES = ("openvino", "onnxruntime")

BUILDERS: dict[str, Callable[[BackendRequest], InferenceBackend]] = {
    "tensorrt": _tensorrt,
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "torch": _torch,
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
