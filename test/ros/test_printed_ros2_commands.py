# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What README, docs, launch files and messages print of ROS 2 is so: commands, topics, services, parameters.

There is no ros2 command line here. Its words are checked against what it would look up: executables, launch files with
their arguments, and what both nodes offer when they run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

import rclpy

from dfd_perception.cli import __main__ as cli
from dfd_perception.ros.depth_node.dfd_node import DfdNode
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
from dfd_perception.ros.recorder_node.recorder_node import GroundTruthRecorderNode
from dfd_perception.ros.recorder_node.recorder_parameters import RecorderParameters
from dfd_perception.ros.shared import managed_node
from support.launch_tables import LAUNCH_FILES, arguments_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*/README.md"))]
OTHERS = [*(ROOT / "launch").glob("*.py"), *(ROOT / "config").rglob("*.yaml"),
          *(ROOT / "dfd_perception").rglob("*.py")]  # fmt: skip
EXECUTABLES = {"dfd", "dfd_node", "ground_truth_recorder"}
PARAMETERS = {
    "dfd_node": {f.metadata["parameter"].name for f in fields(DfdParameters)},
    "ground_truth_recorder": {f.metadata["parameter"].name for f in fields(RecorderParameters)},
}
NODES = {"/dfd": "dfd_node", "/ground_truth_recorder": "ground_truth_recorder"}
TRANSITIONS = {"configure", "activate", "deactivate", "cleanup", "shutdown"}
IN_PROSE = {"-s", "ends", "finds"}
"""What follows `ros2 run` or `ros2 launch` where a sentence speaks of them."""

OF_ALL_NODES = ("/rosout", "/parameter_events", "/clock", "transition_event")
TF2_PUBLISHER = {f"--{name}" for name in ("x", "y", "z", "qx", "qy", "qz", "qw", "roll", "pitch", "yaw", "frame-id",
                                          "child-frame-id")}  # fmt: skip
"""Options of tf2_ros' static_transform_publisher (geometry2, static_transform_broadcaster_program.cpp)."""


@dataclass
class Offered:
    """What a node that runs says of itself, over all its transports."""

    publishers: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, str] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)


def printed(path: Path) -> Iterator[list[str]]:
    """Every ros2 command of a file, as words; what stands for more is left out, and what code fills in is NAME."""
    text = re.sub(r"\\\n[ #]*", " ", path.read_text("utf-8"))
    text = re.sub(r"\{[^{}\n]*\}", "NAME", text) if path.suffix == ".py" else text
    for match in re.finditer(r"\bros2 (?:run|launch|topic|service|param|lifecycle|pkg|node|bag) [^\n`\"&;)(]*", text):
        words = [word for word in shlex.split(match[0].replace("'", ""), comments=True)[1:] if "..." not in word]
        if len(words) > 1 and words[1] not in IN_PROSE:
            yield words


COMMANDS = [(path.relative_to(ROOT), words) for path in (*PAGES, *OTHERS) for words in printed(path)]


@pytest.fixture
def offered(ros_domain_id: int, tiny_coc_model: Path) -> dict[str, Offered]:
    """Start each node with raw and with compressed transport, and ask what it offers."""
    kinds = {
        "dfd_node": (DfdNode, ({"model": str(tiny_coc_model), "backend": "onnxruntime"},
                               {"model": str(tiny_coc_model), "backend": "onnxruntime",
                                "input.transport": "compressed"})),
        "ground_truth_recorder": (GroundTruthRecorderNode,
                                  ({"camera.depth_is_registered": True},
                                   {"input.transport": "compressed", "sensor.transport": "compressed"})),
    }  # fmt: skip
    found = {}
    for name, (kind, settings) in kinds.items():
        found[name] = Offered()
        for values in settings:
            ask(kind, values, ros_domain_id, found[name])
    return found


def ask(kind: Any, values: dict[str, Any], domain_id: int, found: Offered) -> None:
    from rclpy.parameter import Parameter

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = kind(context=context, parameter_overrides=overrides)
    try:
        managed_node.autostart(node)
        here = (node.get_name(), node.get_namespace())
        for offers, pairs in (
            (found.publishers, node.get_publisher_names_and_types_by_node(*here)),
            (found.subscriptions, node.get_subscriber_names_and_types_by_node(*here)),
            (found.services, node.get_service_names_and_types_by_node(*here)),
        ):
            offers.update((topic, types[0]) for topic, types in pairs if not topic.endswith(OF_ALL_NODES))
    finally:
        node.stop()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_there_are_commands_to_read() -> None:
    assert len(COMMANDS) > 25
    assert {words[0] for _, words in COMMANDS} >= {"run", "launch", "topic", "service", "param", "lifecycle", "pkg"}


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[f"{p}-{' '.join(w)[:50]}" for p, w in COMMANDS])
def test_a_printed_ros2_command_names_what_there_is(page: Path, words: list[str]) -> None:
    verb, *rest = words
    check = {"run": _check_run, "launch": _check_launch, "param": _check_param, "lifecycle": _check_lifecycle}
    if verb in check:
        check[verb](rest)
    elif verb == "pkg":
        assert rest == ["prefix", "dfd_perception"]
    else:
        assert (verb, rest[0]) in (("topic", "list"), ("topic", "echo"), ("service", "call")), f"{page}: {words}"


def _check_run(rest: list[str]) -> None:
    package, executable, *arguments = rest
    if package == "tf2_ros":
        assert executable == "static_transform_publisher"
        assert {word for word in arguments if re.match(r"--[a-z]", word)} <= TF2_PUBLISHER
        return
    assert package == "dfd_perception"
    assert executable in EXECUTABLES
    if executable == "dfd" and arguments:
        cli.parse(arguments)
    elif arguments:
        _check_ros_arguments(executable, arguments)


