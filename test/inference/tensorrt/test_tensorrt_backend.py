# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What goes wrong with engines on robots, and what the backend does about it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from dfd_perception.errors import BackendError, EngineError
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.backends.tensorrt_backend import TensorRtBackend
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.inference.ladder import compile_backend
from dfd_perception.inference.tensorrt import trusted_files
from dfd_perception.inference.tensorrt.engine_cache import EngineCache
from dfd_perception.inference.tensorrt.quantised_graph import calibration_path, write_calibrated_graph
from dfd_perception.inference.tensorrt.self_check import stored_frames

SIZE = (64, 96)


@pytest.fixture
def asked(robot, tiny_models):
    def make(precision="fp16", target="coc", **options):
        return BackendRequest(
            model=tiny_models[target], size=SIZE, precision=precision, engine_cache_dir=robot.cache, **options
        )

    return make


@pytest.fixture
def calibrate(robot):
    def make(model):
        path = calibration_path(robot.cache, onnx_hash(model))
        path.parent.mkdir(parents=True, mode=0o700)
        robot.cache.chmod(0o700)
        write_calibrated_graph(model.onnx_path, path, stored_frames(SIZE) * 2)

    return make


def onnx_hash(model) -> str:
    return model.card.onnx.sha256


def expected(request, image) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(request.model.onnx_path), options, providers=["CPUExecutionProvider"])
    names = list(request.output_names)
    return dict(zip(names, session.run(names, {"image": image}), strict=True))


def sidecars(robot) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(robot.cache.glob("*.json"))]


def assert_answers(backend, request, image, tolerance=4e-3):
    for name, array in expected(request, image).items():
        assert np.abs(backend.run(image)[name] - array).max() < tolerance * max(1.0, np.abs(array).max())


