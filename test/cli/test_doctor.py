# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dfd_perception import environment
from dfd_perception.cli import __main__ as cli
from dfd_perception.cli import doctor
from dfd_perception.cli.doctor_advice import runnable
from dfd_perception.environment import Package


def packages_with(**usable: str) -> dict[str, Package]:
    """Return what the probes would give where only the named packages are installed."""
    return {
        wanted.name: Package(wanted.name, usable[wanted.name])
        if wanted.name in usable
        else Package(wanted.name, None, "not installed")
        for wanted in doctor.wanted_packages()
    }


@pytest.fixture
def machine(monkeypatch):
    """Return a function that makes this machine one with the given packages and GPUs."""

    def become(gpus=(), **usable):
        found = packages_with(**usable)
        monkeypatch.setattr(environment, "probe_packages", lambda pairs: {name: found[name] for name, _ in pairs})
        monkeypatch.setattr(environment, "find_package", lambda name, distribution=None: found[name])
        monkeypatch.setattr(environment, "find_gpus", lambda: list(gpus))
        monkeypatch.setattr(environment, "jetson_model", lambda: None)

    return become


def report(capsys, *, code: int) -> dict:
    assert cli.main(["doctor", "--json"]) == code
    return json.loads(capsys.readouterr().out)


def entry(found: dict, name: str) -> dict:
    return next(entry for entry in found["entries"] if entry["name"] == name)


BASICS = {"numpy": "2.0", "cv2": "4.10", "yaml": "6.0"}


def test_this_machine_is_examined_for_real():
    result = subprocess.run(
        [sys.executable, "-m", "dfd_perception.cli", "doctor", "--json"], capture_output=True, text=True, timeout=100
    )
    found = json.loads(result.stdout)
    assert result.returncode == (0 if found["ready"] else 1)
    import numpy

    assert entry(found, "numpy")["detail"] == numpy.__version__
    assert entry(found, "python")["detail"].endswith(sys.executable)


def test_nothing_installed_is_exit_1_and_says_what_to_install(machine, capsys):
    machine()
    found = report(capsys, code=1)
    assert found["ready"] is False
    assert found["backend"]["name"] is None
    assert entry(found, "numpy")["status"] == "error"
    assert "python3-numpy" in entry(found, "numpy")["advice"]
    assert "make setup" in entry(found, "rclpy")["advice"]


def test_numpy_2_over_the_opencv_of_the_distribution_is_named(machine, capsys, monkeypatch):
    machine(numpy="2.4.6", yaml="6.0", onnxruntime="1.32")
    broken = Package("cv2", None, "does not import: ImportError: numpy.core.multiarray failed to import")
    found = packages_with(numpy="2.4.6", yaml="6.0", onnxruntime="1.32") | {"cv2": broken}
    monkeypatch.setattr(environment, "probe_packages", lambda pairs: {name: found[name] for name, _ in pairs})
    told = report(capsys, code=1)
    assert entry(told, "cv2")["detail"].startswith("NumPy 2.4.6 over cv2 of the distribution")
    assert entry(told, "cv2")["advice"] == 'pip install "numpy<2"'
    assert told["next"] == 'to do: pip install "numpy<2"'


