# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The launch files: run for real where ROS 2's launch can be imported, read as Python everywhere."""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dfd_perception.environment import FASTDDS_VARIABLES, fastdds_setting
from support.launch_tables import LAUNCH_FILES, assigned, rows_of

ARGUMENTS = (
    "image_topic", "camera_info_topic", "namespace", "params_file", "model", "backend", "precision", "autostart",
    "use_sim_time", "rviz", "rviz_config", "fixed_frame", "log_level", "record", "bag", "bag_rate",
)  # fmt: skip


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_every_argument_is_declared_once_and_explained(project_root: Path, name: str) -> None:
    rows = rows_of(project_root, assigned(project_root / "launch" / f"{name}.launch.py", "ARGUMENTS"))
    names = [row[0].value for row in rows]
    assert len(set(names)) == len(names)
    assert all(len(row[2].value) >= len("Parameters") for row in rows)
    if name == "dfd":
        assert tuple(names) == ARGUMENTS


def test_what_can_be_chosen_is_what_the_node_takes(project_root: Path) -> None:
    table = assigned(project_root / "dfd_perception" / "ros" / "shared" / "launch_arguments.py", "NETWORK")
    choices = {row[0].value: ast.unparse(row[3]) for row in rows_of(project_root, table) if len(row) > 3}
    assert choices == {"backend": "('', *backend_names())", "precision": "('', *PRECISIONS)"}


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_every_launch_file_lets_images_through(project_root: Path, name: str) -> None:
    """Without the profile a 640x480 image is lost in silence: evaluate.launch.py once answered 12 of 24 frames."""
    text = (project_root / "launch" / f"{name}.launch.py").read_text("utf-8")
    assert "LaunchDescription([*declared(ARGUMENTS), *environment(), " in text
    shared = (project_root / "dfd_perception" / "ros" / "shared" / "launch_arguments.py").read_text("utf-8")
    assert "[SetEnvironmentVariable(name, value) for name, value in fastdds_setting().items()]" in shared


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"), ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE")],
)
def test_the_profile_is_named_as_the_distribution_reads_it(
    monkeypatch: pytest.MonkeyPatch, distribution: str, variable: str
) -> None:
    for name in FASTDDS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROS_DISTRO", distribution)
    setting = fastdds_setting()
    assert list(setting) == [variable]
    assert Path(setting[variable]).is_file()
    monkeypatch.setenv(variable, "mine.xml")
    assert fastdds_setting() == {}


