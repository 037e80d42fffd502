# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A headless Chromium for tests of pages: real script, real pictures, everything on this machine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest

WAIT_S = 120.0
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
)  # fmt: skip


def start_chromium(profile: str) -> Any:
    """Start it with an empty profile; skips the test with the reason where it is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium in this environment: make test-browser")
    program, driver = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium here: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.chrome.service.Service(driver))
    browser.set_script_timeout(WAIT_S)
    return browser


class Page:
    """A page in Chromium."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def open(self, url: str, width: int = 1400, height: int = 900, dark: bool = False) -> None:
        """Load a page in a window, or on a phone's screen below 600 px."""
        phone = width < 600
        screen = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.browser.get(url)

    def evaluate(self, script: str, *arguments: Any) -> Any:
        """Value of a JavaScript expression; its arguments are `a[0]`, `a[1]`, ..."""
        return self.browser.execute_script(f"const a = arguments; return ({script});", *arguments)

    def until(self, script: str, what: str) -> Any:
        """Wait until an expression is true; returns it."""
        return until(lambda: self.evaluate(script), what)

    def move_mouse(self, selector: str, u: float, v: float) -> None:
        """Move the real mouse over an element, to a place in fractions of its size."""
        x, y = self.evaluate(
            "(() => { const e = document.querySelector(a[0]); e.scrollIntoView({block: 'center'});"
            " const b = e.getBoundingClientRect(); return [b.left + b.width * a[1], b.top + b.height * a[2]]; })()",
            selector, u, v,
        )  # fmt: skip
        self.browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})

    def errors(self) -> list[str]:
        """What the page complained about: failed loads, exceptions, console.error."""
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition; returns its value."""
    deadline = time.monotonic() + WAIT_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in {WAIT_S:g} s it did not happen that {what}"
        time.sleep(0.05)
    return value