@pytest.mark.parametrize("heads", ["both", "depth", "deblurred"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_it_answers_like_float32(robot, asked, image, target, heads, precision):
    request = asked(precision, target, heads=heads)
    backend = TensorRtBackend(request)
    assert backend.precision == precision
    assert backend.device == "NVIDIA Orin"
    assert set(backend.run(image)) == set(request.output_names)
    assert_answers(backend, request, image)
    assert backend.details["self_check"].startswith("passed: ")
    assert backend.details["cuda_graph"] == "on"
    assert backend.details["runtime"] == f"TensorRT {robot.trt.__version__}, CUDA 12.6"
    backend.close()


def test_the_second_start_builds_nothing_and_checks_nothing(robot, asked, image):
    TensorRtBackend(asked()).close()
    runs = robot.behaviour.calls["run"]
    backend = TensorRtBackend(asked())
    assert robot.behaviour.calls["build"] == 1
    assert robot.behaviour.calls["run"] - runs <= 2, "one to allocate, one to capture"
    assert_answers(backend, asked(), image)
    assert all(memory.closed == 1 for memory in robot.memories[:-1])


def test_a_reduced_engine_that_is_wrong_gives_way_and_is_remembered(robot, asked, image, caplog):
    robot.behaviour.spoil = {"Half": lambda run, name, array: array * 1.02}
    backend = TensorRtBackend(asked("fp16"))
    assert backend.precision == "fp32"
    assert "fp16: its self-check failed: depth is off by 2 %, allowed 0.5 %" in backend.details["fallback"]
    assert "its self-check failed" in caplog.text
    assert_answers(backend, asked("fp32"), image)
    results = {said["key"]["precision"]: said["facts"]["self_check"]["passed"] for said in sidecars(robot)}
    assert results == {"fp16": False, "fp32": True}
    again = TensorRtBackend(asked("fp16", build_engines=False))
    assert again.precision == "fp32"
    assert "failed when it was built" in again.details["fallback"]
    assert robot.behaviour.calls["build"] == 2


def test_nan_is_caught(robot, asked, image):
    def spoil(run, name, array):
        array = array.copy()
        array.reshape(-1)[100] = np.nan
        return array

    robot.behaviour.spoil = {"Half": spoil}
    backend = TensorRtBackend(asked("fp16"))
    assert backend.precision == "fp32"
    assert "values NaN or infinite" in backend.details["fallback"]
    assert_answers(backend, asked("fp32"), image)


def test_one_wrong_frame_among_good_ones_is_caught(robot, asked):
    robot.behaviour.spoil = {"Half": lambda run, name, array: array * (1.3 if run == 5 else 1)}
    assert TensorRtBackend(asked("fp16")).precision == "fp32"


def test_results_that_do_not_repeat_are_caught(robot, asked):
    frames = len(stored_frames(SIZE))
    drift = {"Half": lambda run, name, array: array * (1.003 if run == frames + 3 and name == "coc" else 1)}
    robot.behaviour.spoil = drift
    backend = TensorRtBackend(asked("fp16"))
    assert "another result the second time" in backend.details["fallback"]


def test_when_nothing_can_be_trusted_the_ladder_goes_on(robot, asked, monkeypatch):
    robot.behaviour.spoil = {"any": lambda run, name, array: array * np.nan}
    with pytest.raises(EngineError, match="no engine that works .fp16: its self-check failed.*fp32: its self-check"):
        TensorRtBackend(asked("fp16"))
    monkeypatch.setattr("dfd_perception.inference.ladder.missing_package", lambda name: None)
    rungs = [("tensorrt", ""), ("onnxruntime", "cpu")]
    monkeypatch.setattr("dfd_perception.inference.ladder.ladder", lambda device: rungs)
    chosen = compile_backend(asked("fp32"))
    assert chosen.backend.name == "onnxruntime"
    assert "no engine that works" in chosen.passed_over["tensorrt"]


def test_int8_is_calibrated_first(robot, asked, calibrate, image, tiny_models):
    with pytest.raises(EngineError, match="not calibrated on this machine; dfd build-engine .* --calibration"):
        TensorRtBackend(asked("int8", build_engines=False))
    calibrate(tiny_models["coc"])
    backend = TensorRtBackend(asked("int8"))
    assert backend.precision == "int8"
    assert_answers(backend, asked("int8"), image, tolerance=0.1)


def test_int8_gives_way_to_fp16(robot, asked, calibrate, tiny_models):
    calibrate(tiny_models["coc"])
    robot.behaviour.spoil = {"Int8": lambda run, name, array: np.zeros_like(array)}
    assert TensorRtBackend(asked("int8")).precision == "fp16"


def test_a_truncated_plan_is_set_aside_and_built_again(robot, asked, image, caplog):
    TensorRtBackend(asked()).close()
    plan = next(robot.cache.glob("*.engine"))
    os.truncate(plan, 500)
    backend = TensorRtBackend(asked())
    assert robot.behaviour.calls["build"] == 2
    assert plan.with_suffix(".engine.bad").stat().st_size == 500
    assert "cut short or changed" in caplog.text
    assert_answers(backend, asked(), image)


def test_a_plan_of_another_tensorrt_under_this_name_is_built_again(robot, asked, stand_in, image, caplog):
    """As after a copied cache folder: the sidecar says all is well, the library does not."""
    TensorRtBackend(asked()).close()
    cache = EngineCache(robot.cache)
    entry = cache.entries()[0]
    foreign = entry.plan().replace(robot.trt.__version__.encode(), b"10.3.0.99", 1)
    said = json.loads(entry.sidecar.read_text())
    said["plan_sha256"] = hashlib.sha256(foreign).hexdigest()
    entry.path.write_bytes(foreign)
    entry.sidecar.write_text(json.dumps(said))
    backend = TensorRtBackend(asked())
    assert robot.behaviour.calls["build"] == 2
    assert "Version tag does not match" in caplog.text
    assert_answers(backend, asked(), image)


def test_an_updated_tensorrt_builds_its_own(robot, asked, stand_in):
    TensorRtBackend(asked()).close()
    robot.trt.__version__ += "9"
    with pytest.raises(EngineError, match="no engine for"):
        TensorRtBackend(asked(build_engines=False))


def test_another_gpu_builds_its_own(robot, asked):
    TensorRtBackend(asked()).close()
    robot.gpu = ("NVIDIA H200", "9.0")
    with pytest.raises(EngineError, match="no engine for"):
        TensorRtBackend(asked(build_engines=False))
    TensorRtBackend(asked()).close()
    assert robot.behaviour.calls["build"] == 2
    assert len(list(robot.cache.glob("*.engine"))) == 2


def test_changed_weights_under_the_same_name_never_run_the_old_engine(robot, graphs, tmp_path, image):
    answers = []
    for seed in (1, 2):
        model = graphs.write_model(tmp_path / "indoor", "coc", seed=seed)
        request = BackendRequest(model=model, size=SIZE, precision="fp16", engine_cache_dir=robot.cache)
        backend = TensorRtBackend(request)
        answers.append(backend.run(image)["coc"].copy())
        assert_answers(backend, request, image)
    assert robot.behaviour.calls["build"] == 2
    assert not np.allclose(*answers)


def test_a_graph_swapped_behind_the_card_is_seen(robot, graphs, tmp_path):
    model = graphs.write_model(tmp_path / "indoor", "coc", seed=1)
    request = BackendRequest(model=model, size=SIZE, engine_cache_dir=robot.cache)
    TensorRtBackend(request).close()
    model.onnx_path.write_bytes(graphs.tiny_graph("coc", seed=5).SerializeToString())
    with pytest.raises(EngineError, match="no engine for"):
        TensorRtBackend(replace(request, build_engines=False))


def test_a_full_disk_costs_the_cache_and_not_the_engine(robot, asked, image, monkeypatch, caplog):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trusted_files.os, "fsync", full)
    backend = TensorRtBackend(asked())
    assert_answers(backend, asked(), image)
    assert backend.details["engine"] == "not kept"
    assert "the disk is full" in caplog.text


def test_a_cache_folder_that_others_can_write_is_not_used(robot, asked, image, caplog):
    TensorRtBackend(asked()).close()
    robot.cache.chmod(0o777)
    backend = TensorRtBackend(asked())
    assert robot.behaviour.calls["build"] == 2
    assert backend.details["engine"] == "not kept"
    assert "chmod go-w" in caplog.text
    assert_answers(backend, asked(), image)


def test_a_plan_that_others_can_write_is_not_run(robot, asked, caplog):
    TensorRtBackend(asked()).close()
    next(robot.cache.glob("*.engine")).chmod(0o666)
    TensorRtBackend(asked()).close()
    assert robot.behaviour.calls["build"] == 2
    assert "others can write it" in caplog.text


def test_a_failing_build_is_an_error_with_the_builders_words(robot, asked):
    robot.behaviour.build_fails_with = "no tactic"
    with pytest.raises(BackendError, match="fp16: .*no tactic.*fp32: .*no tactic"):
        TensorRtBackend(asked())
    assert robot.memories[-1].closed


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("load_fails", "cannot load this engine: CUDA initialization failure with error: 35"),
        ("context_fails", "no execution context"),
        ("refuses_address", "refuses memory for image"),
        ("refuses_launch", "refused to run"),
    ],
)
def test_every_refusal_after_the_build_is_an_error(robot, asked, fault, words):
    setattr(robot.behaviour, fault, True)
    with pytest.raises(EngineError, match=words):
        TensorRtBackend(asked("fp32"))
    assert all(memory.closed for memory in robot.memories)
    assert not list(robot.cache.glob("*.engine")), "a plan that does not run must not be found at the next start"