def test_the_launch_file_starts_the_node(project_root: Path) -> None:
    pytest.importorskip("launch_ros", reason="no launch_ros: it comes with a ROS 2 installation, not from PyPI")
    import importlib.util

    from launch.actions import DeclareLaunchArgument

    from launch import LaunchContext

    path = project_root / "launch" / "dfd.launch.py"
    spec = importlib.util.spec_from_file_location("dfd_launch", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    description = module.generate_launch_description()
    declared = [e.name for e in description.entities if isinstance(e, DeclareLaunchArgument)]
    assert tuple(declared) == ARGUMENTS
    context = LaunchContext()
    for entity in description.entities:
        if isinstance(entity, DeclareLaunchArgument) and entity.name in ("namespace", "bag", "record", "rviz"):
            entity.visit(context)
    assert context.launch_configurations["rviz"] == "false"


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_what_can_be_missing_is_looked_for_before_anything_starts(project_root: Path, name: str) -> None:
    text = (project_root / "launch" / f"{name}.launch.py").read_text("utf-8")
    assert "*environment(), check, " in text
    assert re.search(r"check = first_check\(", text)


@pytest.fixture
def launched(project_root: Path, tmp_path: Path, ros_domain_id: int):
    """Return a function that runs a launch file, with stand-ins on the PATH, and says what it left running."""
    pytest.importorskip("launch_ros", reason="no launch_ros: it comes with a ROS 2 installation, not from PyPI")
    prefix = tmp_path / "prefix"
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    programs = prefix / "lib" / "dfd_perception"
    for folder in (index, programs, tmp_path / "bin"):
        folder.mkdir(parents=True)
    (index / "dfd_perception").touch()
    (prefix / "share" / "dfd_perception").symlink_to(project_root)
    points = importlib.metadata.entry_points(group="console_scripts")
    for point in (point for point in points if point.module.startswith("dfd_perception")):
        program = f"#!{sys.executable}\nimport sys\nfrom {point.module} import {point.attr}\nsys.exit({point.attr}())\n"
        (programs / point.name).write_text(program)
        (programs / point.name).chmod(0o755)
    prefixes = os.pathsep.join([str(prefix), os.environ.get("AMENT_PREFIX_PATH", sys.prefix)])
    path = f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin"
    environment = {**os.environ, "AMENT_PREFIX_PATH": prefixes, "PATH": path, "ROS_LOG_DIR": str(tmp_path / "log")}

    def run(name: str, *arguments: str, rviz: str | None = None, **more: str) -> tuple[int, str, list[str]]:
        if rviz is not None:
            (tmp_path / "bin" / "rviz2").write_text(f"#!/bin/sh\necho RVIZ $*\n{rviz}\n")
            (tmp_path / "bin" / "rviz2").chmod(0o755)
        command = [sys.executable, "-c", LAUNCHER, str(project_root / "launch" / f"{name}.launch.py"), *arguments]
        ended = subprocess.run(
            command, env=environment | more, capture_output=True, text=True, timeout=110, check=False
        )
        running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
        return ended.returncode, ended.stdout + ended.stderr, [line for line in running if str(programs) in line]

    return run


LAUNCHER = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
arguments = [tuple(word.split(":=", 1)) for word in sys.argv[2:]]
service = LaunchService(argv=sys.argv[2:])
source = AnyLaunchDescriptionSource(sys.argv[1])
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)]))
sys.exit(service.run())
"""


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("dfd", ["rviz:=true"], "no rviz2 on the PATH"),
        ("dfd", ["bag:=/nowhere"], "bag:=/nowhere does not exist"),
        ("dfd", ["params_file:=/nowhere.yaml"], "params_file:=/nowhere.yaml does not exist"),
        ("dfd", ["record:=/tmp"], "record:=/tmp exists already"),
        ("record", ["source:=lidar"], 'Argument "source" provided value "lidar" is not valid'),
        ("record", ["calibration:=/nowhere.yaml"], "calibration:=/nowhere.yaml does not exist"),
        ("nav2", [], "the package nav2_costmap_2d is not installed: sudo apt install ros-"),
        ("laserscan", [], "the package depthimage_to_laserscan is not installed: sudo apt install ros-"),
        ("evaluate", ["bag:=/nowhere", "out:=/tmp/x", "lens:=/nowhere.yaml"], "bag:=/nowhere does not exist"),
    ],
)
def test_launch_refuses_what_cannot_work_and_starts_nothing(launched, name, arguments, words) -> None:
    code, text, left = launched(name, *arguments)
    assert code == 1
    assert words in text
    assert "process started" not in text
    assert not left


def test_a_failed_process_ends_the_others_and_launch_with_1(launched, tmp_path) -> None:
    code, text, left = launched("dfd", "rviz:=true", f"record:={tmp_path / 'bag'}", rviz="sleep 4; exit 3")
    assert (code, left) == (1, [])
    assert "failed with exit code 3; the rest is ended" in text
    (tmp_path / "empty").mkdir()
    code, text, left = launched("dfd", f"bag:={tmp_path / 'empty'}")
    assert (code, left) == (1, [])
    assert "failed with exit code 2; the rest is ended" in text


def test_what_no_argument_gives_stays_as_the_file_of_parameters_says(launched, tmp_path) -> None:
    """A default of the launch file once won over the model, the backend and autostart of the user's own file."""
    (tmp_path / "mine.yaml").write_text("/**:\n  ros__parameters: {model: no_such_model, depth: {max_m: 3.0}}\n")
    until_told = f"until grep -rqs 'not configured' {tmp_path}/log; do sleep 0.2; done; exit 3"
    _, text, left = launched("dfd", f"params_file:={tmp_path}/mine.yaml", "rviz:=true", rviz=until_told)
    assert re.search(r"not configured: .*no_such_model", text)
    assert not left


