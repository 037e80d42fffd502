# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Ctrl-C and SIGTERM end a run after the step that is under way; a second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """Whether a signal asked to stop."""

    def __init__(self) -> None:
        self.received: str | None = None


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Listen while the block runs. Only the main thread can; elsewhere nothing is changed."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before: dict[signal.Signals, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        request.received = signal.Signals(number).name
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for wanted in (signal.SIGINT, signal.SIGTERM):
        before[wanted] = signal.signal(wanted, note)
    try:
        yield request
    finally:
        for wanted, handler in before.items():
            signal.signal(wanted, handler)
