# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What anybody on the network may send does not end either node: wrong transitions, times, parameters, arguments."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from rosgraph_msgs.msg import Clock

from support.node_process import NodeProcess

pytestmark = pytest.mark.fault

NODES = {
    "dfd": "dfd_perception.ros.depth_node.dfd_node",
    "ground_truth_recorder": "dfd_perception.ros.recorder_node.recorder_node",
}


class Process(NodeProcess):
    """A node as its users run it, and a peer that knows its name."""

    def __init__(self, environment, peer, name: str, *arguments: str) -> None:
        self.name = name
        super().__init__(environment, peer, NODES[name], *arguments)

    def state(self) -> str:
        return self.peer.call(GetState, f"/{self.name}/get_state", GetState.Request()).current_state.label

    def until_state(self, label: str) -> None:
        deadline = time.monotonic() + 30
        while self.state() != label:
            assert time.monotonic() < deadline, f"{self.name} did not become {label}"
            time.sleep(0.1)

    def change(self, number: int, label: str = "") -> bool:
        request = ChangeState.Request(transition=Transition(id=number, label=label))
        return self.peer.call(ChangeState, f"/{self.name}/change_state", request).success


@pytest.fixture
def start(ros_environment, peer, tiny_coc_model, tmp_path):
    started = []

    def start(name: str, *arguments: str) -> Process:
        own = {
            "dfd": ["-p", f"model:={tiny_coc_model}", "-p", "backend:=onnxruntime"],
            "ground_truth_recorder": ["-p", f"session.dir:={tmp_path}"],
        }
        started.append(Process(ros_environment, peer, name, *own[name], *arguments))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.mark.parametrize("name", NODES)
def test_transitions_that_the_state_does_not_have_are_refused_and_the_node_goes_on(start, name):
    node = start(name)
    node.until_state("active")
    for wrong in (1, 2, 200, 97, 0):
        assert node.change(wrong) is False
    assert node.change(1, "nonsense") is False
    assert node.state() == "active"
    assert node.change(Transition.TRANSITION_DEACTIVATE)
    assert node.change(Transition.TRANSITION_CLEANUP)
    assert node.change(3) is False
    assert node.state() == "unconfigured"
    assert node.change(Transition.TRANSITION_CONFIGURE)
    assert node.change(0, "activate"), "a label alone is enough"
    said = node.end()
    assert "transition 1 refused: the present state has deactivate (4)" in said
    assert said.count("refused: the present state has") == 2, "equal lines are said once in a while"


@pytest.mark.parametrize("name", NODES)
def test_a_clock_before_1970_does_not_end_it(start, peer, name):
    node = start(name, "-p", "use_sim_time:=true")
    node.until_state("active")
    clock = peer.node.create_publisher(Clock, "/clock", 1)
    before = Clock()
    before.clock.sec = -1
    for _ in range(20):
        clock.publish(before)
        time.sleep(0.02)
    assert node.state() == "active"
    said = node.end()
    assert said.count("a callback failed") == 1, "equal lines are said once in a while"


@pytest.mark.parametrize("name", NODES)
def test_simulated_time_that_nobody_gives_is_said_once(start, peer, name):
    """In the log, and on /diagnostics as long as it lasts."""
    heard = peer.subscribe("/diagnostics", DiagnosticArray)
    expected = "use_sim_time is true, but nobody publishes /clock: this node's time stands still; play the bag"

    def of_the_node() -> list[DiagnosticStatus]:
        return [status for message in heard for status in message.status if status.hardware_id == f"/{name}"]

    def until(condition, what: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"{name}: {what}"
            time.sleep(0.1)

    node = start(name, "-p", "use_sim_time:=true", "-p", "diagnostics.period_s:=0.2")
    until(lambda: sum(expected in status.message for status in of_the_node()) >= 5, "no word on /diagnostics")
    assert {status.level for status in of_the_node() if expected in status.message} <= {b"\1", b"\2"}
    clock = peer.node.create_publisher(Clock, "/clock", 1)
    until(lambda: clock.get_subscription_count() > 0, "did not find /clock")
    now = Clock()
    now.clock.sec = 1000

    def time_comes() -> bool:
        clock.publish(now)
        return "use_sim_time" not in of_the_node()[-1].message

    until(time_comes, "still complains")
    # The end of a bag, say: a state to be seen on /diagnostics, and no warning in the log.
    peer.node.destroy_publisher(clock)
    ended = "/clock has ended: nobody publishes it any more"
    until(lambda: ended in of_the_node()[-1].message, "does not say that time has ended")
    said = node.end()
    assert said.count(expected) == 1
    assert [line.partition("]")[0] for line in said.splitlines() if ended in line] == ["[INFO"]


@pytest.mark.parametrize("name", NODES)
def test_parameters_of_no_type_are_answered(start, peer, name):
    node = start(name)
    node.until_state("active")
    odd = [Parameter(name="autostart", value=ParameterValue(type=99)), Parameter(name="", value=ParameterValue(type=1))]
    answer = peer.call(SetParameters, f"/{name}/set_parameters", SetParameters.Request(parameters=odd))
    assert len(answer.results) == 2
    assert not any(result.successful for result in answer.results)
    together = SetParametersAtomically.Request(parameters=odd)
    assert not peer.call(SetParametersAtomically, f"/{name}/set_parameters_atomically", together).result.successful
    peer.call(GetParameters, f"/{name}/get_parameters", GetParameters.Request(names=["", "nonsense", "x" * 10000]))
    assert node.state() == "active"
    node.end()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--params-file", "/nonexistent.yaml"], "/nonexistent.yaml"),
        (["-p", "model:="], "-p model:="),
        (["-r", "bad"], "-r bad"),
        (["--log-level", "nonsense"], "--log-level nonsense"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_ros_arguments_end_it_with_exit_code_2_and_the_reason(ros_environment, arguments, words):
    command = [sys.executable, "-m", NODES["dfd"], "--ros-args", *arguments]
    done = subprocess.run(command, env=ros_environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert words in last
    assert "Traceback" not in done.stderr
    assert ".c:" not in last


def test_a_broken_parameter_file_and_domain_end_it_non_zero(ros_environment, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("/**:\n  ros__parameters: [")
    command = [sys.executable, "-m", NODES["ground_truth_recorder"], "--ros-args", "--params-file", str(broken)]
    done = subprocess.run(command, env=ros_environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert str(broken) in done.stderr.strip().splitlines()[-1]
    environment = {**os.environ, **ros_environment, "ROS_DOMAIN_ID": "abc"}
    done = subprocess.run(command[:3], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "abc" in done.stderr or "DOMAIN" in done.stderr.upper(), done.stderr
    assert "Traceback" not in done.stderr
