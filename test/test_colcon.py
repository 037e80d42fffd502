# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Build and install with colcon, as on a robot. `make test-colcon` makes the environment that these tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("colcon_core", reason="no colcon in this environment: make test-colcon")

COPIED = ("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "resource", "requirements", "dfd_perception",
          "launch", "config", "models", "rviz", "demo", "test", "LICENSE")  # fmt: skip


def colcon(workspace: Path, *arguments: str) -> subprocess.CompletedProcess:
    program = "import sys; from colcon_core.command import main; sys.exit(main())"
    environment = {**os.environ, "COLCON_HOME": str(workspace / "colcon"), "COLCON_EXTENSION_BLOCKLIST": ""}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=workspace, env=environment, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def workspace(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    source = folder / "src" / "dfd_perception"
    source.mkdir(parents=True)
    for name in COPIED:
        path = project_root / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif path.is_file():
            shutil.copy(path, source / name)
    return folder


@pytest.fixture(scope="module")
def installed(workspace: Path) -> Path:
    result = colcon(workspace, "build", "--event-handlers", "console_direct+")
    assert result.returncode == 0, result.stdout + result.stderr
    return workspace / "install" / "dfd_perception"


def test_colcon_takes_it_for_a_ros_package(workspace):
    result = colcon(workspace, "list")
    name, _, kind = result.stdout.split()
    assert (name, kind) == ("dfd_perception", "(ros.ament_python)")


def test_the_install_space_is_what_ros2_run_and_launch_look_for(installed, project_root):
    share = installed / "share"
    assert (share / "ament_index" / "resource_index" / "packages" / "dfd_perception").is_file()
    assert (share / "dfd_perception" / "package.xml").is_file()
    for folder in ("launch", "config", "models", "rviz"):
        for path in (project_root / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert (share / "dfd_perception" / path.relative_to(project_root)).is_file()
    executables = {path.name for path in (installed / "lib" / "dfd_perception").iterdir()}
    assert executables == {"dfd", "dfd_node", "ground_truth_recorder"}


def test_an_installed_executable_runs_after_sourcing(installed, project_root):
    executable = installed / "lib" / "dfd_perception" / "dfd"
    command = f"source '{installed}/../setup.bash' && '{executable}' --version && echo $AMENT_PREFIX_PATH"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd="/", check=False)
    assert result.returncode == 0, result.stderr
    version, prefixes = result.stdout.splitlines()
    assert version.startswith("dfd_perception ")
    assert str(installed.resolve()) in prefixes


def test_colcon_test_runs_tests(workspace, installed):
    arguments = ["--pytest-args", "test/test_import_layers.py", "-k", "layers_have_no_cycle"]
    result = colcon(workspace, "test", "--return-code-on-test-failure", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    # colcon reports success for a package whose tests it did not find.
    summary = colcon(workspace, "test-result", "--all", "--verbose").stdout
    assert "1 test, 0 errors, 0 failures" in summary.replace("tests,", "test,"), summary
