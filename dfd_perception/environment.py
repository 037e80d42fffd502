# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What this machine has: packages, a ROS 2, a GPU, shared memory. Standard library only.

A package with compiled parts is tried in a child process: an import can take seconds, print, or crash the interpreter
(a module compiled for another NumPy, a TensorRT without its libraries), and none of that may reach the one who asks.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from dfd_perception.errors import counted

IMPORT_TIMEOUT_S = 60.0
# An 8 MiB camera image in flight a few times over; a container is given 64 MiB unless told otherwise.
SHARED_MEMORY_WANTED_BYTES = 128 * 1024 * 1024
FASTDDS_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")

_PROBE = """
import importlib, importlib.metadata, sys
name, distribution = sys.argv[1:3]
module = importlib.import_module(name)
version = getattr(module, "__version__", None)
if not isinstance(version, str):
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        version = "installed"
extra = ""
if name == "torch":
    extra = module.cuda.get_device_name(0) if module.cuda.is_available() else ""
if name == "openvino":
    extra = " ".join(module.Core().available_devices)
if name == "onnxruntime":
    extra = " ".join(module.get_available_providers())
print("DFD-PROBE", version, extra, sep="\\t")
"""


class Package(NamedTuple):
    """What trying to import a package gave."""

    name: str
    version: str | None
    problem: str | None = None
    devices: str = ""

    @property
    def usable(self) -> bool:
        """Whether the package imports."""
        return self.version is not None


class RosInstallation(NamedTuple):
    """The ROS 2 that this interpreter would use."""

    kind: str
    distribution: str
    location: str


def probe_package(name: str, distribution: str | None = None) -> Package:
    """Import a package in a child process.

    Args:
        name: import name, such as `cv2`.
        distribution: name under which pip knows it, where that differs.
    """
    command = [sys.executable, "-c", _PROBE, name, distribution or name]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return Package(name, None, f"importing it took more than {IMPORT_TIMEOUT_S:.0f} s")
    for line in result.stdout.splitlines():
        if line.startswith("DFD-PROBE\t"):
            _, version, devices = line.split("\t")
            return Package(name, version, None, devices)
    if result.returncode < 0:
        return Package(name, None, f"importing it ended the interpreter with signal {-result.returncode}")
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else f"importing it ended with exit code {result.returncode}"
    missing = last == f"ModuleNotFoundError: No module named '{name}'"
    return Package(name, None, "not installed" if missing else f"does not import: {last}")


def find_package(name: str, distribution: str | None = None) -> Package:
    """Look a package up without importing it; enough for one that is pure Python or that another one stands for."""
    if importlib.util.find_spec(name) is None:
        return Package(name, None, "not installed")
    try:
        return Package(name, importlib.metadata.version(distribution or name))
    except importlib.metadata.PackageNotFoundError:
        return Package(name, "installed")


def probe_packages(pairs: Sequence[tuple[str, str]]) -> dict[str, Package]:
    """Probe `(import name, distribution)` pairs, a few at a time; returns them by import name."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return {package.name: package for package in pool.map(lambda pair: probe_package(*pair), pairs)}


def find_ros(rclpy: Package) -> RosInstallation | None:
    """Say which ROS 2 an importable rclpy belongs to; None where there is none."""
    if not rclpy.usable:
        return None
    spec = importlib.util.find_spec("rclpy")
    location = str(Path(spec.origin).parent) if spec and spec.origin else ""
    if "site-packages" in location and location.startswith(sys.prefix):
        try:
            importlib.metadata.version("ros-jazzy-rclpy")
            distribution = "jazzy"
        except importlib.metadata.PackageNotFoundError:
            distribution = "kilted"
        return RosInstallation("PyPI wheels", distribution, location)
    return RosInstallation("installation", os.environ.get("ROS_DISTRO", "unknown"), location)


def find_gpus() -> list[str]:
    """Return a line for each NVIDIA GPU that the driver knows, with its memory and the driver's version."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        result = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return []
    return [line.strip() for line in result.stdout.splitlines() if line.strip()] if result.returncode == 0 else []


def jetson_model() -> str | None:
    """Return the board's name on an NVIDIA Jetson, else None."""
    path = Path("/proc/device-tree/model")
    try:
        name = path.read_text(encoding="utf-8", errors="replace").strip("\x00 \n")
    except OSError:
        return None
    return name if "NVIDIA" in name or "Jetson" in name else None


def cpu_name() -> str:
    """Return the processor's name and the number of cores that this process may use."""
    name = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {counted(cores or 1, 'core')}"


def shared_memory_bytes() -> int | None:
    """Return the size of /dev/shm, through which images travel between processes; None where there is none."""
    try:
        status = os.statvfs("/dev/shm")
    except OSError:
        return None
    return status.f_frsize * status.f_blocks


def fastdds_profile_problem() -> str | None:
    """Say what is wrong with the Fast DDS profile variables; None when both name a file that exists."""
    for variable in FASTDDS_VARIABLES:
        value = os.environ.get(variable)
        if not value:
            return f"{variable} is not set"
        if not Path(value).is_file():
            return f"{variable} names {value}, which does not exist"
    return None


def fastdds_setting() -> dict[str, str]:
    """What whoever starts ROS processes has to add to their environment; empty where a profile is named already.

    Without a larger shared-memory segment Fast DDS loses best-effort images above 512 KiB (see config/fastdds.xml).
    Up to Jazzy it reads the first of the two names; from Kilted it reads the second, and complains about the first.
    """
    old_name, new_name = FASTDDS_VARIABLES
    name = old_name if os.environ.get("ROS_DISTRO", "") in ("humble", "iron", "jazzy") else new_name
    return {} if name in os.environ else {name: str(shipped_fastdds_profile())}


def use_own_ros_domain() -> None:
    """Keep ROS of this process, and of those it starts, to itself; what the environment sets already stays.

    A spare domain, this machine only, and shared memory that images fit into. rclpy reads it when it starts.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(spare_domain_id()))
    for variable in FASTDDS_VARIABLES:
        os.environ.setdefault(variable, str(shipped_fastdds_profile()))


def shipped_fastdds_profile() -> Path:
    """Return the path of the project's Fast DDS profile, in a checkout or in an installation."""
    return shipped_path("config/fastdds.xml")


def shipped_path(relative: str) -> Path:
    """Return the path of a file or folder that comes with the package, in a checkout or in an installation."""
    candidates = [Path(__file__).resolve().parent.parent / relative, *(share / relative for share in share_folders())]
    return next((path for path in candidates if path.exists()), candidates[0])


def share_folders() -> list[Path]:
    """Return the folders where installations keep what comes with the package; they need not exist."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    return [Path(prefix) / "share" / "dfd_perception" for prefix in prefixes if prefix]


def spare_domain_id() -> int:
    """A ROS domain for a run that wants to be alone: of those above the ports that Linux hands out, by process.

    215 to 232, see https://docs.ros.org/en/jazzy/Concepts/Intermediate/About-Domain-ID.html; robots, and the tests of
    this package, use the low ones.
    """
    return 215 + os.getpid() % 18
