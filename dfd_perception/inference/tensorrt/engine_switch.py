# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Engines built beside a running estimator: frames are answered by another backend until the engine is ready.

The build runs in a child process. It takes minutes on a Jetson, wants much memory, and if the system ends it for that,
or a library crashes in it, what is lost is the child. The engine comes back through the engine cache.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dfd_perception.core.prediction import Heads
from dfd_perception.core.size import Size
from dfd_perception.errors import BackendError, EngineError
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.inference.ladder import missing_package

REPORT_PERIOD_S = 5.0


def tensorrt_problem(device: str) -> str | None:
    """Why TensorRT cannot be used here, with what mends it; None if it can. Imports it, which takes seconds."""
    from dfd_perception.inference.tensorrt.device_library import open_device
    from dfd_perception.inference.tensorrt.trt_module import import_tensorrt

    try:
        import_tensorrt()
        open_device(device).close()
    except EngineError as error:
        return str(error)
    return None


def wants_engine(options: EstimatorOptions) -> bool:
    """Whether TensorRT is to run a model: it was asked for, or is there under `auto`.

    Raises:
        EngineError: it was asked for and cannot be used; the message says what mends it.
    """
    if options.backend == "tensorrt":
        problem = tensorrt_problem(options.device)
        if problem is not None:
            raise EngineError(problem)
        return True
    if options.backend != "auto" or options.device == "cpu" or missing_package("tensorrt") is not None:
        return False
    return tensorrt_problem(options.device) is None


def while_building(options: EstimatorOptions) -> EstimatorOptions:
    """The options of an estimator that uses engines which exist, and otherwise the next backend of the ladder."""
    return replace(options, backend="auto", build_engines=False)


@dataclass(frozen=True)
class EngineJob:
    """An engine that is missing."""

    model: ModelFolder
    options: EstimatorOptions
    image_size: Size
    """Height and width of the images [px]."""
    engine_size: Size
    """Height and width that the network gets [px]."""
    heads: Heads

    @property
    def key(self) -> tuple[str, Heads, tuple[int, int]]:
        return self.model.hash_of("tensorrt"), self.heads, self.image_size

    def command(self) -> list[str]:
        """The build as a command line."""
        options = self.options
        height, width = self.engine_size
        command = [sys.executable, "-m", "dfd_perception.cli", "build-engine", str(self.model.path)]
        command += ["--precision", options.precision, "--size", f"{height}x{width}", "--heads", self.heads]
        command += ["--device", options.device, "--json", "--background"]
        if options.engine_cache_dir is not None:
            command += ["--cache", str(options.engine_cache_dir)]
        return command


class EngineSwitch:
    """One thread that builds what is missing and hands over estimators that have it."""

    def __init__(
        self,
        swap: Callable[[DepthEstimator], None],
        say: Callable[[str, str], None],
        command: Callable[[EngineJob], list[str]] = EngineJob.command,
    ) -> None:
        """Start the thread; it idles until `consider` finds something to build.

        Args:
            swap: given a ready estimator, which it then owns. Called from the thread.
            say: given severity (info, warning) and a line for the log; progress at most every few seconds.
        """
        self._swap = swap
        self._say = say
        self._command = command
        self._jobs: queue.Queue[EngineJob | None] = queue.Queue()
        self._seen: set[tuple[str, Heads, tuple[int, int]]] = set()
        self._built: list[EngineJob] = []
        self._status = ""
        self._child: subprocess.Popen[str] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="dfd_engine_build", daemon=True)
        self._thread.start()

    @property
    def status(self) -> str:
        """What is being built or was built last, for diagnostics; empty while there was nothing to build."""
        return self._status

    @property
    def building(self) -> bool:
        """A build runs now."""
        return self._child is not None

    def consider(self, estimator: DepthEstimator, image_size: Size, heads: Heads) -> None:
        """Build the engine of a network that the estimator runs by another backend; each is tried once."""
        if estimator.compiled(image_size, heads).chosen.backend.name == "tensorrt":
            return
        engine_size = estimator.engine_size(image_size)
        job = EngineJob(estimator.model, estimator.options, image_size, engine_size, heads)
        if job.key not in self._seen and not self._closing.is_set():
            self._seen.add(job.key)
            self._jobs.put(job)

    def close(self, timeout_s: float = 10.0) -> bool:
        """End a build in progress and the thread; returns whether it ended in time."""
        self._closing.set()
        self._jobs.put(None)
        child = self._child
        if child is not None:
            child.terminate()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._closing.is_set():
                return
            what = f"{job.options.precision} engine for {job.engine_size[1]}x{job.engine_size[0]}, heads: {job.heads}"
            try:
                self._build(job, what)
                self._hand_over(job, what)
            except (BackendError, OSError) as error:
                if self._closing.is_set():
                    return
                self._status = f"failed: {error}"
                self._say("warning", f"{what}: {error}; the other backend keeps running")

    def _build(self, job: EngineJob, what: str) -> None:
        """Run the child to its end.

        Raises:
            EngineError: it failed; with its last words.
        """
        started = reported = time.monotonic()
        self._status = f"building {what}"
        self._say("info", f"building {what}; until it is ready another backend answers")
        with tempfile.TemporaryFile("w+") as words:
            with subprocess.Popen(self._command(job), stdout=subprocess.PIPE, stderr=words, text=True) as child:
                self._child = child
                if self._closing.is_set():
                    child.terminate()
                assert child.stdout is not None
                for line in child.stdout:
                    self._status = f"{_progress_of(line)} ({time.monotonic() - started:.0f} s): {what}"
                    if time.monotonic() - reported >= REPORT_PERIOD_S:
                        reported = time.monotonic()
                        self._say("info", self._status)
            self._child = None
            if child.returncode:
                words.seek(0)
                raise EngineError(_last_words(words.read(), child.returncode))

    def _hand_over(self, job: EngineJob, what: str) -> None:
        estimator = DepthEstimator(job.model, while_building(job.options))
        try:
            chosen = estimator.compiled(job.image_size, job.heads).chosen
            if chosen.backend.name != "tensorrt":
                raise EngineError(f"built, but not used: {chosen.passed_over.get('tensorrt', chosen.reason)}")
            # The first run through everything is slow; it is not the first frame's to pay.
            same = [before for before in self._built if before.key[0] == job.key[0]]
            for ready in (job, *same):
                estimator.predict(np.zeros((*ready.image_size, 3), np.uint8), None, ready.heads)
        except BaseException:
            estimator.close()
            raise
        self._built.append(job)
        self._status = f"ready: {what}, self-check {chosen.backend.details.get('self_check', 'not known')}"
        self._say("info", self._status)
        self._swap(estimator)


def _progress_of(line: str) -> str:
    """A line of the child's progress in words."""
    try:
        progress = json.loads(line)["progress"]
        fraction = progress["fraction"]
        return progress["stage"] + (f" {100 * fraction:.0f} %" if fraction is not None else "")
    except (ValueError, KeyError, TypeError):
        return "building"


def _last_words(text: str, code: int) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1].removeprefix("dfd: ") if lines else "it said nothing"
    if code == -9:
        return f"the system ended the build, most likely for want of memory ({last})"
    return f"the build ended with signal {-code} ({last})" if code < 0 else last
