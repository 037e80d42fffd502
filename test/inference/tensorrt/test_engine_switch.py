# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Frames are answered while an engine is built in a child process, and by the engine afterwards."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest

from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.inference.tensorrt import engine_switch
from dfd_perception.inference.tensorrt.engine_switch import EngineSwitch, tensorrt_problem, while_building
from support import tensorrt_stand_in

WAIT_S = 60.0
"""A build starts Python anew: a second, and many on a busy machine."""
IMAGE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("stand_in", {stand_in!r})
stand_in = importlib.util.module_from_spec(spec)
sys.modules["stand_in"] = stand_in
spec.loader.exec_module(stand_in)
from dfd_perception.cli.__main__ import main
from dfd_perception.inference.backends import tensorrt_backend as backend
from dfd_perception.inference.tensorrt import engine_provider
trt = stand_in.make_tensorrt({version!r}, stand_in.Behaviour({behaviour}))
backend.import_tensorrt = lambda: trt
engine_provider.open_device = lambda device: stand_in.HostMemory()
sys.exit(main({arguments!r}))
"""


@pytest.fixture
def version():
    return "10.3.0.30"


class Switched:
    """An estimator that is exchanged when the switch says so."""

    def __init__(self, robot, model, behaviour="", command=None, monkeypatch=None):
        self.said, self.swapped = [], threading.Event()
        options = EstimatorOptions(
            backend="auto", precision="fp16", engine_cache_dir=robot.cache, num_threads=1, device="cuda"
        )
        self.estimator = DepthEstimator(model, while_building(options))

        def in_stand_in(job):
            program = CHILD.format(
                stand_in=tensorrt_stand_in.__file__,
                version=robot.trt.__version__,
                behaviour=behaviour,
                arguments=job.command()[3:],
            )
            return [sys.executable, "-c", program]

        self.switch = EngineSwitch(self._swap, lambda *line: self.said.append(line), command or in_stand_in)

    def _swap(self, estimator):
        old, self.estimator = self.estimator, estimator
        old.close()
        self.swapped.set()

    def wait(self, condition, what):
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"not in time: {what}; said {self.said}"
            time.sleep(0.02)


@pytest.fixture
def switched(robot, tiny_models, monkeypatch):
    monkeypatch.setattr("dfd_perception.inference.ladder.missing_package", lambda name: None)
    rungs = [("tensorrt", "fastest"), ("onnxruntime", "runs on any CPU")]
    monkeypatch.setattr("dfd_perception.inference.ladder.ladder", lambda device: rungs)
    monkeypatch.setattr(engine_switch, "REPORT_PERIOD_S", 0.1)
    made = []

    def make(**options):
        made.append(Switched(robot, tiny_models["coc"], **options))
        return made[-1]

    yield make
    for one in made:
        assert one.switch.close()
        one.estimator.close()


def running(one) -> tuple[str, str]:
    backend = one.estimator.compiled((60, 90), "both").chosen.backend
    return backend.name, backend.precision


def test_another_backend_answers_until_the_engine_does(switched):
    one = switched(behaviour="build_takes_s=1.5")
    before = one.estimator.predict(IMAGE)
    assert running(one) == ("onnxruntime", "fp32")
    one.switch.consider(one.estimator, (60, 90), "both")
    answered = 0
    while not one.swapped.is_set():
        assert one.estimator.predict(IMAGE).coc_px is not None
        answered += 1
        time.sleep(0.02)
        assert answered < 2000
    assert answered > 10
    assert running(one) == ("tensorrt", "fp16")
    np.testing.assert_allclose(one.estimator.predict(IMAGE).coc_px, before.coc_px, rtol=0.02, atol=0.02)
    assert one.switch.status.startswith("ready: fp16 engine for 96x64, heads: both, self-check passed:")
    lines = [line for _, line in one.said]
    assert lines[0].startswith("building fp16 engine")
    assert any("Building Engine" in line and "%" in line for line in lines)


def test_the_next_start_has_it_at_once(switched):
    first = switched()
    first.switch.consider(first.estimator, (60, 90), "both")
    assert first.swapped.wait(WAIT_S)
    second = switched()
    assert running(second) == ("tensorrt", "fp16")
    second.switch.consider(second.estimator, (60, 90), "both")
    assert second.switch.status == ""


def test_a_failed_build_is_said_once_and_frames_go_on(switched):
    one = switched(behaviour="build_fails_with='no tactic'")
    one.switch.consider(one.estimator, (60, 90), "both")
    one.wait(lambda: one.switch.status.startswith("failed"), "the failure is known")
    assert "no tactic" in one.switch.status
    one.switch.consider(one.estimator, (60, 90), "both")
    time.sleep(0.2)
    assert [severity for severity, _ in one.said].count("warning") == 1
    assert one.estimator.predict(IMAGE).coc_px is not None
    assert not one.swapped.is_set()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os, sys; print('scratch', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)", "want of memory"),
        ("import os; os.kill(os.getpid(), 11)", "ended with signal 11"),
        ("raise SystemExit('dfd: tensorrt cannot be imported')", "failed: tensorrt cannot be imported"),
        ("print('no json')", "built, but not used: TensorRT: no engine that works"),
    ],
)
def test_a_child_that_dies_takes_nobody_with_it(switched, program, words):
    one = switched(command=lambda job: [sys.executable, "-c", program])
    one.switch.consider(one.estimator, (60, 90), "both")
    one.wait(lambda: one.switch.status.startswith("failed"), "the failure is known")
    assert words in one.switch.status
    assert one.estimator.predict(IMAGE).coc_px is not None


def test_a_program_that_is_not_there_is_a_failure_too(switched):
    one = switched(command=lambda job: ["/nowhere/python"])
    one.switch.consider(one.estimator, (60, 90), "both")
    one.wait(lambda: "nowhere" in one.switch.status, "the failure is known")


def test_closing_ends_the_build(switched):
    one = switched(command=lambda job: [sys.executable, "-c", "import time; time.sleep(60)"])
    one.switch.consider(one.estimator, (60, 90), "both")
    one.wait(lambda: one.switch.building, "the child runs")
    started = time.monotonic()
    assert one.switch.close()
    assert time.monotonic() - started < 15
    assert not one.switch.building


def test_each_set_of_heads_gets_its_engine(switched):
    one = switched()
    for heads in ("depth", "both"):
        one.swapped.clear()
        one.switch.consider(one.estimator, (60, 90), heads)
        assert one.swapped.wait(WAIT_S)
    for heads in ("depth", "both"):
        assert one.estimator.compiled((60, 90), heads).chosen.backend.name == "tensorrt"


def test_why_tensorrt_cannot_be_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert "tensorrt cannot be imported" in tensorrt_problem("auto")
