# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Freed image buffers stay with the process: counted by the page faults of a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from dfd_perception.ros.shared.process_memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for number in range(110):
    if number == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    frames = [np.ones((480, 640), np.float32) for _ in range(8)]
    del frames
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_image_buffers_are_used_again():
    faults = {
        mode: int(subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, check=True).stdout)
        for mode in ("returned", "kept")
    }
    print(faults)
    assert faults["kept"] < 0.1 * faults["returned"]
