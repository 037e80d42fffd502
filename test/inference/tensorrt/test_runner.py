# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading

import numpy as np
import pytest

from dfd_perception.errors import EngineError
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.tensorrt.engine_builder import build_plan
from dfd_perception.inference.tensorrt.graph_precision import prepared_graph
from dfd_perception.inference.tensorrt.runner import EngineRunner, Tensor, load_engine
from dfd_perception.inference.tensorrt.trt_module import is_strongly_typed

SIZE = (64, 96)
TENSORS = {"image": Tensor((1, 3, *SIZE)), "depth": Tensor((1, 1, *SIZE)), "deblurred": Tensor((1, 3, *SIZE))}


@pytest.fixture
def engine(trt, tiny_models):
    request = BackendRequest(model=tiny_models["depth"], size=SIZE)
    graph = prepared_graph(request, "fp32", strongly_typed=is_strongly_typed(trt))
    return load_engine(trt, build_plan(trt, graph).plan)


@pytest.fixture
def memory(stand_in):
    return stand_in.HostMemory()


def test_a_graph_is_captured_and_launched(trt, engine, memory, image):
    runner = EngineRunner(trt, engine, memory, TENSORS)
    first = runner.run({"image": image})["depth"].copy()
    second = runner.run({"image": image[..., ::-1].copy()})["depth"].copy()
    assert memory.launches == 2
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(runner.run({"image": image})["depth"], first)


def test_without_a_graph_it_runs_too(trt, engine, stand_in, image, caplog):
    memory = stand_in.HostMemory(capture_fails=True)
    runner = EngineRunner(trt, engine, memory, TENSORS)
    assert runner.cuda_graph == "off: operation not permitted when stream is capturing"
    assert "no CUDA graph" in caplog.text
    assert np.isfinite(runner.run({"image": image})["depth"]).all()


def test_a_failed_capture_that_is_reported_again_by_the_next_wait_does_not_lose_the_engine(
    trt, engine, stand_in, image
):
    memory = stand_in.HostMemory(capture_fails=True)
    capture, wait, reported = memory.capture, memory.wait, []

    def broken_capture(queue):
        reported.append("operation failed due to a previous error during capture")
        return capture(queue)

    def wait_once_more():
        wait()
        if reported:
            raise EngineError(reported.pop())

    memory.capture, memory.wait = broken_capture, wait_once_more
    runner = EngineRunner(trt, engine, memory, TENSORS)
    assert runner.cuda_graph.startswith("off")
    assert np.isfinite(runner.run({"image": image})["depth"]).all()


def test_an_engine_that_does_not_run_after_a_failed_capture_is_refused(trt, engine, stand_in):
    memory = stand_in.HostMemory(capture_fails=True)
    capture = memory.capture

    def fatal_capture(queue):
        trt.behaviour.refuses_launch = True
        return capture(queue)

    memory.capture = fatal_capture
    with pytest.raises(EngineError, match="refused to run"):
        EngineRunner(trt, engine, memory, TENSORS)


def test_buffers_persist(trt, engine, memory, image):
    runner = EngineRunner(trt, engine, memory, TENSORS)
    assert runner.run({"image": image})["depth"] is runner.run({"image": image})["depth"]


def test_a_refused_launch_never_returns_the_frame_before(trt, engine, memory, image):
    runner = EngineRunner(trt, engine, memory, TENSORS)
    runner.run({"image": image})
    trt.behaviour.refuses_launch = True
    with pytest.raises(EngineError, match="refused to run"):
        runner.run({"image": image})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.zeros((1, 3, 32, 96), np.float32), r"float32 \(1, 3, 32, 96\); the engine takes float32 \(1, 3, 64, 96\)"),
        (np.zeros((1, 3, *SIZE), np.float64), "input image is float64"),
    ],
)
def test_a_wrong_input_is_refused(trt, engine, memory, wrong, words):
    runner = EngineRunner(trt, engine, memory, TENSORS)
    with pytest.raises(EngineError, match=words):
        runner.run({"image": wrong})


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({**TENSORS, "image": Tensor((1, 3, 96, 64))}, "built for another size"),
        ({**TENSORS, "depth": Tensor((1, 2, *SIZE))}, r"depth has shape \(1, 1, 64, 96\); expected \(1, 2, 64, 96\)"),
        ({**TENSORS, "depth": Tensor((1, 1, *SIZE), np.dtype(np.uint8))}, "depth is float32; expected uint8"),
        ({"image": TENSORS["image"], "coc": TENSORS["depth"]}, r"has tensors \['deblurred', 'depth', 'image'\]"),
    ],
)
def test_an_engine_of_another_model_is_refused(trt, engine, memory, shapes, words):
    with pytest.raises(EngineError, match=words):
        EngineRunner(trt, engine, memory, shapes)


def test_closing_waits_for_the_run_and_ends_it(trt, engine, memory, image):
    runner = EngineRunner(trt, engine, memory, TENSORS)
    runner.close()
    runner.close()
    assert memory.closed == 1
    with pytest.raises(EngineError, match="closed"):
        runner.run({"image": image})


def test_threads_take_turns(trt, engine, memory, image):
    runner = EngineRunner(trt, engine, memory, TENSORS)
    inside, most = 0, 0
    wait = memory.wait

    def counted_wait():
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        wait()
        inside -= 1

    memory.wait = counted_wait
    threads = [threading.Thread(target=lambda: [runner.run({"image": image}) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_memory_is_counted_by_whatever_name(trt, engine, memory):
    runner = EngineRunner(trt, engine, memory, TENSORS)
    assert runner.device_bytes() == 4096 + 4 * (3 + 1 + 3) * SIZE[0] * SIZE[1]