def _check_ros_arguments(executable: str, arguments: list[str]) -> None:
    first, *rest = arguments
    assert first == "--ros-args"
    for option, value in zip(rest[::2], rest[1::2], strict=True):
        assert option in ("--params-file", "-p", "-r")
        assert option != "-p" or value.partition(":=")[0] in PARAMETERS[executable]


def _check_launch(rest: list[str]) -> None:
    package, file, *arguments = rest
    assert package == "dfd_perception"
    if file == "FILE":  # any of them
        return
    assert file.removesuffix(".launch.py") in LAUNCH_FILES
    known = arguments_of(ROOT, file.removesuffix(".launch.py"))
    for argument in arguments:
        name, separator, value = argument.partition(":=")
        assert argument == "-s" or (separator and name in known), argument
        assert not known.get(name) or value in known[name], argument


def _check_param(rest: list[str]) -> None:
    assert rest[0] in ("set", "get", "list", "describe")
    if len(rest) > 1:
        executable = NODES[rest[1]]
        assert len(rest) == 2 or rest[2] in PARAMETERS[executable]


def _check_lifecycle(rest: list[str]) -> None:
    verb, node, *transitions = rest
    assert verb == "set"
    assert node in NODES
    assert {word.strip(",") for word in transitions} <= TRANSITIONS


def test_topics_and_services_that_are_printed_are_those_of_the_nodes(offered: dict[str, Offered]) -> None:
    topics = {topic for node in offered.values() for topic in (*node.publishers, *node.subscriptions)}
    services = {name: kind for node in offered.values() for name, kind in node.services.items()}
    named = 0
    for page, words in COMMANDS:
        if words[:2] == ["topic", "echo"]:
            assert words[2] in (*topics, "NAME"), page
        if words[:2] == ["service", "call"] and len(words) > 2:  # the verb alone stands in a sentence
            assert services[words[2]] == words[3], page
            named += 1
    assert named


def rows(page: str, columns: int) -> list[list[str]]:
    lines = [line for line in (ROOT / page).read_text("utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == columns]


def test_the_tables_of_the_readme_are_the_topics_and_services_of_the_node(offered: dict[str, Offered]) -> None:
    node = offered["dfd_node"]
    for direction, offers in (("in", node.subscriptions), ("out", node.publishers)):
        told = {}
        for row in (row for row in rows("README.md", 4) if row[0] == direction):
            told |= {topic: row[2].split()[0] for topic in re.findall(r"`([\w/]+)`", row[1])}
        assert told == {topic.removeprefix("/") if topic != "/diagnostics" else topic: kind.rpartition("/")[2]
                        for topic, kind in offers.items()}  # fmt: skip
    told = {row[0].strip("`"): row[1] for row in rows("README.md", 3) if row[0].startswith("`~/")}
    assert told == _own_services(node, "/dfd/", "std_srvs/srv/Trigger", "std_srvs/Trigger")


def test_the_tables_of_the_recorders_page_are_its_topics_and_services(offered: dict[str, Offered]) -> None:
    node = offered["ground_truth_recorder"]
    told: dict[str, str] = {}
    for row in rows("docs/recorder.md", 3):
        names = re.findall(r"`([\w/]+)`", row[0])
        kinds = re.findall(r"[A-Z]\w+(?= |,|$)", re.sub(r"\d+\w*\d* \[m+\]| or ", " ", row[1]))
        if names and kinds and set(kinds) <= {"Image", "CompressedImage", "CameraInfo"}:
            told |= {name: _kind_of(name) for name in names}
            assert {_kind_of(name) for name in names} == set(kinds), row
    assert told == {topic.removeprefix("/"): kind.rpartition("/")[2] for topic, kind in node.subscriptions.items()}
    services = {row[0].strip("`"): "Trigger" for row in rows("docs/recorder.md", 3) if row[0].startswith("`~/")}
    assert services == _own_services(node, "/ground_truth_recorder/", "std_srvs/srv/Trigger", "Trigger")


def test_a_launch_file_remaps_every_input_of_its_node(offered: dict[str, Offered]) -> None:
    """With transport compressed, depth_topic:= and colour_topic:= once changed nothing."""
    shared = "dfd_perception/ros/shared/launch_nodes.py"
    files = {"ground_truth_recorder": "launch/record.launch.py", "dfd_node": shared}
    for name, file in files.items():
        text = (ROOT / file).read_text("utf-8")
        missing = [topic for topic in offered[name].subscriptions if f'("{topic.removeprefix("/")}", ' not in text]
        assert not missing, file


def _kind_of(topic: str) -> str:
    if topic.endswith("camera_info"):
        return "CameraInfo"
    return "CompressedImage" if "ompressed" in topic else "Image"


def _own_services(node: Offered, prefix: str, kind: str, told_as: str) -> dict[str, str]:
    return {f"~/{name.removeprefix(prefix)}": told_as for name, type_ in node.services.items() if type_ == kind}


def test_every_parameter_that_a_page_names_is_one() -> None:
    known = PARAMETERS["dfd_node"] | PARAMETERS["ground_truth_recorder"]
    sections = "|".join(sorted({name.partition(".")[0] for name in known if "." in name}))
    files = (".png", ".py", ".yaml", ".json")
    named = 0
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for name in re.findall(rf"`((?:{sections})\.[a-z0-9_]+)(?::[^`]*)?`", text):
            assert name in known or name.endswith(files), f"{page.name}: {name}"
            named += name in known
    assert named > 25
