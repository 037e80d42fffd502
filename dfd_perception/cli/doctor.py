# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Say what is installed here, which backend would run and why, and how to get what is missing.

Exit code 0: a model can run here. Exit code 1: it cannot, and the first line says why. The last line says what to try,
or the one thing to do first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any, NamedTuple

from dfd_perception import __version__, environment
from dfd_perception.cli.doctor_advice import (
    NUMPY_1_ADVICE,
    Entry,
    is_numpy_clash,
    next_step,
    runnable,
    with_numpy_clash_named,
)
from dfd_perception.environment import Package

SYMBOLS = {"ok": "ok", "missing": "--", "warning": "!!", "error": "XX"}


class Wanted(NamedTuple):
    """A package that the project can use."""

    name: str
    distribution: str
    purpose: str
    advice: str
    required: bool = False
    compiled: bool = True
    """Whether it has libraries that can fail to load: then it is imported, else only looked up."""


PIP = "pip install -c requirements/constraints.txt"
APT = "sudo apt install"
OTHERS = (
    Wanted("numpy", "numpy", "everything", f"{PIP} numpy, or {APT} python3-numpy", required=True),
    Wanted("cv2", "opencv-python-headless", "everything",
           f"{PIP} opencv-python-headless (below 5), or {APT} python3-opencv", required=True),
    Wanted("yaml", "PyYAML", "configuration and model files", f"{PIP} pyyaml, or {APT} python3-yaml", required=True),
    Wanted("lightning_fabric", "lightning-fabric", "training", f"{PIP} -r requirements/train.txt", compiled=False),
    Wanted("onnxscript", "onnxscript", "export to ONNX", f"{PIP} -r requirements/train.txt", compiled=False),
    Wanted("rosbags", "rosbags", "bags: evaluate, play, record-bag", f"{PIP} rosbags", compiled=False),
    Wanted("aiohttp", "aiohttp", "the page of dfd view", f"{PIP} aiohttp, or {APT} python3-aiohttp",
           compiled=False),
    Wanted("safetensors", "safetensors", "weights: torch backend, training", f"{PIP} safetensors", compiled=False),
    Wanted("tqdm", "tqdm", "progress bars", f"{PIP} tqdm, or {APT} python3-tqdm", compiled=False),
    Wanted("pyk4a", "pyk4a-bundle", "a live Azure Kinect; recordings need none",
           "pip install '.[kinect]' in an environment of its own: pyk4a-bundle needs NumPy 1"),
    Wanted("rclpy", "ros-rclpy", "the nodes",
           "source /opt/ros/<distro>/setup.bash, or without ROS 2: make setup (x86_64: PyPI wheels into .venv)"),
    Wanted("launch_ros", "launch_ros", "ros2 launch", "comes with a ROS 2 installation; without one use dfd_node"),
    Wanted("cv_bridge", "cv_bridge", "images of a ROS installation; the nodes do without",
           f"{APT} ros-$ROS_DISTRO-cv-bridge (never PyPI's cv-bridge: it decodes 16UC1 wrongly)"),
    Wanted("sensor_msgs_py", "sensor_msgs_py", "point clouds of a ROS installation; the nodes do without",
           f"{APT} ros-$ROS_DISTRO-sensor-msgs-py"),
    Wanted("tf2_ros", "tf2_ros_py", "the recorder's camera.extrinsic_from_tf; a calibration file does without",
           f"{APT} ros-$ROS_DISTRO-tf2-ros-py"),
)  # fmt: skip
ROS_PACKAGES = ("rclpy", "launch_ros", "cv_bridge", "sensor_msgs_py", "tf2_ros")