def test_a_precision_that_was_ignored_is_not_sold_as_fp16(robot, asked):
    robot.behaviour.ignores_precision = True
    backend = TensorRtBackend(asked("fp16"))
    assert backend.precision == "fp32"
    assert "it is not called fp16" in backend.details["fallback"]


def test_building_can_be_forbidden(robot, asked):
    with pytest.raises(EngineError, match="none is built now; dfd build-engine .* --precision fp16 --size 64x96"):
        TensorRtBackend(asked(build_engines=False))
    assert robot.behaviour.calls["build"] == 0


def test_two_at_once_build_once(robot, asked, image):
    robot.behaviour.build_takes_s = 0.5
    answers = []

    def start():
        backend = TensorRtBackend(asked())
        answers.append(backend.run(image)["coc"].copy())

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert robot.behaviour.calls["build"] == 1
    assert len(answers) == 3


def test_rebuild_builds_again(robot, asked):
    TensorRtBackend(asked()).close()
    TensorRtBackend(asked(), rebuild=True).close()
    assert robot.behaviour.calls["build"] == 2


def test_bf16_is_not_offered(robot, asked):
    with pytest.raises(EngineError, match="bf16 is not offered; expected fp32, fp16, int8"):
        TensorRtBackend(asked("bf16"))


def test_the_estimator_runs_on_it(robot, tiny_models):
    options = EstimatorOptions(backend="tensorrt", precision="fp16", engine_cache_dir=robot.cache)
    estimator = DepthEstimator(tiny_models["depth"], options)
    reference = DepthEstimator(tiny_models["depth"], EstimatorOptions(backend="onnxruntime", num_threads=1))
    image = (stored_frames((60, 90))[0][0].transpose(1, 2, 0) * 255).astype(np.uint8)
    found, right = estimator.predict(image), reference.predict(image)
    assert found.depth_m.shape == (60, 90)
    np.testing.assert_allclose(found.depth_m, right.depth_m, rtol=5e-3)
    assert np.abs(found.deblurred.astype(int) - right.deblurred).max() <= 1
    estimator.close()


def test_an_engine_that_breaks_while_running_is_an_error_if_tensorrt_was_asked_for(robot, tiny_models):
    options = EstimatorOptions(backend="tensorrt", engine_cache_dir=robot.cache)
    estimator = DepthEstimator(tiny_models["depth"], options)
    image = np.zeros((64, 96, 3), np.uint8)
    estimator.predict(image)
    robot.behaviour.refuses_launch = True
    with pytest.raises(EngineError, match="refused to run"):
        estimator.predict(image)


def test_the_graph_in_the_plan_is_the_one_that_was_asked_for(robot, asked):
    TensorRtBackend(asked("fp32", heads="depth")).close()
    body = next(robot.cache.glob("*.engine")).read_bytes().removeprefix(b"STAND-IN").split(b"\n", 1)[1]
    assert [output.name for output in onnx.load_from_string(body).graph.output] == ["coc", "coc_log_var"]
