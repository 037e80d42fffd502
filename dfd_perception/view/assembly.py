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
KEPT = 128
KEPT_BYTES = 64_000_000
"""Of images that wait for their answers: two seconds of a camera at 640x480, less of a large one."""

ALIVE_S = 2.0
UNKNOWN_PERIOD_S = 2.0
PERIODS = 3.0
"""A topic is alive for so many of its periods: a slow node answers one image in many seconds."""

LONGEST_ALIVE_S = 20.0


class FrameAssembler:
    """Waits for every topic that is alive, and gives up on a frame once a later one is complete.

    A topic is alive when it said something not long ago by its own pace: a node without a lens, or one that has ended,
    must not hold up what does come. An answer that comes after its image had to be let go is shown without the image.
    """

    def __init__(self) -> None:
        self._parts: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._heard_s: dict[str, float] = {}
        self._period_s: dict[str, float] = {}
        self._newest_ns = -1
        self._let_go_ns = -1
        self._let_go: set[str] = set()

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
            self._newest_ns = self._let_go_ns = -1
        if kind in self._heard_s:
            self._period_s[kind] = now_s - self._heard_s[kind]
        self._heard_s[kind] = now_s
        if stamp_ns <= self._newest_ns:
            return None
        parts = self._parts.setdefault(stamp_ns, {})
        parts[kind] = message
        needed = {kind for kind in self._heard_s if self._is_alive(kind, now_s)}
        if stamp_ns <= self._let_go_ns:
            needed -= self._let_go
        if not needed <= set(parts):
            self._let_go_of_the_oldest()
            return None
        self._newest_ns = stamp_ns
        for earlier in [stamp for stamp in self._parts if stamp <= stamp_ns]:
            del self._parts[earlier]
        return parts

    def forget(self, kind: str) -> None:
        """A topic is not listened to any more."""
        self._heard_s.pop(kind, None)
        self._period_s.pop(kind, None)

    def _is_alive(self, kind: str, now_s: float) -> bool:
        patience_s = PERIODS * self._period_s.get(kind, UNKNOWN_PERIOD_S)
        return now_s - self._heard_s[kind] <= min(max(patience_s, ALIVE_S), LONGEST_ALIVE_S)

    def _let_go_of_the_oldest(self) -> None:
        held = sum(_size(message) for parts in self._parts.values() for message in parts.values())
        while len(self._parts) > 1 and (held > KEPT_BYTES or len(self._parts) > KEPT):
            oldest = min(self._parts)
            parts = self._parts.pop(oldest)
            held -= sum(map(_size, parts.values()))
            self._let_go_ns, self._let_go = max(oldest, self._let_go_ns), set(parts)


def _size(message: Any) -> int:
    """Bytes of an image message, or of a bag's record of one."""
    return len(getattr(getattr(message, "message", message), "data", ""))