def wanted_packages() -> tuple[Wanted, ...]:
    """The packages that the project can use: those of the backends, and the others."""
    from dfd_perception.inference.backends.table import BACKENDS

    backends = (
        Wanted(row.package, row.package, f"backend {name}: {', '.join(row.devices.values())}", row.advice)
        for name, row in BACKENDS.items()
    )
    return (*OTHERS, *backends)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd doctor`."""
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--data", type=Path, metavar="DIR", help="say what this data set holds and what is wrong in it")


def run(args: argparse.Namespace) -> int:
    """Examine this machine, or the data set of --data, and print what was found."""
    if args.data is not None:
        from dfd_perception.cli.dataset_report import report_dataset

        return report_dataset(args.data, args.json)
    compiled = [(wanted.name, wanted.distribution) for wanted in wanted_packages() if wanted.compiled]
    packages = environment.probe_packages(compiled)
    for wanted in wanted_packages():
        if not wanted.compiled:
            packages[wanted.name] = environment.find_package(wanted.name, wanted.distribution)
    packages = with_numpy_clash_named(packages)
    gpus = environment.find_gpus()
    backend, reason = choose_backend(packages, gpus)
    entries = [
        *system_entries(gpus, packages),
        *package_entries(packages),
        *tensorrt_entries(packages, bool(gpus) or environment.jetson_model() is not None),
        *ros_entries(packages["rclpy"]),
    ]
    missing = [wanted for wanted in wanted_packages() if wanted.required and not packages[wanted.name].usable]
    ready = backend is not None and not missing
    then = next_step(packages, advice_for(packages[missing[0].name], missing[0]) if missing else None, ready)
    if args.json:
        print(json.dumps({**as_json(entries, backend, reason, ready), "next": then}, indent=2))
    else:
        print_report(entries, backend, reason)
        print(f"\n{then}")
    return 0 if ready else 1


def choose_backend(packages: dict[str, Package], gpus: list[str]) -> tuple[str | None, str]:
    """Say what `backend: auto` comes to on this machine, and why, by the ladder of backends; nothing is loaded."""
    lacking = [wanted.name for wanted in wanted_packages() if wanted.required and not packages[wanted.name].usable]
    if lacking:
        return None, f"every backend needs {', '.join(lacking)}"
    from dfd_perception.inference.backends.table import BACKENDS
    from dfd_perception.inference.ladder import ladder

    has_gpu = bool(gpus) or environment.jetson_model() is not None
    passed_over = []
    rungs = ladder()
    for number, (name, strength) in enumerate(rungs):
        package = packages[name]
        # One that runs on both stands on two rungs: on CUDA above the CPU runtimes, on the CPU below them.
        wants_gpu = "cpu" not in BACKENDS[name].devices or name in [later for later, _ in rungs[number + 1 :]]
        if not package.usable:
            passed_over.append(f"{name}: {package.problem}")
        elif wants_gpu and not (package.devices if name == "torch" else has_gpu):
            passed_over.append(f"{name}: it sees no GPU")
        else:
            why = f" (before it: {'; '.join(passed_over)})" if passed_over else ""
            return name, f"{strength}{why}"
    return None, "; ".join(passed_over)


def system_entries(gpus: list[str], packages: dict[str, Package]) -> list[Entry]:
    """Report the interpreter, the processor and the GPU."""
    version = platform.python_version()
    entries = [
        Entry("system", "dfd_perception", "ok", __version__),
        Entry("system", "python", "ok", f"{version}, {sys.executable}"),
        Entry("system", "cpu", "ok", environment.cpu_name()),
    ]
    board = environment.jetson_model()
    if board:
        entries.append(Entry("system", "board", "ok", board))
    for gpu in gpus:
        entries.append(Entry("system", "gpu", "ok", gpu))
    torch = packages["torch"]
    if gpus and torch.usable and not torch.devices:
        advice = "install the CUDA build of torch that fits the driver (on a Jetson: NVIDIA's wheel for this JetPack)"
        entries.append(Entry("system", "torch and GPU", "warning", "torch does not see the GPU", advice))
    if not gpus and not board:
        entries.append(Entry("system", "gpu", "missing", "no NVIDIA GPU; models run on the CPU"))
    return entries


def package_entries(packages: dict[str, Package]) -> list[Entry]:
    """Report each package: its version, or why it cannot be used."""
    entries = []
    for wanted in wanted_packages():
        package = packages[wanted.name]
        section = "ros" if wanted.name in ROS_PACKAGES else "packages"
        if package.usable:
            devices = f" ({package.devices})" if package.devices else ""
            detail = f"{package.version}{devices}"
            entries.append(Entry(section, wanted.name, "ok", detail))
            continue
        broken = package.problem != "not installed"
        status = "error" if wanted.required else "warning" if broken else "missing"
        detail = f"{package.problem}; it is for {wanted.purpose}"
        entries.append(Entry(section, wanted.name, status, detail, advice_for(package, wanted)))
    return entries


def advice_for(package: Package, wanted: Wanted) -> str:
    """What gives a package that cannot be used."""
    return NUMPY_1_ADVICE if is_numpy_clash(package) else runnable(wanted.advice, wanted.distribution)


def tensorrt_entries(packages: dict[str, Package], has_gpu: bool) -> list[Entry]:
    """Report JetPack, CUDA, memory, TensorRT and its engines, where there is a GPU."""
    if not (packages["numpy"].usable and packages["cv2"].usable):
        return []  # the inference layer, which knows TensorRT, does not import without
    from dfd_perception.cli.doctor_tensorrt import tensorrt_lines

    return tensorrt_lines(packages["tensorrt"], has_gpu)


def ros_entries(rclpy: Package) -> list[Entry]:
    """Report which ROS 2 it is, and whether camera images get through its middleware."""
    ros = environment.find_ros(rclpy)
    if ros is None:
        return []
    entries = [Entry("ros", "ROS 2", "ok", f"{ros.distribution}, {ros.kind}, {ros.location}")]
    middleware = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    discovery = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    entries.append(Entry("ros", "middleware", "ok", f"{middleware}, discovery {discovery}, domain {domain}"))
    if middleware.startswith("rmw_fastrtps"):
        problem = environment.fastdds_profile_problem()
        profile = environment.shipped_fastdds_profile()
        advice = "; ".join(f"export {variable}={profile}" for variable in environment.FASTDDS_VARIABLES)
        loss = "best-effort images above 512 KiB can be lost"
        entry = Entry("ros", "Fast DDS profile", "ok", os.environ.get(environment.FASTDDS_VARIABLES[0], ""))
        entries.append(Entry("ros", entry.name, "warning", f"{problem}: {loss}", advice) if problem else entry)
    size = environment.shared_memory_bytes()
    if size is not None and size < environment.SHARED_MEMORY_WANTED_BYTES:
        detail = f"{size / 2**20:.0f} MiB in /dev/shm, the Fast DDS profile needs 64 MiB for each process"
        entries.append(Entry("ros", "shared memory", "warning", detail, "docker run --shm-size=512m"))
    return entries


def as_json(entries: list[Entry], backend: str | None, reason: str, ready: bool) -> dict[str, Any]:
    """Return the report as a JSON object."""
    return {
        "version": __version__,
        "ready": ready,
        "backend": {"name": backend, "reason": reason},
        "entries": [entry._asdict() for entry in entries],
    }


def print_report(entries: list[Entry], backend: str | None, reason: str) -> None:
    """Print the report for a person."""
    print(f"backend  {backend or 'NONE'}: {reason}")
    width = max(len(entry.name) for entry in entries)
    for section in dict.fromkeys(entry.section for entry in entries):
        print(f"\n{section}")
        for entry in (entry for entry in entries if entry.section == section):
            print(f"  {SYMBOLS[entry.status]}  {entry.name:<{width}}  {entry.detail}")
            if entry.advice:
                print(f"      {'':<{width}}  -> {entry.advice}")
