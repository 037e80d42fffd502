# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Messages of several topics into frames: what has one stamp belongs together."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

ENDINGS = {
    "depth": "depth/image",
    "std": "depth/std",
    "blur": "defocus/image",
    "deblurred": "deblurred/image",
    "camera": "depth/camera_info",
}
"""What a frame is made of, beside the input: kind and topic below the node's name."""
KEPT = 12
ALIVE_S = 2.0


class FrameAssembler:
    """Waits for every topic that is alive, and gives up on a frame once a later one is complete.

    A topic is alive when it said something in the last two seconds: a node without a lens, or one that skips frames,
    must not hold up what does come.
    """

    def __init__(self) -> None:
        self._parts: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._heard_s: dict[str, float] = {}
        self._newest_ns = -1

    @property
    def waiting(self) -> int:
        """Stamps of which something may still come."""
        return len(self._parts)

    def add(self, kind: str, stamp_ns: int, message: Any, now_s: float) -> dict[str, Any] | None:
        """Take a message; returns all of its stamp by kind when it was the last one missing.

        Args:
            kind: which topic.
            stamp_ns: of the header.
            message: anything.
            now_s: of a clock that never jumps.
        """
        if self._newest_ns - stamp_ns > 500_000_000:  # time jumped back: a bag that loops
            self._parts.clear()
            self._newest_ns = -1
        self._heard_s[kind] = now_s
        if stamp_ns <= self._newest_ns:
            return None
        parts = self._parts.setdefault(stamp_ns, {})
        parts[kind] = message
        alive = {kind for kind, heard_s in self._heard_s.items() if now_s - heard_s <= ALIVE_S}
        if not alive <= set(parts):
            while len(self._parts) > KEPT:
                self._parts.popitem(last=False)
            return None
        self._newest_ns = stamp_ns
        for earlier in [stamp for stamp in self._parts if stamp <= stamp_ns]:
            del self._parts[earlier]
        return parts

    def forget(self, kind: str) -> None:
        """A topic is not listened to any more."""
        self._heard_s.pop(kind, None)
