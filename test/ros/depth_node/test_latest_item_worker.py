# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The worker takes the newest item, counts what it overtakes, and survives what goes wrong."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from dfd_perception.ros.depth_node import latest_item_worker
from dfd_perception.ros.depth_node.latest_item_worker import LatestItemWorker


def test_a_busy_worker_takes_only_the_newest():
    started, go_on, seen, all_done = threading.Event(), threading.Event(), [], threading.Event()

    def work(item: int) -> None:
        seen.append(item)
        started.set()
        assert go_on.wait(5)
        if item == 9:
            all_done.set()

    worker = LatestItemWorker(work, pytest.fail, "test")
    worker.submit(0)
    assert started.wait(5)
    for item in range(1, 10):
        worker.submit(item)
    go_on.set()
    assert all_done.wait(5)
    assert worker.stop()
    assert seen == [0, 9]
    assert worker.dropped == 8


def test_submit_waits_for_a_short_item_not_for_a_long_one_nor_for_a_busy_worker(monkeypatch):
    go_on, seen = threading.Event(), []

    def work(item: int) -> None:
        if item:
            assert go_on.wait(30)
        seen.append(item)

    worker = LatestItemWorker(work, pytest.fail, "test")
    assert worker.call(lambda: "the thread runs").result(30)
    monkeypatch.setattr(latest_item_worker, "HAND_OVER_S", 60.0)
    time.sleep(0.2)  # it waits for work by now
    worker.submit(0)
    assert seen == [0], "an idle worker is through with it"
    time.sleep(0.2)
    monkeypatch.setattr(latest_item_worker, "HAND_OVER_S", 0.5)
    before = time.monotonic()
    worker.submit(1)
    assert 0.4 < time.monotonic() - before < 20, "a long item is waited for so long"
    monkeypatch.setattr(latest_item_worker, "HAND_OVER_S", 60.0)
    before = time.monotonic()
    worker.submit(2)
    worker.submit(3)
    assert time.monotonic() - before < 20, "nobody waits for a worker that is busy"
    assert worker.dropped == 1, "the third is overtaken by the fourth"
    go_on.set()
    worker.call(lambda: None).result(30)
    assert worker.stop()
    assert seen == [0, 1, 3]


def test_calls_run_between_items_on_the_workers_thread_and_return():
    threads, done = [], threading.Event()

    def work(item: int) -> None:
        threads.append(threading.current_thread())
        done.set()

    worker = LatestItemWorker(work, pytest.fail, "test")
    assert worker.call(threading.current_thread).result(5) is not threading.current_thread()
    worker.submit(1)
    assert done.wait(5)
    assert worker.call(threading.current_thread).result(5) is threads[0]
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 / 0).result(5)
    worker.stop()
    with pytest.raises(RuntimeError, match="has stopped"):
        worker.call(threading.current_thread).result(5)


def test_an_error_is_handed_over_and_the_next_item_is_worked_on():
    errors, done = [], threading.Event()

    def work(item: int) -> None:
        if item == 0:
            raise ValueError("bad frame")
        done.set()

    worker = LatestItemWorker(work, errors.append, "test")
    worker.submit(0)
    while not errors:
        pass
    worker.submit(1)
    assert done.wait(5)
    worker.stop()
    assert [str(e) for e in errors] == ["bad frame"]
