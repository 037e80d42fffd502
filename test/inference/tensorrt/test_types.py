# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The calls of TensorRT against the published signatures of 10.13: `make test-tensorrt` puts them beside the venv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tensorrt

STUBS = Path(sys.prefix) / "tensorrt-stubs"
# Where the published file is no valid Python: a parameter named as a keyword, and one without a default behind others.
REPAIRS = (("in: list", "in_: list"), ("channel_axis: int)", "channel_axis: int = ...)"))


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    if not STUBS.is_dir():
        pytest.skip(f"no stubs in {STUBS}: make test-tensorrt")
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("stubs")
    for source in STUBS.glob("tensorrt*/*.pyi"):
        text = source.read_text(encoding="utf-8")
        for wrong, right in REPAIRS:
            text = text.replace(wrong, right)
        copy = folder / source.relative_to(STUBS)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(text, encoding="utf-8")

    def run(*files: Path) -> list[str]:
        command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir", str(folder / "cache")]
        result = subprocess.run(
            [*command, *map(str, files)],
            capture_output=True,
            text=True,
            env={**os.environ, "MYPYPATH": str(folder)},
            cwd=Path(__file__).parents[3],
            timeout=110,
        )
        assert "errors prevented further checking" not in result.stdout, result.stdout
        # The stubs have errors of their own, which change nothing about the signatures used here.
        errors = [line for line in result.stdout.splitlines() if ": error: " in line]
        return [line for line in errors if ".pyi:" not in line]

    return run


def test_the_package_calls_what_there_is(check, project_root):
    assert check(*sorted((project_root / "dfd_perception" / "inference" / "tensorrt").glob("*.py"))) == []


def test_a_call_of_what_there_is_not_is_found(check, tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text(
        "import tensorrt\n"
        "def build(builder: tensorrt.Builder, network: tensorrt.INetworkDefinition) -> None:\n"
        "    builder.build_engine(network)\n"
        "    builder.build_serialized_network(network)\n"
    )
    errors = check(planted)
    assert any('has no attribute "build_engine"' in line for line in errors)
    assert any('Missing positional argument "config"' in line for line in errors)
