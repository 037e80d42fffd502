# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The node as a process: parameter files, signals, exit codes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")


def start(environment, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dfd_perception.ros.depth_node.dfd_node", "--ros-args", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if re.search(pattern, line):
            return seen
    pytest.fail(f"the process ended without saying {pattern!r}; it said:\n{seen}")


@pytest.mark.fault
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_with_exit_code_0_and_no_traceback(ros_environment, tiny_coc_model, stop):
    process = start(ros_environment, "-p", f"model:={tiny_coc_model}")
    read_until(process, "model tiny_coc")
    time.sleep(0.3)
    process.send_signal(stop)
    rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in rest


@pytest.mark.fault
def test_a_signal_ends_it_in_the_middle_of_frames(ros_environment, tiny_coc_model, peer):
    depths = peer.subscribe("depth/image")
    process = start(
        ros_environment, "-p", f"model:={tiny_coc_model}", "-p", "lens.aperture_diameter_mm:=25.0",
        "-p", "lens.focus_distance_m:=0.6",
    )  # fmt: skip
    try:
        peer.publish_until(lambda: len(depths) > 3, "depth arrives", fx=660.0)
        process.send_signal(signal.SIGTERM)
        for _ in range(20):
            peer.publish(fx=660.0)
        rest, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in rest


def test_a_parameter_file_with_a_wrong_name_leaves_the_process_up(ros_environment, tiny_coc_model, tmp_path):
    file = tmp_path / "dfd.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    model: {tiny_coc_model}\n    lens:\n      focus_m: 1.0\n")
    process = start(ros_environment, "--params-file", str(file))
    try:
        assert "unknown parameter lens.focus_m" in read_until(process, "not configured")
        time.sleep(0.3)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in rest


def test_the_shipped_parameter_file_is_accepted(ros_environment, tiny_coc_model, project_root):
    process = start(
        ros_environment, "--params-file", str(project_root / "config" / "dfd.yaml"), "-p", f"model:={tiny_coc_model}"
    )
    read_until(process, "model tiny_coc")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["dfd", "recorder"])
def test_the_shipped_parameter_files_hold_every_parameter_with_its_default(project_root, name):
    import dataclasses

    from dfd_perception.files.configuration import read_yaml
    from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
    from dfd_perception.ros.recorder_node.recorder_parameters import RecorderParameters

    declared_by = {"dfd": DfdParameters, "recorder": RecorderParameters}

    def flat(mapping, prefix=""):
        for key, value in mapping.items():
            if isinstance(value, dict):
                yield from flat(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    file = project_root / "config" / f"{name}.yaml"
    shipped = dict(flat(read_yaml(file)["/**"]["ros__parameters"]))
    declared = {f.metadata["parameter"].name: f.default for f in dataclasses.fields(declared_by[name])}
    assert shipped == declared | ({"source": "azure_kinect"} if name == "recorder" else {})
    lines = [line for line in file.read_text().splitlines() if re.match(r"\s+\w+: \S", line)]
    assert all("#" in line for line in lines)
