# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One thread that works on the newest item: never a queue of stale frames.

The executor's thread only puts items in; while the worker is busy (a frame, a network being compiled) it stays free
to answer services and parameters.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

HAND_OVER_S = 0.005
"""Longest time that `submit` waits for an idle worker to get through the item, or to its long computations."""


class LatestItemWorker(Generic[T]):
    """Runs `work(item)` for the newest item, and calls from other threads between two items."""

    def __init__(self, work: Callable[[T], None], on_error: Callable[[Exception], None], name: str) -> None:
        """Start the thread.

        Args:
            work: called for each item that is not overtaken by a newer one.
            on_error: called with what `work` raised; the worker goes on.
        """
        self._work = work
        self._on_error = on_error
        self._condition = threading.Condition()
        self._item: T | None = None
        self._calls: list[Callable[[], None]] = []
        self._stopping = False
        self._idle = False
        self._done = threading.Event()
        self._dropped = 0
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Items that were replaced by a newer one before their turn."""
        return self._dropped

    def submit(self, item: T) -> None:
        """Put an item in; it replaces one that still waits.

        Only one thread runs Python at a time. An executor that goes on after this prepares its next wait (0.5 ms and
        more) and holds the worker up each time that the interpreter changes hands; so it pauses while the worker
        begins. What takes longer than HAND_OVER_S runs outside the interpreter.
        """
        with self._condition:
            if self._item is not None:
                self._dropped += 1
            self._item = item
            self._done.clear()
            idle = self._idle
            self._condition.notify()
        if idle:
            self._done.wait(HAND_OVER_S)

    def clear(self) -> None:
        """Forget the item that waits, if any."""
        with self._condition:
            self._item = None

    def call(self, function: Callable[[], R]) -> Future[R]:
        """Run a function on the worker's thread, before the next item."""
        future: Future[R] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function())
            except Exception as error:  # the caller gets it
                future.set_exception(error)

        with self._condition:
            if self._stopping:
                future.set_exception(RuntimeError("the worker has stopped"))
            else:
                self._calls.append(run)
                self._condition.notify()
        return future

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Finish what runs and end; returns whether it ended in time (a long compilation may not)."""
        with self._condition:
            self._stopping = True
            self._item = None
            self._condition.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        while True:
            with self._condition:
                self._idle = True
                self._condition.wait_for(lambda: self._calls or self._item is not None or self._stopping)
                self._idle = False
                calls, self._calls = self._calls, []
                item: T | None = None
                if not calls:
                    if self._stopping:
                        return
                    item, self._item = self._item, None
            for call in calls:
                call()
            if item is not None:
                try:
                    self._work(item)
                except Exception as error:  # one bad frame must not end the node
                    self._on_error(error)
            self._done.set()
