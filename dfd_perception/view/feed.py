# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What fills the page."""

from __future__ import annotations

import threading
from typing import Protocol

from dfd_perception.view.frame_slot import FrameSlot


class Feed(Protocol):
    """A source of frames with a thread of its own."""

    title: str
    """What is shown, for the head of the page."""
    controls: tuple[str, ...]
    """Buttons that make sense: pause, next, previous."""

    def run(self, slot: FrameSlot, stop: threading.Event) -> None:
        """Show frames until `stop` is set or nothing is left.

        Raises:
            DfdPerceptionError: it cannot go on.
        """
        ...

    def run_once(self, slot: FrameSlot, stop: threading.Event) -> None:
        """Show every frame once, none dropped, as fast as they come; topics until `stop`.

        Raises:
            DfdPerceptionError: it cannot go on.
        """
        ...

    def command(self, name: str) -> None:
        """A button was pressed: pause, play, next or previous."""
        ...
