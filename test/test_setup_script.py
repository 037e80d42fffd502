# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a user is told when the machine lacks something that the set-up needs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def set_up(project_root: Path, tmp_path: Path):
    """Return a function that runs the set-up with a stand-in for python3 (and for uname) first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def run(python: str | None, requirements: str = "requirements/runtime.txt", machine: str = "Linux x86_64"):
        for name, body in (("python3", python), ("uname", f"echo {machine}")):
            if body is not None:
                (folder / name).write_text(f"#!/bin/sh\n{body}\n")
                (folder / name).chmod(0o755)
        command = ["bash", str(project_root / "scripts" / "make_venv.sh"), str(tmp_path / "venv")]
        command += ["python3" if python else "python3.99", requirements]
        environment = {**os.environ, "PATH": f"{folder}:/usr/bin:/bin"}
        return subprocess.run(
            command, cwd=project_root, env=environment, capture_output=True, text=True, timeout=30, check=False
        )

    return run


OLD = 'case "$2" in *print*) echo 3.8 ;; *version_info*) exit 1 ;; esac'
WITHOUT_VENV = 'case "$2" in *print*) echo 3.11 ;; *ensurepip*) exit 1 ;; esac'
COMPLETE = 'case "$2" in *print*) echo 3.11 ;; esac'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"python": None}, ["'python3.99' does not run", "sudo apt install python3.99"]),
        ({"python": OLD}, ["Python 3.8", "3.10 or newer", "make PYTHON=python3.12"]),
        ({"python": WITHOUT_VENV}, ["lacks venv", "sudo apt install python3-venv"]),
        (
            {"python": COMPLETE, "requirements": "requirements/ros-jazzy.txt", "machine": "Linux aarch64"},
            ["x86_64 only", "Linux aarch64"],
        ),
    ],
    ids=["no such python", "too old", "no venv", "no wheels"],
)
def test_what_is_missing_is_named_with_its_remedy(set_up, tmp_path, arguments, words):
    result = set_up(**arguments)
    assert result.returncode == 1
    for word in words:
        assert word in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "venv").exists()
