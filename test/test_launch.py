"""The launch files: run for real where ROS 2's launch can be imported, read as Python everywhere."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from dfd_perception.environment import FASTDDS_VARIABLES, fastdds_setting

ARGUMENTS = (
    "image_topic", "camera_info_topic", "namespace", "params_file", "model", "backend", "precision", "autostart",
    "use_sim_time", "rviz", "rviz_config", "log_level", "record", "bag", "bag_rate",
)  # fmt: skip


def test_the_launch_file_declares_every_argument_with_a_description(project_root: Path) -> None:
    tree = ast.parse((project_root / "launch" / "dfd.launch.py").read_text("utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "argument"]
    described = {call.args[0].value: call.args[2].value for call in calls}
    assert tuple(described) == ARGUMENTS
    assert all(len(text) > 10 for text in described.values())


@pytest.mark.parametrize("name", ["dfd", "evaluate", "record"])
def test_every_launch_file_lets_images_through(project_root: Path, name: str) -> None:
    """Without the profile a 640x480 image is lost in silence: evaluate.launch.py once answered 12 of 24 frames."""
    text = (project_root / "launch" / f"{name}.launch.py").read_text("utf-8")
    assert "SetEnvironmentVariable(*setting) for setting in fastdds_setting().items()" in text
    assert "*environment" in text


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


def test_rviz_shows_the_nodes_topics_with_fitting_qos(project_root: Path) -> None:
    from dfd_perception.configuration import read_yaml

    displays = read_yaml(project_root / "rviz" / "dfd.rviz")["Visualization Manager"]["Displays"]
    topics = {d["Topic"]["Value"]: d["Topic"]["Reliability Policy"] for d in displays}
    assert topics.pop("/image") == "Best Effort"
    assert set(topics) == {"/deblurred/image", "/depth/image", "/depth/image_color", "/depth/points"}
    assert set(topics.values()) == {"Reliable"}
