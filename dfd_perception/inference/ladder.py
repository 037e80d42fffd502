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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dfd_perception.errors import BackendError, ModelError
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.backends.interface import BackendRequest, InferenceBackend
from dfd_perception.inference.backends.table import AUTO, BACKENDS, backend_names, cpu_order


@dataclass(frozen=True)
class ChosenBackend:
    """A compiled backend and why it is this one."""

    backend: InferenceBackend
    reason: str
    passed_over: dict[str, str] = field(default_factory=dict)
    """Backends above it in the ladder, each with the reason it was not taken."""


def backend_class(name: str) -> Callable[[BackendRequest], InferenceBackend]:
    """The class of a row of the table, imported now: each needs a package of its own.

    Raises:
        BackendError: there is no such row.
    """
    if name not in BACKENDS:
        raise BackendError(f"backend is {name!r}; expected {', '.join(backend_names())}")
    module, _, attribute = BACKENDS[name].implementation.partition(":")
    row_class: Callable[[BackendRequest], InferenceBackend] = getattr(importlib.import_module(module), attribute)
    return row_class


def compile_backend(
    request: BackendRequest, name: str = AUTO, failed: Mapping[str, str] | None = None
) -> ChosenBackend:
    """Compile for the asked backend, or for the first of the ladder that works here.

    Args:
        failed: backends that auto passes over, each with what happened to it.

    Raises:
        BackendError: the asked one does not work (nothing else is tried), or with auto, none does.
    """
    if name != AUTO:
        return ChosenBackend(backend_class(name)(request), "asked for")
    passed_over: dict[str, str] = dict(failed or {})
    for candidate, why in ladder(request.device):
        if failed and candidate in failed:
            continue
        in_the_way = obstacle(candidate, request.model)
        if in_the_way:
            passed_over[candidate] = in_the_way
            continue
        try:
            return ChosenBackend(backend_class(candidate)(request), why, passed_over)
        except BackendError as error:
            passed_over[candidate] = str(error)
        if candidate in cpu_order() and not BACKENDS[candidate].last_resort and request.precision != "fp32":
            # Reduced precision is a wish for speed; on a CPU that has none of it, float32 is the answer, not nothing.
            with contextlib.suppress(BackendError):
                backend = backend_class(candidate)(replace(request, precision="fp32"))
                return ChosenBackend(backend, f"{why}, in fp32: it has no {request.precision}", passed_over)
    reasons = "; ".join(f"{k}: {v}" for k, v in passed_over.items())
    raise BackendError(f"no backend works here ({reasons}); install one: pip install openvino, or onnxruntime")


def ladder(device: str = AUTO) -> list[tuple[str, str]]:
    """Backends in the order that `auto` tries, each with what speaks for it."""
    rungs = [(name, BACKENDS[name].devices["cpu"]) for name in cpu_order()]
    if device == "cpu":
        return rungs
    on_cuda = [(name, row) for name, row in BACKENDS.items() if "cuda" in row.devices]
    with_driver = device.startswith("cuda") or _has_cuda_driver()
    return [(name, row.devices["cuda"]) for name, row in on_cuda if with_driver or not row.last_resort] + rungs


def import_runtime(model: ModelFolder, name: str = AUTO, device: str = AUTO) -> str | None:
    """Import the package of the backend that would be tried first; returns its name, None if nothing was imported.

    That takes tenths of a second (OpenVINO) to seconds (torch), which whoever waits for the first answer need not wait
    for. What cannot be imported is told by `compile_backend`.
    """
    candidates = [name] if name != AUTO else [candidate for candidate, _ in ladder(device)]
    for candidate in candidates:
        if candidate not in BACKENDS or obstacle(candidate, model):
            continue
        package = BACKENDS[candidate].package
        with contextlib.suppress(Exception):
            importlib.import_module(package)
            return package
    return None


def _has_cuda_driver() -> bool:
    return any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu"))


def obstacle(name: str, model: ModelFolder) -> str | None:
    """Why a backend of the table cannot run a model here, as far as is known without importing it; None if nothing."""
    row = BACKENDS[name]
    absent = missing_package(row.package)
    if absent is None and row.reads_graph:
        try:
            _ = model.onnx_path
        except ModelError as error:
            return str(error)
    return absent


def missing_package(name: str) -> str | None:
    """Why a package cannot be imported here, or None if it can."""
    if importlib.util.find_spec(name) is None:
        return f"the Python package {name} is not installed"
    return None
