# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The table of backends: a new one is a file beside this one and a row here.

The ladder, `dfd doctor`, the parameters of the node, the choices of the launch files and the help texts read it. It
imports nothing, so that they can.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Precision = Literal["fp32", "fp16", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
AUTO = "auto"
"""In place of a name: the first of the ladder that works here."""

PIP = "pip install -c requirements/constraints.txt"


@dataclass(frozen=True, kw_only=True)
class BackendRow:
    """What is known of a backend before it is imported."""

    package: str
    """The Python package that it imports."""
    implementation: str
    """MODULE:CLASS, an `InferenceBackend`."""
    devices: Mapping[Literal["cuda", "cpu"], str]
    """Where it runs, each with what speaks for it there."""
    precisions: tuple[Precision, ...]
    machine: tuple[str, ...] = ()
    """Processors on which it comes first; on others it comes after those that are at home everywhere."""
    last_resort: bool = False
    """It comes last on a CPU; and since importing it takes seconds, on CUDA only where there is a driver."""
    reads_graph: bool = True
    """It runs the model's ONNX graph, not its weights."""
    advice: str
    """How to get it."""


BACKENDS: dict[str, BackendRow] = {
    "tensorrt": BackendRow(
        package="tensorrt",
        implementation="dfd_perception.inference.backends.tensorrt_backend:TensorRtBackend",
        devices={"cuda": "fastest on an NVIDIA GPU"},
        precisions=("fp32", "fp16", "int8"),
        advice="Jetson: it comes with JetPack, in the system's Python: make the environment with "
        "--system-site-packages. Elsewhere: pip install tensorrt-cu13",
    ),
    "openvino": BackendRow(
        package="openvino",
        implementation="dfd_perception.inference.backends.openvino_backend:OpenVinoBackend",
        devices={"cpu": "fastest on this x86 CPU"},
        precisions=("fp32", "fp16", "bf16"),
        machine=("x86_64", "amd64"),
        advice=f"{PIP} openvino",
    ),
    "onnxruntime": BackendRow(
        package="onnxruntime",
        implementation="dfd_perception.inference.backends.onnxruntime_backend:OnnxRuntimeBackend",
        devices={"cpu": "runs on any CPU"},
        precisions=("fp32",),
        advice=f"{PIP} onnxruntime",
    ),
    "torch": BackendRow(
        package="torch",
        implementation="dfd_perception.inference.backends.torch_backend:TorchBackend",
        devices={"cuda": "CUDA without TensorRT", "cpu": "last resort"},
        precisions=("fp32", "fp16", "bf16"),
        last_resort=True,
        reads_graph=False,
        advice=f"{PIP} -r requirements/train.txt",
    ),
}


def backend_names() -> tuple[str, ...]:
    """What a user can ask for: auto and the names of the table."""
    return (AUTO, *BACKENDS)


def backend_choice() -> dict[str, Any]:
    """The option --backend of a command, for argparse."""
    names = backend_names()
    return {"default": AUTO, "choices": names, "metavar": "B", "help": f"{', '.join(names)} (default: {AUTO})"}


def precision_choice() -> dict[str, Any]:
    """The option --precision of a command, for argparse."""
    return {"default": "fp32", "choices": PRECISIONS, "help": "default: fp32"}


def cpu_order() -> list[str]:
    """Names of those that run on the CPU, best first on this machine."""
    here = platform.machine().lower()

    def rank(name: str) -> int:
        row = BACKENDS[name]
        return 3 if row.last_resort else 0 if here in row.machine else 2 if row.machine else 1

    return sorted((name for name, row in BACKENDS.items() if "cpu" in row.devices), key=rank)
