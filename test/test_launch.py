"""The launch files: run for real where ROS 2's launch can be imported, read as Python everywhere."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from dfd_perception.environment import FASTDDS_VARIABLES, fastdds_setting
from dfd_perception.inference.backends.interface import BackendName, Precision

ARGUMENTS = (
    "image_topic", "camera_info_topic", "namespace", "params_file", "model", "backend", "precision", "autostart",
    "use_sim_time", "rviz", "rviz_config", "log_level", "record", "bag", "bag_rate",
)  # fmt: skip
LAUNCH_FILES = ("dfd", "evaluate", "record")


def assigned(path: Path, name: str) -> ast.expr:
    """What a module assigns to a name; launch, which these modules import, need not be there."""
    statements = ast.parse(path.read_text("utf-8")).body
    return next(s.value for s in statements if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == name)


def rows_of(project_root: Path, table: ast.expr) -> list[list[ast.expr]]:
    """Rows of a table of arguments; a name stands for what launch_arguments.py assigns to it."""
    shared = project_root / "dfd_perception" / "ros" / "shared" / "launch_arguments.py"
    if isinstance(table, (ast.Starred, ast.Name)):
        name = table.value if isinstance(table, ast.Starred) else table
        return rows_of(project_root, assigned(shared, name.id))
    if isinstance(table, ast.Call):
        return [table.args]
    if isinstance(table.elts[0], ast.Constant):
        return [table.elts]
    return [row for element in table.elts for row in rows_of(project_root, element)]


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
    choices = {row[0].value: ast.literal_eval(row[3]) for row in rows_of(project_root, table) if len(row) > 3}
    assert choices == {"backend": get_args(BackendName), "precision": get_args(Precision)}


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


def test_rviz_shows_the_nodes_topics_with_fitting_qos(project_root: Path) -> None:
    from dfd_perception.files.configuration import read_yaml

    displays = read_yaml(project_root / "rviz" / "dfd.rviz")["Visualization Manager"]["Displays"]
    topics = {d["Topic"]["Value"]: d["Topic"]["Reliability Policy"] for d in displays}
    assert topics.pop("/image") == "Best Effort"
    assert set(topics) == {"/deblurred/image", "/depth/image", "/depth/image_color", "/depth/points"}
    assert set(topics.values()) == {"Reliable"}