def test_the_last_line_is_what_to_try_or_the_one_thing_to_do(machine, capsys):
    machine(**BASICS)
    cli.main(["doctor"])
    assert capsys.readouterr().out.splitlines()[-1] == "to do: pip install onnxruntime openvino"
    machine(onnxruntime="1.32", **BASICS)
    cli.main(["doctor"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("ready: try  dfd predict ")
    machine(onnxruntime="1.32", rosbags="0.11", **BASICS)
    cli.main(["doctor"])
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("ready: try  ").split()
    assert Path(command[command.index("--bag") + 1], "metadata.yaml").is_file()
    assert Path(command[command.index("--lens") + 1]).is_file()
    machine(onnxruntime="1.32", launch_ros="0.26", **BASICS)
    cli.main(["doctor"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("ready: try  ros2 launch dfd_perception ")


def test_every_missing_package_comes_with_advice(machine, capsys):
    machine()
    found = report(capsys, code=1)
    for wanted in doctor.wanted_packages():
        assert entry(found, wanted.name)["advice"]


def test_a_gpu_that_torch_does_not_see_is_a_warning(machine, capsys):
    machine(gpus=["NVIDIA H200, 143771 MiB, 580.1"], torch="2.13.0+cpu", openvino="2026.4", **BASICS)
    found = report(capsys, code=0)
    assert entry(found, "torch and GPU")["status"] == "warning"


@pytest.mark.parametrize(
    ("processor", "gpus", "usable", "chosen", "passed_over"),
    [
        ("x86_64", [], {"openvino": "1", "onnxruntime": "1", "torch": "2"}, "openvino", "tensorrt: not installed"),
        ("aarch64", [], {"openvino": "1", "onnxruntime": "1"}, "onnxruntime", "tensorrt: not installed"),
        ("x86_64", [], {"tensorrt": "10", "onnxruntime": "1"}, "onnxruntime", "tensorrt: it sees no GPU"),
        ("x86_64", ["H200"], {"tensorrt": "10", "openvino": "1"}, "tensorrt", ""),
        ("x86_64", [], {"torch": "2"}, "torch", "openvino: not installed"),
    ],
)
def test_the_backend_is_the_first_that_works(
    machine, capsys, monkeypatch, processor, gpus, usable, chosen, passed_over
):
    pytest.importorskip("numpy")
    monkeypatch.setattr("platform.machine", lambda: processor)
    machine(gpus=gpus, **usable, **BASICS)
    backend = report(capsys, code=0)["backend"]
    assert backend["name"] == chosen
    assert passed_over in backend["reason"]


def test_the_text_says_first_which_backend_runs(machine, capsys):
    machine(onnxruntime="1.32", **BASICS)
    assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("backend  onnxruntime: ")
    assert "-> " in text


def test_advice_can_be_followed_where_one_stands(tmp_path, monkeypatch):
    """A robot's install folder holds no requirement files, and pip would answer that it cannot open them."""
    for_checkout = "pip install -c requirements/constraints.txt -r requirements/train.txt"
    assert runnable(for_checkout, "torch", tmp_path) == "pip install torch"
    assert runnable("pip install -c requirements/constraints.txt tqdm, or", "x", tmp_path) == "pip install tqdm, or"
    (tmp_path / "requirements").mkdir()
    full = f"pip install -c {tmp_path}/requirements/constraints.txt -r {tmp_path}/requirements/train.txt"
    assert runnable(for_checkout, "torch", tmp_path) == full
    monkeypatch.chdir(tmp_path)
    assert runnable(for_checkout, "torch", tmp_path) == for_checkout


def test_without_the_fast_dds_profile_it_says_how_to_set_it(machine, capsys, monkeypatch):
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)
    ros = environment.RosInstallation("installation", "jazzy", "/")
    monkeypatch.setattr(environment, "find_ros", lambda rclpy: ros)
    machine(onnxruntime="1.32", rclpy="7.1", **BASICS)
    advice = entry(report(capsys, code=0), "Fast DDS profile")["advice"]
    assert f"FASTDDS_DEFAULT_PROFILES_FILE={environment.shipped_fastdds_profile()}" in advice
    assert environment.shipped_fastdds_profile().is_file()


def test_a_package_that_crashes_or_fails_on_import_is_told_from_one_that_is_absent(tmp_path, monkeypatch):
    (tmp_path / "crashing_package.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    (tmp_path / "broken_package.py").write_text("raise OSError('libnvinfer.so.10: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "signal 11" in environment.probe_package("crashing_package").problem
    assert "libnvinfer.so.10" in environment.probe_package("broken_package").problem
    assert environment.probe_package("no_such_package").problem == "not installed"
    assert environment.probe_package("json").version == "2.0.9"
