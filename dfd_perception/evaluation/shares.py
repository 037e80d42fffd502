# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""An evaluation in shares: which one is ours, and all of them in processes of this machine."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from dfd_perception.errors import ConfigError, DfdPerceptionError
from dfd_perception.evaluation.opened import OpenedEvaluation
from dfd_perception.evaluation.plan import EvaluationPlan
from dfd_perception.evaluation.worker import Progress, run_share


def share_from_environment() -> tuple[int, int] | None:
    """(RANK, WORLD_SIZE) as torchrun and most launchers set them; None outside of one.

    Raises:
        ConfigError: set, but no such share.
    """
    rank, size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if rank is None or size is None:
        return None
    return checked_share(f"{rank}/{size}")


def checked_share(text: str) -> tuple[int, int]:
    """(i, n) of "i/n", counted from 0.

    Raises:
        ConfigError: not two numbers with 0 <= i < n.
    """
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isdigit() for part in parts) or not int(parts[0]) < int(parts[1]):
        raise ConfigError(f"share is {text!r}; expected I/N with I from 0 to N - 1, such as 0/2 and 1/2")
    return int(parts[0]), int(parts[1])


def run_in_processes(plan: EvaluationPlan, workers: int, progress: Progress | None) -> None:
    """Run every share here, each in a process of its own.

    Raises:
        UsageError: of plan, model or data.
        DfdPerceptionError: a process was ended from outside.
    """
    # spawn: inference runtimes hold threads that do not survive a fork.
    context = get_context("spawn")
    counters = context.Manager().dict()
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(_counted_share, plan, (i, workers), counters) for i in range(workers)]
        try:
            while not all(future.done() for future in futures):
                time.sleep(0.2)
                _report_progress(counters, progress)
            for future in futures:
                future.result()
        except BrokenProcessPool as error:
            raise DfdPerceptionError(
                f"a worker was ended from outside ({error}), often for lack of memory; the frames done are kept: "
                "run the same command again, with fewer --workers"
            ) from error
    _report_progress(counters, progress)


def _report_progress(counters: Any, progress: Progress | None) -> None:
    if progress is not None:
        values = list(counters.values())
        progress(sum(done for done, _ in values), sum(total for _, total in values))


def _counted_share(plan: EvaluationPlan, share: tuple[int, int], counters: Any) -> None:
    def count(done: int, total: int) -> None:
        counters[share[0]] = (done, total)

    with OpenedEvaluation(plan) as opened:
        run_share(opened, share, count)
