# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Why `import tensorrt` fails and what is said about it."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from dfd_perception.errors import EngineError
from dfd_perception.inference.tensorrt import trt_module


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with the given bindings in its system Python; this interpreter is the system's or a venv's."""

    def become(bindings_for=(), jetson=False, venv=False):
        for version in bindings_for:
            folder = tmp_path / "python3" / "dist-packages" / "tensorrt"
            folder.mkdir(parents=True, exist_ok=True)
            digits = version.replace(".", "")
            (folder / f"tensorrt.cpython-{digits}-aarch64-linux-gnu.so").write_bytes(b"")
        monkeypatch.setattr(trt_module, "SYSTEM_PYTHON_FOLDERS", tmp_path)
        monkeypatch.setattr(trt_module, "jetson_model", lambda: "NVIDIA Jetson Orin NX" if jetson else None)
        monkeypatch.setattr(sys, "prefix", "/home/robot/venv" if venv else "/usr")
        monkeypatch.setattr(sys, "base_prefix", "/usr")

    return become


THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
ABSENT = "No module named 'tensorrt'"


def test_a_venv_that_does_not_see_the_systems_packages(machine):
    machine([THIS], jetson=True, venv=True)
    advice = trt_module.import_advice(ABSENT)
    assert "include-system-site-packages = true in /home/robot/venv/pyvenv.cfg" in advice
    assert "--system-site-packages" in advice


def test_bindings_of_another_python(machine):
    machine(["3.9"], jetson=True, venv=True)
    assert f"installed for Python 3.9 and this is Python {THIS}" in trt_module.import_advice(ABSENT)


def test_a_jetson_without_it(machine):
    machine(jetson=True)
    assert trt_module.import_advice(ABSENT).startswith("sudo apt install nvidia-jetpack")


def test_a_desktop_without_it(machine):
    machine()
    assert trt_module.import_advice(ABSENT).startswith("pip install tensorrt-cu13")


@pytest.mark.parametrize(
    ("problem", "advice"),
    [
        ("libnvdla_compiler.so: cannot open shared object file", "nvidia-l4t-dla-compiler"),
        ("libnvinfer.so.10: cannot open shared object file", "its libraries are not: sudo apt install tensorrt"),
        ("libcuda.so.1: cannot open shared object file", "no NVIDIA driver"),
        ("libcudart.so.12: cannot open shared object file", "sudo apt install nvidia-jetpack"),
        ("A module that was compiled using NumPy 1.x cannot be run in NumPy 2", "pip install 'numpy<2'"),
    ],
)
def test_a_library_that_is_missing(machine, problem, advice):
    machine(jetson=True)
    assert advice in trt_module.import_advice(problem)


@pytest.mark.parametrize("error", [ImportError("libnvinfer.so.10: no such file"), OSError("libnvdla_compiler.so")])
def test_whatever_the_import_raises_is_one_error(monkeypatch, error):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "tensorrt":
                raise error

    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(EngineError, match="tensorrt cannot be imported .lib"):
        trt_module.import_tensorrt()


def test_a_folder_of_that_name_is_not_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", ModuleType("tensorrt"))
    with pytest.raises(EngineError, match="is only a folder"):
        trt_module.import_tensorrt()


def test_a_warning_is_logged_once_and_errors_are_remembered(trt, caplog):
    logger = trt_module.logger_for(trt)
    for _ in range(3):
        logger.log(trt.ILogger.WARNING, "scales are converted")
        logger.log(trt.ILogger.ERROR, "tactic failed")
    assert caplog.text.count("scales are converted") == 1
    assert logger.take_problems() == "tactic failed"
    assert logger.take_problems() == "TensorRT gave no reason"
    assert trt_module.logger_for(trt) is logger, "TensorRT keeps a pointer to the first"
