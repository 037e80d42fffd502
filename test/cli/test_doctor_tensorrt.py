# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a Jetson user sees, from the files that a Jetson has."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from dfd_perception.cli import doctor_tensorrt
from dfd_perception.cli.doctor_tensorrt import tensorrt_lines
from dfd_perception.environment import Package
from dfd_perception.inference.tensorrt.engine_cache import EngineCache
from dfd_perception.inference.tensorrt.engine_key import EngineKey
from dfd_perception.inference.tensorrt.self_check import SelfCheckResult

L4T = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
USABLE = Package("tensorrt", "10.3.0.30")
KEY = EngineKey(
    onnx_sha256="a", graph_recipe=1, heads="both", precision="fp16", height=480, width=640, library_version="10.3.0.30",
    gpu_name="Orin", compute_capability="8.7", architecture="aarch64", workspace_mb=1024, optimization_level=3,
)  # fmt: skip


@pytest.fixture
def jetson(monkeypatch, tmp_path):
    def become(l4t=L4T, jetpack="6.2.1+b38", free_mb=5000, swap_mb=4000):
        files = {
            "L4T_RELEASE": l4t,
            "CUDA_VERSION": json.dumps({"cuda": {"name": "CUDA SDK", "version": "12.6.11"}}),
            "DRIVER_VERSION": "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0\nGCC\n",
            "MEMORY": f"MemTotal: {8 << 20} kB\nMemAvailable: {free_mb << 10} kB\nSwapFree: {swap_mb << 10} kB\n",
        }
        for name, content in files.items():
            path = tmp_path / name
            path.write_text(content)
            monkeypatch.setattr(doctor_tensorrt, name, path)
        monkeypatch.setattr(doctor_tensorrt, "installed_version", lambda package: jetpack)
        monkeypatch.setattr(doctor_tensorrt.environment, "jetson_model", lambda: "NVIDIA Jetson Orin NX")
        monkeypatch.setenv("DFD_ENGINE_CACHE", str(tmp_path / "engines"))
        return EngineCache()

    return become


def lines_by_name(tensorrt=USABLE):
    return {line.name: line for line in tensorrt_lines(tensorrt, True)}


def test_all_versions_at_one_look(jetson):
    jetson()
    lines = lines_by_name()
    assert lines["JetPack"].detail == "6.2.1+b38 (L4T 36.4.3)"
    assert lines["CUDA"].detail.startswith("12.6.11, ")
    assert lines["driver"].detail.endswith("540.4.0")
    assert lines["TensorRT"].detail == "10.3.0.30"
    assert lines["memory"] == ("tensorrt", "memory", "ok", "4.9 of 8.0 GiB free, swap 3.9 GiB free", "")
    assert lines["engines"].advice.startswith("dfd build-engine")


def test_a_jetson_without_the_jetpack_packages(jetson):
    jetson(jetpack=None)
    line = lines_by_name()["JetPack"]
    assert (line.status, line.detail) == ("warning", "6.2 (L4T 36.4.3)")
    assert "sudo apt install nvidia-jetpack" in line.advice


def test_an_old_jetpack_is_refused(jetson):
    jetson(l4t=L4T.replace("R36", "R35"), jetpack="5.1.3")
    assert lines_by_name()["JetPack"].status == "error"


def test_why_tensorrt_does_not_import_and_what_to_do(jetson):
    jetson()
    problem = "does not import: OSError: libnvdla_compiler.so: cannot open shared object file"
    line = lines_by_name(Package("tensorrt", None, problem))["TensorRT"]
    assert line.status == "warning"
    assert "nvidia-l4t-dla-compiler" in line.advice


def test_too_little_memory_for_a_build(jetson):
    jetson(free_mb=1500, swap_mb=0)
    line = lines_by_name()["memory"]
    assert line.status == "warning"
    assert "swap" in line.advice


def test_engines_and_their_self_checks(jetson):
    cache = jetson()
    good = SelfCheckResult(True, "", 0.0012, 58.2, 0, 4)
    cache.store(KEY, "indoor", b"plan", {"self_check": asdict(good)})
    assert lines_by_name()["engine"].detail.endswith(
        "passed: depth AbsRel 0.12 %, AiF 58.2 dB against fp32 on 4 frames"
    )
    bad = SelfCheckResult(False, "3 values NaN or infinite", None, None, 3, 4)
    cache.store(KEY, "indoor", b"plan", {"self_check": asdict(bad)})
    assert lines_by_name()["engine"].status == "warning"


def test_a_machine_without_any_of_it_hears_nothing():
    assert tensorrt_lines(Package("tensorrt", None, "not installed"), False) == []


def test_a_package_that_is_not_installed_has_no_version():
    assert doctor_tensorrt.installed_version("no-such-package-at-all") is None


def test_files_that_are_missing_or_odd_are_no_crash(jetson, monkeypatch):
    jetson(l4t="something else")
    for name in ("CUDA_VERSION", "DRIVER_VERSION", "MEMORY"):
        monkeypatch.setattr(doctor_tensorrt, name, Path("/nowhere"))
    assert set(lines_by_name()) == {"TensorRT", "engines"}
