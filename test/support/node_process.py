# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A node as its users run it: a process of its own, watched from outside."""

from __future__ import annotations

import signal
import subprocess
import sys


class NodeProcess:
    """A started node and the peer that speaks with it."""

    end_within_s = 20
    """From SIGINT to the end of the process."""

    def __init__(self, environment, peer, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, "--ros-args", *arguments]
        self.peer = peer
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def require_alive(self) -> None:
        assert self.process.poll() is None, self.process.communicate()[0][-3000:]

    def end(self) -> str:
        """End it as Ctrl-C does; returns what it printed, which holds no traceback."""
        self.require_alive()
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=self.end_within_s)
        assert self.process.returncode == 0, said
        assert "Traceback" not in said
        return said

    def kill(self) -> None:
        """Leave nothing behind, whatever the test came to."""
        self.process.kill()
        self.process.communicate()
