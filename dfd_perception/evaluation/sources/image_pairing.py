# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images with the truth of their moment, from topics that were recorded side by side.

Bounded, every frame accounted for, and no image lost because its truth is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dfd_perception.core.stamp_pairing import StampPairing
from dfd_perception.errors import counted

WAITING_AT_MOST = 100
"""Messages of one topic that wait for their partners."""


@dataclass
class PairedImage:
    """An image's message and, by topic, the truth that belongs to it (None: there is none)."""

    index: int
    image: Any
    truth: dict[str, Any] = field(default_factory=dict)


class TruthPairing:
    """Gives every image once, in order, as soon as the truth of each topic is certain.

    Args:
        topics: topics of truth.
        bound_ms: largest distance in time of a pair.
        capacity: images that wait at most.
    """

    def __init__(self, topics: Sequence[str], bound_ms: float, capacity: int = WAITING_AT_MOST) -> None:
        self._waiting: dict[int, PairedImage] = {}
        self._pairings: dict[str, StampPairing[int, Any]] = {
            topic: StampPairing(bound_ms, capacity, partial(self._decide, topic, None)) for topic in topics
        }
        self._count = 0

    def add_image(self, stamp_ns: int, message: Any) -> Iterator[PairedImage]:
        """Take an image; give those that are now complete."""
        index = self._count
        self._count += 1
        self._waiting[index] = PairedImage(index, message)
        for topic, pairing in self._pairings.items():
            for pair in pairing.add_left(stamp_ns, index):
                self._decide(topic, pair.right, pair.left)
        yield from self._complete()

    def add_truth(self, topic: str, stamp_ns: int, message: Any) -> Iterator[PairedImage]:
        """Take a message of a truth topic; give the images that are now complete."""
        for pair in self._pairings[topic].add_right(stamp_ns, message):
            self._decide(topic, pair.right, pair.left)
        yield from self._complete()

    def finish(self) -> Iterator[PairedImage]:
        """No more messages come."""
        for topic, pairing in self._pairings.items():
            for pair in pairing.finish():
                self._decide(topic, pair.right, pair.left)
        yield from self._complete()

    def counts(self) -> dict[str, dict[str, int]]:
        """By topic: pairs, images without truth, truth without image."""
        return {
            topic: {
                "pairs": pairing.counts.pairs,
                "pictures_unmatched": pairing.counts.left_unmatched,
                "truth_unmatched": pairing.counts.right_unmatched,
            }
            for topic, pairing in self._pairings.items()
        }

    def remarks(self) -> list[str]:
        """Truth that was of no use, and stamps that cannot be, one line each."""
        lines = []
        for topic, pairing in self._pairings.items():
            counts = pairing.counts
            if not counts.pairs and counts.right_unmatched:
                nearest = "" if counts.nearest_ms is None else f" (the nearest is {counts.nearest_ms:.0f} ms away)"
                lines.append(
                    f"no truth: none of {counted(counts.right_unmatched, 'message')} of {topic} lies within "
                    f"{counts.bound_ms:g} ms of an image{nearest}; --pairing-ms takes another bound, --stamps log the "
                    "time of recording"
                )
            for stream, bogus in (("image", counts.left_bogus), (topic, counts.right_bogus)):
                if bogus:
                    lines.append(f"{counted(bogus, 'message')} of {stream} left out: their stamps jumped and came back")
        return lines

    def _decide(self, topic: str, message: Any, index: int) -> None:
        self._waiting[index].truth[topic] = message

    def _complete(self) -> Iterator[PairedImage]:
        while self._waiting:
            index, waiting = next(iter(self._waiting.items()))
            if len(waiting.truth) < len(self._pairings):
                return
            del self._waiting[index]
            yield waiting
