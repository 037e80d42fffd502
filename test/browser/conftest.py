# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One Chromium for all tests of pages; each gets the page of its own `dfd view`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.chromium import Page, start_chromium


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    browser = start_chromium(str(tmp_path_factory.mktemp("profile")))
    yield browser
    browser.quit()


@pytest.fixture
def page(chromium: Any, serve: Any) -> Iterator[Page]:
    """A page whose test fails when anything went wrong in the browser; it is left before its server ends."""
    made = Page(chromium)
    made.errors()
    yield made
    errors = made.errors()
    made.browser.get("about:blank")
    assert not errors, errors


@pytest.fixture
def serve(ros_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start `dfd view` with arguments; returns the address of its page."""
    processes = []

    def start(*arguments: str) -> str:
        command = [sys.executable, "-m", "dfd_perception.cli", "view", *arguments, "--port", "0"]
        log = open(tmp_path / "view.log", "w")  # noqa: SIM115
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=ros_environment)
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + (tmp_path / "view.log").read_text()
        return found[0]

    yield start
    for process in processes:
        process.terminate()
        assert process.wait(30) == 0
        assert (tmp_path / "view.log").read_text().count("Traceback") == 0
