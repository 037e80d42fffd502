# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The one place that imports `tensorrt`, and that knows why it does not import and what to do about it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from dfd_perception.environment import jetson_model
from dfd_perception.errors import EngineError

_log = logging.getLogger(__name__)

SYSTEM_PYTHON_FOLDERS = Path("/usr/lib")

_loggers: dict[int, Any] = {}
"""One per module for the life of the process: TensorRT keeps a pointer to the first logger that it is given."""


def import_tensorrt() -> ModuleType:
    """Return the module `tensorrt`.

    Raises:
        EngineError: it does not import; the message holds the cause and the command that mends it.
    """
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        # OSError: a shared library that the bindings open themselves (libnvdla_compiler.so on some JetPack 7).
        raise EngineError(f"tensorrt cannot be imported ({error}); {import_advice(str(error))}") from error
    if not hasattr(tensorrt, "Builder"):
        # Python takes any folder of this name on its path for a package, one with type stubs for instance.
        raise EngineError(f"tensorrt cannot be imported: {tensorrt!r} is only a folder; {_advice_for_absent()}")
    return tensorrt


def import_advice(problem: str) -> str:
    """Return what to do about a failed import of `tensorrt`, from the words of the failure."""
    text = problem.lower()
    if "libnvdla" in text:
        return "sudo apt install nvidia-l4t-dla-compiler; in a container: start it with --runtime nvidia"
    if "libnvinfer" in text or "libnvonnxparser" in text:
        return (
            "the Python part is there and its libraries are not: sudo apt install tensorrt (Jetson), or in this "
            "environment: pip install --force-reinstall tensorrt"
        )
    if "libcuda.so" in text:
        return "there is no NVIDIA driver here; in a container: --gpus all (Jetson: --runtime nvidia)"
    if "libcudart" in text or "libcublas" in text or "libcudnn" in text:
        return "CUDA is not found: sudo apt install nvidia-jetpack (Jetson), or install the CUDA of this TensorRT"
    if "numpy" in text and ("_array_api" in text or "compiled using" in text or "multiarray" in text):
        return "these bindings want NumPy 1: pip install 'numpy<2'"
    return _advice_for_absent()


def _advice_for_absent() -> str:
    """The module is not in this interpreter's path: it is the system's, another Python's, or nowhere."""
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    holders = sorted(SYSTEM_PYTHON_FOLDERS.glob("python3*/dist-packages/tensorrt"))
    if holders:
        versions = {_python_of(path) for path in holders}
        isolated = sys.prefix != sys.base_prefix
        if versions & {this, "3"} and isolated:
            return (
                f"it is installed in {holders[0].parent}, which this virtual environment does not see: set "
                f"include-system-site-packages = true in {Path(sys.prefix) / 'pyvenv.cfg'}, or make the environment "
                "with python3 -m venv --system-site-packages"
            )
        built_for = ", ".join(sorted(versions))
        return f"it is installed for Python {built_for} and this is Python {this}: use the system's python3"
    if jetson_model() is not None:
        return "sudo apt install nvidia-jetpack (or python3-libnvinfer alone); it goes into the system's Python"
    return "pip install tensorrt-cu13 (driver 580 or newer) or tensorrt-cu12"


def _python_of(module_folder: Path) -> str:
    """Version that bindings in a dist-packages folder were compiled for: from the name of the compiled part."""
    for library in module_folder.glob("*.cpython-3*.so"):
        digits = library.name.split("cpython-3", 1)[1].split("-", 1)[0]
        return f"3.{digits}"
    return module_folder.parent.parent.name.removeprefix("python")


def version_of(trt: Any) -> str:
    """Full version: an engine of 10.3.0.26 is not one of 10.3.0.30."""
    return str(trt.__version__)


def is_strongly_typed(trt: Any) -> bool:
    """Whether networks carry their precision in their tensors; false only for 8.x, where flags ask for it."""
    if hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
        return True
    return not hasattr(trt.BuilderFlag, "FP16")


def logger_for(trt: Any) -> Any:
    """The logger of a TensorRT module: forwards to Python's logging and remembers what went wrong."""
    if id(trt) not in _loggers:
        _loggers[id(trt)] = _make_logger(trt)
    return _loggers[id(trt)]


def _make_logger(trt: Any) -> Any:
    levels = {
        trt.ILogger.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.ERROR: logging.ERROR,
        trt.ILogger.WARNING: logging.WARNING,
        trt.ILogger.INFO: logging.DEBUG,
        trt.ILogger.VERBOSE: logging.NOTSET,
    }

    class ForwardingLogger(trt.ILogger):
        """Keeps the last errors: calls that fail return None and say why only here."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.problems: list[str] = []
            self._logged: set[str] = set()

        def log(self, severity: Any, message: str) -> None:
            level = levels.get(severity, logging.DEBUG)
            if level >= logging.ERROR:
                self.problems = [*self.problems[-9:], message.strip()]
            # A quantised graph draws the same warning once for each of its layers.
            if level > logging.NOTSET and message not in self._logged:
                self._logged.add(message)
                _log.log(min(level, logging.WARNING), "TensorRT: %s", message.strip())

        def take_problems(self) -> str:
            """The problems since the last time, as one line."""
            text, self.problems = "; ".join(dict.fromkeys(self.problems)), []
            self._logged.clear()
            return text or "TensorRT gave no reason"

    return ForwardingLogger()
