# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The package as users get it: one version, manifests that ROS tools accept, a wheel that holds everything."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
import yaml

import dfd_perception

# Keys of rosdistro and packages released on Humble, Jazzy, Kilted and Lyrical. A key that is not there stops rosdep.
ROSDEP_KEYS = {
    "builtin_interfaces", "cv_bridge", "diagnostic_msgs", "geometry_msgs", "launch", "launch_ros", "lifecycle_msgs",
    "python3-aiohttp", "python3-numpy", "python3-onnxruntime-pip", "python3-opencv", "python3-pytest",
    "python3-rosbags-pip", "python3-tqdm", "python3-yaml", "rcl_interfaces", "rclpy",
    "rosgraph_msgs", "sensor_msgs", "sensor_msgs_py", "std_msgs", "std_srvs",
    "tf2_ros_py",
}  # fmt: skip
COPIED = ("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "resource", "requirements", "dfd_perception",
          "launch", "config", "models", "rviz", "LICENSE")  # fmt: skip


@pytest.fixture(scope="module")
def manifest(project_root: Path) -> ElementTree.Element:
    return ElementTree.parse(project_root / "package.xml").getroot()


@pytest.fixture(scope="module")
def wheel(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in COPIED:
        path = project_root / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=ignored)
        elif path.is_file():
            shutil.copy(path, source / name)
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    result = subprocess.run([*pip_wheel, "-w", folder, source], capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_version_has_one_place(manifest, project_root):
    assert dfd_perception.__version__ == manifest.findtext("version")
    assert re.fullmatch(r"\d+\.\d+\.\d+", dfd_perception.__version__)
    assert newest_release(project_root) in (None, dfd_perception.__version__)


def newest_release(project_root: Path) -> str | None:
    """The newest dated version of CHANGELOG.rst, in the headings that bloom reads: 1.2.3 (2026-11-26) and a line."""
    text = (project_root / "CHANGELOG.rst").read_text("utf-8")
    found = re.search(r"^(\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)\n-+$", text, re.MULTILINE)
    return found.group(1) if found else None


def test_the_changelog_has_the_form_that_bloom_reads(project_root, tmp_path):
    """A release by catkin_pkg: "Forthcoming" gets version and date, and what stands under it is read back."""
    tagging = pytest.importorskip("catkin_pkg.cli.tag_changelog", reason="no catkin_pkg in this environment")
    from catkin_pkg.changelog import get_changelog_from_path

    text = (project_root / "CHANGELOG.rst").read_text("utf-8")
    label = tagging.get_forthcoming_label(text)
    assert label == "Forthcoming"
    (tmp_path / "CHANGELOG.rst").write_text(tagging.rename_section(text, label, "9.8.7 (2026-11-26)"), "utf-8")
    (entries,) = get_changelog_from_path(str(tmp_path), "dfd_perception").get_content_of_version("9.8.7")
    assert len(entries.bullets) >= 10


def test_the_manifest_has_a_url_and_the_quality_declaration_its_level(manifest, project_root):
    urls = {element.get("type"): element.text for element in manifest.findall("url")}
    assert urls["website"].startswith("https://")
    declaration = (project_root / "QUALITY_DECLARATION.md").read_text("utf-8")
    assert "**Quality Level 4**" in " ".join(declaration.split())
    sections = re.findall(r"^## (.+) \[\d\]$", declaration, re.MULTILINE)
    assert sections == ["Version Policy", "Change Control Process", "Documentation", "Testing", "Dependencies",
                        "Platform Support", "Security"]  # fmt: skip


def test_the_manifest_is_one_that_colcon_takes_for_ros(manifest, project_root):
    # colcon silently treats a package as plain Python when a field of its manifest is not valid.
    assert manifest.get("format") == "3"
    assert "package_format3.xsd" in (project_root / "package.xml").read_text()
    assert manifest.findtext("name") == "dfd_perception"
    assert manifest.findtext("license") == "Apache-2.0"
    assert manifest.findtext("export/build_type") == "ament_python"
    maintainers = manifest.findall("maintainer")
    assert maintainers
    for maintainer in maintainers:
        assert re.fullmatch(r"[-\w.%+]+@[-\w.]+\.[A-Za-z]{2,}", maintainer.get("email", ""))


def test_every_dependency_is_a_known_rosdep_key(manifest):
    keys = [element.text for element in manifest if element.tag.endswith("depend")]
    assert set(keys) <= ROSDEP_KEYS
    assert len(keys) == len(set(keys))


def test_the_manifest_names_the_messages_that_the_nodes_import(manifest, project_root):
    keys = {element.text for element in manifest.findall("exec_depend")}
    pattern = re.compile(r"^\s*(?:from|import) (\w+(?:_msgs|_srvs|_interfaces))\b", re.MULTILINE)
    files = (project_root / "dfd_perception").rglob("*.py")
    used = {name for path in files for name in pattern.findall(path.read_text())}
    assert used <= keys


def test_the_marker_and_the_script_folder_carry_the_package_name(project_root):
    assert [path.name for path in (project_root / "resource").iterdir()] == ["dfd_perception"]
    settings = configparser.ConfigParser()
    settings.read(project_root / "setup.cfg")
    assert settings["develop"]["script_dir"] == "$base/lib/dfd_perception"
    assert settings["install"]["install_scripts"] == "$base/lib/dfd_perception"


def test_the_wheel_holds_every_module(wheel, project_root):
    expected = {
        path.relative_to(project_root).as_posix() for path in (project_root / "dfd_perception").rglob("*.py")
        if (path.parent / "__init__.py").is_file()
    }  # fmt: skip
    held = {name for name in wheel.namelist() if name.startswith("dfd_perception/") and name.endswith(".py")}
    assert held == expected


def test_the_wheel_installs_the_shared_files_where_ros_looks_for_them(wheel, project_root):
    prefix = f"dfd_perception-{dfd_perception.__version__}.data/data/"
    held = {name.removeprefix(prefix) for name in wheel.namelist() if name.startswith(prefix)}
    assert "share/ament_index/resource_index/packages/dfd_perception" in held
    assert "share/dfd_perception/package.xml" in held
    for folder in ("launch", "config", "models", "rviz"):
        for path in (project_root / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"share/dfd_perception/{path.relative_to(project_root).as_posix()}" in held


def test_the_wheel_has_the_console_scripts(wheel):
    name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.read(name).decode())
    assert dict(scripts["console_scripts"]) == {
        "dfd": "dfd_perception.cli.__main__:main",
        "dfd_node": "dfd_perception.ros.depth_node.dfd_node:main",
        "ground_truth_recorder": "dfd_perception.ros.recorder_node.recorder_node:main",
    }


def test_every_requirement_is_pinned(project_root):
    folder = project_root / "requirements"
    lines = {path.name: path.read_text().splitlines() for path in folder.glob("*.txt")}
    names = {
        file: {re.split(r"[=<>;\[ ]", line)[0].lower() for line in text if line and not line.startswith("#")}
        for file, text in lines.items()
    }
    groups = ("runtime", "train", "test", "dev", "docs", "colcon", "browser", "rerun")
    for file in (f"{group}.txt" for group in groups):
        assert names[file] <= names["constraints.txt"], file
    for file in ("constraints.txt", "ros-jazzy.txt", "ros-kilted.txt", "tensorrt.txt", "kinect.txt"):
        assert all("==" in line for line in lines[file] if line and not line.startswith("#")), file
    assert "torch==2.13.0" in lines["constraints.txt"]


def test_the_site_follows_the_colours_of_the_system_at_every_visit(project_root):
    """Material keeps the scheme of the first visit unless the first palette is the one that names no scheme."""
    palettes = yaml.safe_load((project_root / "mkdocs.yml").read_text("utf-8"))["theme"]["palette"]
    assert palettes[0]["media"] == "(prefers-color-scheme)"
    assert "scheme" not in palettes[0]
    assert {palette["scheme"] for palette in palettes[1:]} == {"default", "slate"}