def test_home_is_understood_where_the_shell_leaves_it_as_it_is(launched, tmp_path) -> None:
    """docs/fine-tuning.md prints calibration:=~/rig/..., which no shell expands."""
    (tmp_path / "calibration.yaml").write_text("")
    home = {"HOME": str(tmp_path)}
    code, text, left = launched("record", "calibration:=~/calibration.yaml", "params_file:=~/absent.yaml", **home)
    assert (code, left) == (1, [])
    assert f"params_file:={tmp_path}/absent.yaml does not exist" in text
    assert "calibration" not in text


def test_an_evaluation_gives_the_node_the_lens_of_the_figures(project_root: Path) -> None:
    """The lens of the figures, and of the node's own file nothing."""
    pytest.importorskip("rclpy", reason="no rclpy in this environment")
    from dfd_perception.files.lens_file import read_lens
    from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters, parameters_of_lens

    lens = read_lens(project_root / "demo" / "lens.yaml")
    values = parameters_of_lens(lens)
    declared = {f.metadata["parameter"].name: f.name for f in dataclasses.fields(DfdParameters)}
    assert {name for name in declared if name.startswith("lens.")} == set(values)
    assert DfdParameters(**{declared[name]: value for name, value in values.items()}).lens() == lens
    text = (project_root / "launch" / "evaluate.launch.py").read_text("utf-8")
    assert "parameters_of_lens(read_lens(" in text


def test_rviz_gets_topics_namespace_and_frame_and_the_end_of_the_bag_is_exit_0(launched, project_root) -> None:
    arguments = ["rviz:=true", "namespace:=robot1", "image_topic:=/camera/image_raw", "fixed_frame:=map",
                 f"bag:={project_root / 'demo' / 'scene_bag'}", "bag_rate:=8"]  # fmt: skip
    code, text, left = launched("dfd", *arguments, rviz="exec sleep 100")
    assert (code, left) == (0, []), text
    told = next(line for line in text.splitlines() if "RVIZ" in line)
    for words in ("-f map", "__ns:=/robot1", "/image:=/camera/image_raw", "/depth/points:=depth/points"):
        assert words in told


def test_a_remapped_name_of_the_rviz_file_is_the_nodes_in_its_namespace(ros_domain_id) -> None:
    """What the launch file relies on: an absolute name, remapped to a relative one, is taken into the namespace."""
    rclpy = pytest.importorskip("rclpy", reason="no rclpy in this environment")
    context = rclpy.Context()
    rclpy.init(context=context, args=["--ros-args", "-r", "__ns:=/robot1", "-r", "/depth/points:=depth/points"])
    try:
        node = rclpy.create_node("rviz", context=context)
        from sensor_msgs.msg import PointCloud2

        assert node.create_subscription(PointCloud2, "/depth/points", print, 1).topic_name == "/robot1/depth/points"
    finally:
        rclpy.try_shutdown(context=context)


def test_rviz_shows_the_nodes_topics_with_fitting_qos(project_root: Path) -> None:
    from dfd_perception.files.configuration import read_yaml

    displays = read_yaml(project_root / "rviz" / "dfd.rviz")["Visualization Manager"]["Displays"]
    topics = {d["Topic"]["Value"]: d["Topic"]["Reliability Policy"] for d in displays}
    assert topics.pop("/image") == "Best Effort"
    assert set(topics) == {"/deblurred/image", "/depth/image", "/depth/image_color", "/depth/points"}
    assert set(topics.values()) == {"Reliable"}
