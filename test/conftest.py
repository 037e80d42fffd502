# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Fixtures of all tests. Imports nothing that only some environments have."""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FASTDDS_PROFILE = ROOT / "config" / "fastdds.xml"

# Set before anything creates a DDS participant; a value from the command line wins.
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(FASTDDS_PROFILE))
os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(FASTDDS_PROFILE))

# One test to a core (make test): threads of two tests on one core wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Above 101 the ports of a domain run into those that Linux hands out to outgoing connections.
DOMAIN_IDS = range(1, 102)
# Two runs of the tests start at different places, and a domain rests before it is used again.
_next_domain = itertools.count(os.getpid() * 13)


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Return the folder that holds package.xml."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What an earlier run on this machine left in the user's cache (models tried) must not decide a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of the real recordings, which are too large or too restricted to ship with the project."""
    folder = Path(os.environ.get("DFD_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}: name the folder in DFD_SHARED_DATA")
    return folder


@pytest.fixture
def tiny_options() -> dict[str, Any]:
    """Return the sizes of a 2hded-small that trains in a second."""
    return {
        "encoder": {"stem": 8, "down": 8, "widths": [8, 8, 8, 8], "layers": [1, 1, 1, 1], "growth": 8, "fine": 8},
        "upper_widths": [8, 8, 8, 8],
        "lower_widths": [8, 8, 8, 8],
    }


@pytest.fixture
def ros_domain_id(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Return a ROS domain that no other test on this machine uses now, and set ROS_DOMAIN_ID to it."""
    for _ in DOMAIN_IDS:
        domain_id = DOMAIN_IDS[next(_next_domain) % len(DOMAIN_IDS)]
        with open(Path(tempfile.gettempdir()) / f"dfd_perception_domain_{domain_id}.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
            yield domain_id
            return
    pytest.fail("all ROS domains are taken by other test runs")


@pytest.fixture
def ros_environment(ros_domain_id: int, tmp_path: Path) -> dict[str, str]:
    """Return the environment for a child process with ROS nodes: this test's domain, its own log folder.

    Everything else is inherited: the ROS wheels mark a prepared interpreter by two variables that belong together
    (LD_LIBRARY_PATH and _ROS_WHEELS_BOOTSTRAP_COMPLETE), and a child with one of them cannot import rclpy.
    """
    environment = dict(os.environ)
    environment["ROS_DOMAIN_ID"] = str(ros_domain_id)
    environment["ROS_LOG_DIR"] = str(tmp_path / "ros_log")
    return environment


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of `make fuzz`."""
    parser.addoption("--fuzz-minutes", type=float, help="fuzz for so long, over all targets (default: seconds of each)")
    parser.addoption("--fuzz-seed", type=int, default=0, help="first of the random numbers that spoil inputs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test under test/ros the marker `ros`."""
    for item in items:
        if (ROOT / "test" / "ros") in item.path.parents:
            item.add_marker(pytest.mark.ros)


@pytest.fixture(scope="session")
def tiny_coc_model() -> Path:
    """Return a whole model folder (target coc) that runs in milliseconds on every backend and says nothing true."""
    return ROOT / "test" / "assets" / "tiny_coc"


@pytest.fixture(scope="session")
def tiny_depth_model() -> Path:
    """Return its sibling with target depth."""
    return ROOT / "test" / "assets" / "tiny_depth"
