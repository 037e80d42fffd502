# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What `dfd doctor` says about TensorRT: JetPack, CUDA, memory, why it does not import, and the engines there are."""

from __future__ import annotations

import json
import re
import subprocess
from functools import partial
from pathlib import Path

from dfd_perception import environment
from dfd_perception.cli.doctor_advice import Entry
from dfd_perception.environment import Package

L4T_RELEASE = Path("/etc/nv_tegra_release")
CUDA_VERSION = Path("/usr/local/cuda/version.json")
DRIVER_VERSION = Path("/proc/driver/nvidia/version")
MEMORY = Path("/proc/meminfo")

JETPACK_OF_L4T = {
    "36.3": "6.0", "36.4.0": "6.1", "36.4": "6.1 or 6.2", "36.4.3": "6.2", "36.4.4": "6.2.1", "36.5": "6.2.2",
    "38.2": "7.0", "38.4": "7.1", "39.2": "7.2",
}  # fmt: skip
"""From NVIDIA's JetPack archive; the package nvidia-jetpack, where it is installed, is asked first."""

BUILD_MEMORY_WANTED_BYTES = 6 << 30
"""Memory and swap that are free, for building an engine of the thesis' network: an estimate."""


Line = partial(Entry, "tensorrt")


def tensorrt_lines(tensorrt: Package, has_gpu: bool) -> list[Entry]:
    """What a user of a GPU needs to see at one look; empty on a machine that has neither GPU nor TensorRT."""
    if not (has_gpu or tensorrt.usable):
        return []
    return [*jetpack_lines(), *cuda_lines(), *import_lines(tensorrt), *memory_lines(), *engine_lines()]


def jetpack_lines() -> list[Entry]:
    """JetPack and the Linux for Tegra that it is made of."""
    release = l4t_version()
    if release is None:
        return []
    package = installed_version("nvidia-jetpack")
    known = JETPACK_OF_L4T.get(release) or JETPACK_OF_L4T.get(".".join(release.split(".")[:2]))
    detail = f"{package or known or 'unknown'} (L4T {release})"
    if release.startswith(("32.", "34.", "35.")):
        return [
            Line("JetPack", "error", detail, "JetPack 6 or newer is needed (Python 3.10): flash it, see docs/jetson.md")
        ]
    if package is None:
        return [Line("JetPack", "warning", detail, "CUDA and TensorRT come with: sudo apt install nvidia-jetpack")]
    return [Line("JetPack", "ok", detail)]


def l4t_version() -> str | None:
    """Version of Linux for Tegra, as 36.4.3; None on other machines."""
    try:
        text = L4T_RELEASE.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", text)
    return f"{match[1]}.{match[2]}" if match else None


def installed_version(package: str) -> str | None:
    """Version of a Debian package; None if it is not installed or there is no dpkg."""
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Version}", package]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout[3:].strip() or None if result.stdout.startswith("ii") else None


def cuda_lines() -> list[Entry]:
    """CUDA toolkit and driver, as far as files tell."""
    lines = []
    try:
        toolkit = json.loads(CUDA_VERSION.read_text(encoding="utf-8"))["cuda"]["version"]
        lines.append(Line("CUDA", "ok", f"{toolkit}, {CUDA_VERSION.parent}"))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # the runtime may come in wheels
    try:
        first = DRIVER_VERSION.read_text(encoding="utf-8").splitlines()[0]
        lines.append(Line("driver", "ok", first.removeprefix("NVRM version:").strip()))
    except (OSError, IndexError):
        pass  # a Jetson's driver is a part of L4T
    return lines


def import_lines(tensorrt: Package) -> list[Entry]:
    """TensorRT, or why it does not import and the command that mends it."""
    if tensorrt.usable:
        return [Line("TensorRT", "ok", str(tensorrt.version))]
    from dfd_perception.inference.tensorrt.trt_module import import_advice

    problem = tensorrt.problem or "not installed"
    return [Line("TensorRT", "warning", problem, import_advice(problem))]


def memory_lines() -> list[Entry]:
    """Memory that a build can have. A Jetson's GPU takes it from the same place as everything else."""
    try:
        fields = dict(line.split(":", 1) for line in MEMORY.read_text(encoding="utf-8").splitlines())
        total, free, swap = (int(fields[name].split()[0]) << 10 for name in ("MemTotal", "MemAvailable", "SwapFree"))
    except (OSError, ValueError, KeyError):
        return []
    detail = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free, swap {swap / 2**30:.1f} GiB free"
    if environment.jetson_model() is not None and free + swap < BUILD_MEMORY_WANTED_BYTES:
        advice = "a build may run out: close the desktop (sudo init 3), or add swap (docs/jetson.md)"
        return [Line("memory", "warning", detail, advice)]
    return [Line("memory", "ok", detail)]


def engine_lines() -> list[Entry]:
    """The engines in the cache and what their self-checks found."""
    from dfd_perception.errors import DfdPerceptionError
    from dfd_perception.inference.tensorrt.engine_cache import EngineCache
    from dfd_perception.inference.tensorrt.self_check import SelfCheckResult

    cache = EngineCache()
    try:
        entries = cache.entries()
    except (OSError, DfdPerceptionError) as error:
        return [Line("engines", "warning", str(error))]
    if not entries:
        return [Line("engines", "missing", f"none in {cache.folder}", "dfd build-engine MODEL --precision fp16")]
    lines = []
    for entry in entries:
        checked = SelfCheckResult.from_facts(entry.facts)
        status = "ok" if checked is not None and checked.passed else "warning"
        result = checked.summary() if checked is not None else "not checked"
        lines.append(Line("engine", status, f"{entry.path.stem}: {result}"))
    return lines
