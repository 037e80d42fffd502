# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The node while a TensorRT engine is built, exchanged, reloaded and spoilt: it answers frames through all of it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="no rclpy in this environment")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from diagnostic_msgs.msg import DiagnosticArray
from std_srvs.srv import Trigger

from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.inference.backends import tensorrt_backend as backend
from dfd_perception.inference.tensorrt import engine_provider, engine_switch, trt_module
from dfd_perception.network.checkpoint import load_network, save_model
from support import tensorrt_stand_in as stand_in

LENS = {"lens__aperture_diameter_mm": 25.0, "lens__focus_distance_m": 0.6}
FX = 660.0
STAND_IN = Path(stand_in.__file__)
CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("stand_in", {stand_in!r})
stand_in = importlib.util.module_from_spec(spec)
sys.modules["stand_in"] = stand_in
spec.loader.exec_module(stand_in)
from dfd_perception.cli.__main__ import main
from dfd_perception.inference.backends import tensorrt_backend as backend
from dfd_perception.inference.tensorrt import engine_provider
trt = stand_in.make_tensorrt("10.3.0.30", stand_in.Behaviour({behaviour}))
backend.import_tensorrt = lambda: trt
engine_provider.open_device = lambda device: stand_in.HostMemory()
sys.exit(main({arguments!r}))
"""


@pytest.fixture
def robot(monkeypatch, tmp_path):
    """A machine with a GPU and TensorRT 10.3; what a test sets in `child` happens in the process that builds."""
    trt = stand_in.make_tensorrt("10.3.0.30")
    state = stand_in.SimpleNamespace(behaviour=trt.behaviour, child="build_takes_s=0.8", cache=tmp_path / "engines")
    monkeypatch.setattr(backend, "import_tensorrt", lambda: trt)
    monkeypatch.setattr(engine_provider, "open_device", lambda device: stand_in.HostMemory())
    monkeypatch.setattr(engine_switch, "tensorrt_problem", lambda device: None)
    monkeypatch.setattr(engine_switch, "REPORT_PERIOD_S", 0.1)
    monkeypatch.setattr("dfd_perception.inference.ladder.missing_package", lambda name: None)
    rungs = [("tensorrt", "fastest"), ("onnxruntime", "runs on any CPU")]
    monkeypatch.setattr("dfd_perception.inference.ladder.ladder", lambda device: rungs)
    original = engine_switch.EngineJob.command

    def command(job):
        arguments = original(job)[3:]
        program = CHILD.format(stand_in=str(STAND_IN), behaviour=state.child, arguments=arguments)
        return [sys.executable, "-c", program]

    monkeypatch.setattr(engine_switch.EngineSwitch.__init__, "__defaults__", (command,))
    return state


@pytest.fixture
def start_with_engine(start_node, robot):
    def start(**parameters):
        values = {"backend": "tensorrt", "precision": "fp16", "engine_cache_dir": str(robot.cache), **LENS}
        return start_node(**{**values, **parameters})

    return start


def running_backend(running) -> tuple[str, str]:
    said = running.node.statistics.running
    return said.get("backend", ""), said.get("precision", "")


def test_frames_are_answered_during_the_build_and_by_the_engine_after_it(start_with_engine, peer):
    status = peer.subscribe("/diagnostics", DiagnosticArray)
    depths = peer.subscribe("depth/image")
    running = start_with_engine()
    seen = []

    def engine_runs() -> bool:
        seen.append((running_backend(running), len(depths)))
        return running_backend(running)[0] == "tensorrt"

    peer.publish_until(engine_runs, "the engine runs", fx=FX)
    during = [count for (name, _), count in seen if name == "onnxruntime"]
    assert max(during) - min(during) >= 5, "frames were answered meanwhile"
    assert running_backend(running) == ("tensorrt", "fp16")
    builds = [v.value for array in status for v in array.status[0].values if v.key == "engine build"]
    assert any("Building Engine" in value or "building" in value for value in builds)
    before = len(depths)
    peer.publish_until(lambda: len(depths) > before + 2, "the engine answers", fx=FX)
    assert running.node.statistics.refused == 0
    assert np.isfinite(np.frombuffer(depths[-1].data, np.float32)).any()


@pytest.mark.parametrize(
    ("child", "why"),
    [
        pytest.param("build_fails_with='no tactic for this node'", "no tactic for this node", id="build fails"),
        pytest.param(
            'spoil={"any": lambda run, name, array: array * float("nan")}', "NaN or infinite", id="engine says NaN"
        ),
    ],
)
def test_an_engine_that_cannot_be_used_leaves_the_other_backend_running(start_with_engine, peer, robot, child, why):
    robot.child = child
    depths = peer.subscribe("depth/image")
    running = start_with_engine()
    peer.publish_until(lambda: "failed" in running.node.engines.status, "the failure is known", fx=FX)
    assert why in running.node.engines.status
    before = len(depths)
    peer.publish_until(lambda: len(depths) > before + 3, "frames keep coming", fx=FX)
    assert running_backend(running) == ("onnxruntime", "fp32")
    assert running.node.statistics.refused == 0


def test_an_engine_that_breaks_while_running_gives_way_within_the_frame(start_with_engine, peer, robot, capfd):
    depths = peer.subscribe("depth/image")
    running = start_with_engine()
    peer.publish_until(lambda: running_backend(running)[0] == "tensorrt", "the engine runs", fx=FX)
    robot.behaviour.refuses_launch = True
    before = len(depths)
    peer.publish_until(lambda: len(depths) > before + 2, "frames keep coming", fx=FX)
    assert running_backend(running) == ("onnxruntime", "fp32")
    assert running.node.statistics.refused == 0
    assert "runs instead of tensorrt fp16 (tensorrt: broke while running" in capfd.readouterr().err


def test_new_weights_during_traffic_get_an_engine_of_their_own(
    start_with_engine, peer, robot, tiny_coc_model, tmp_path
):
    model = tmp_path / "model"
    shutil.copytree(tiny_coc_model, model)
    depths = peer.subscribe("depth/image")
    running = start_with_engine(model=model)
    peer.publish_until(lambda: running_backend(running)[0] == "tensorrt", "the first engine runs", fx=FX)
    change_weights(model)
    before = len(depths)
    answer = peer.call(Trigger, "/dfd/reload_model", Trigger.Request())
    assert answer.success, answer.message
    peer.publish_until(lambda: len(depths) > before + 2, "frames keep coming", fx=FX)
    fresh = running.node.pipeline.estimator.model.short_hash
    peer.publish_until(
        lambda: running_backend(running)[0] == "tensorrt" and len(list(robot.cache.glob("*.engine"))) == 2,
        "the second engine runs",
        fx=FX,
    )
    assert running.node.pipeline.estimator.model.short_hash == fresh
    assert running.node.statistics.refused == 0


def test_a_broken_reload_keeps_the_engine(start_with_engine, peer, tiny_coc_model, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_coc_model, model)
    depths = peer.subscribe("depth/image")
    running = start_with_engine(model=model)
    peer.publish_until(lambda: running_backend(running)[0] == "tensorrt", "the engine runs", fx=FX)
    (model / "model.onnx").write_bytes(b"no graph")
    assert not peer.call(Trigger, "/dfd/reload_model", Trigger.Request()).success
    before = len(depths)
    peer.publish_until(lambda: len(depths) > before + 2, "frames keep coming", fx=FX)
    assert running_backend(running) == ("tensorrt", "fp16")


def test_leaving_during_a_build_ends_it(start_with_engine, peer, robot):
    robot.child = "build_takes_s=60"
    depths = peer.subscribe("depth/image")
    running = start_with_engine()
    engines = running.node.engines
    peer.publish_until(lambda: depths and engines.building, "the build runs", fx=FX)
    running.node.release()
    assert not engines.building


def test_tensorrt_asked_for_and_absent_is_said_at_configure(start_node, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(trt_module, "jetson_model", lambda: "NVIDIA Jetson Orin NX")
    monkeypatch.setattr(trt_module, "SYSTEM_PYTHON_FOLDERS", Path("/nonexistent"))
    logged = []
    from dfd_perception.ros.depth_node import dfd_node

    monkeypatch.setattr(dfd_node, "node_log", lambda node: lambda severity, line: logged.append((severity, line)))
    running = start_node(backend="tensorrt", **LENS)
    assert running.node.pipeline is None
    severity, line = logged[-1]
    assert severity == "error"
    assert line.startswith("not configured: tensorrt cannot be imported")
    assert "sudo apt install nvidia-jetpack" in line


def change_weights(model: Path) -> None:
    """Other weights under the same name, as after training."""
    folder = load_model_folder(model)
    network = load_network(folder)
    with torch.no_grad():
        next(weight for weight in network.parameters() if weight.dim() == 4).mul_(1.1)
    save_model(network, model, folder.card)
