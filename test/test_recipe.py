# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The robot's recipe, line by line as README.md prints it, on the OpenCV, NumPy and colcon of the distribution.

`make test-recipe` runs it. What a robot has and a plain Debian has not is replaced, and only that: workspace and
environment lie in a temporary folder, `git clone` copies this checkout, ROS 2 comes from PyPI in place of /opt/ros and
rosdep, and `ros2 run` is the installed executable that it would start.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
# On a robot all of colcon's parts come with python3-colcon-common-extensions; Debian has them one by one.
APT = (
    "apt-get install python3-venv python3-opencv python3-numpy python3-tqdm python3-yaml colcon "
    "python3-colcon-ros python3-colcon-bash python3-colcon-package-selection"
)
pytestmark = pytest.mark.recipe
HEADING = "## On a robot\n"
INSTALLED = "install/dfd_perception/lib/dfd_perception"
NOT_COPIED = shutil.ignore_patterns(".*", "build", "install", "log", "__pycache__", "*.egg-info", "demo_output", "runs")
# A robot's shell, nothing of the environment that runs the tests.
ENVIRONMENT = {name: os.environ[name] for name in os.environ if name in ("HOME", "LANG", "TERM") or "PIP" in name}


def block_of(text: str, heading: str) -> list[str]:
    """The commands of the first code block below a heading."""
    section = text[text.index(heading) + len(heading) :]
    block = re.search(r"^```(?:bash)?\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block.group(1).splitlines()


def on_this_machine(line: str, home: Path, source: Path) -> str:
    """A line of the recipe with what this machine lacks replaced."""
    replacements = (
        (r"^source /opt/ros/\$ROS_DISTRO/setup\.bash$", "true"),
        (r"^git clone <this repository> ", f"cp -r {source} "),
        (r"^python3 ", f"{SYSTEM_PYTHON} " if "venv" in line else "python3 "),
        (r"^rosdep install (.*)$", "pip install -r src/dfd_perception/requirements/ros-jazzy.txt"),
        (r"^ros2 run dfd_perception ", f"{INSTALLED}/"),
        (r"^ros2 launch .*$", "true"),
        ("~", str(home)),
    )
    for pattern, replacement in replacements:
        line = re.sub(pattern, replacement, line)
    return line


def bash(script: str, folder: Path, timeout_s: float = 300) -> subprocess.CompletedProcess:
    environment = {**ENVIRONMENT, "PATH": "/usr/local/bin:/usr/bin:/bin", "COLCON_HOME": str(folder / "colcon")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, timeout=timeout_s,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    probe = (
        "import cv2, numpy, tqdm, yaml, venv, ensurepip, "
        "colcon_ros, colcon_python_setup_py, colcon_bash, colcon_package_selection"
    )
    complete = shutil.which(SYSTEM_PYTHON) and bash(f'{SYSTEM_PYTHON} -c "{probe}"', Path("/")).returncode == 0
    if not complete or sys.platform != "linux":
        pytest.skip(f"the distribution's OpenCV or colcon is not installed: sudo {APT}")
    return tmp_path_factory.mktemp("robot")


@pytest.fixture(scope="module")
def recipe(home: Path, project_root: Path) -> subprocess.CompletedProcess:
    """The output of the whole recipe; each line echoed before what it prints."""
    shutil.copytree(project_root, home / "checkout", ignore=NOT_COPIED)
    lines = block_of((project_root / "README.md").read_text("utf-8"), HEADING)
    script = "\n".join(on_this_machine(line, home, home / "checkout") for line in lines)
    result = bash(f"set +u -x\n{script}", home, timeout_s=1500)
    assert result.returncode == 0, result.stdout[-6000:]
    return result


def inside(command: str, home: Path, timeout_s: float = 300) -> subprocess.CompletedProcess:
    """A command in a new terminal: the environment activated and the workspace sourced, as the README says."""
    prepare = f"set +u; source {home}/dfd_venv/bin/activate; cd {home}/dfd_ws; source install/setup.bash"
    return bash(f"{prepare}; {command}", home, timeout_s)


def test_the_recipe_has_the_lines_that_keep_it_working(project_root: Path) -> None:
    lines = block_of((project_root / "README.md").read_text("utf-8"), HEADING)
    # The environment first, pip before rosdep (which then finds its pip keys installed), then colcon.
    words = ("--system-site-packages", "pip install", "rosdep install", "python3 -m colcon build")
    order = [next(number for number, line in enumerate(lines) if word in line) for word in words]
    assert order == sorted(order)
    jetson = (project_root / "docs" / "jetson.md").read_text("utf-8")
    assert "pip install -r src/dfd_perception/requirements/robot.txt" in "\n".join(lines)
    assert "requirements/robot.txt" in jetson
    assert "python3 -m colcon build" in jetson
    docker = (project_root / "Dockerfile").read_text("utf-8")
    assert "pip install --no-cache-dir -r src/dfd_perception/requirements/robot.txt" in docker
    assert next(line for line in lines if "colcon" in line).split(" && ")[0] in docker
    # No rosdep there: what it would install by apt stands in the list. The rest of ROS is in the base image.
    wanted = re.findall(r"<exec_depend>(\S+)</exec_depend>", (project_root / "package.xml").read_text("utf-8"))
    for key in wanted:
        if key.startswith("python3-") and not key.endswith("-pip"):
            assert f" {key} " in docker, key
        elif key in ("cv_bridge", "sensor_msgs_py", "tf2_ros_py"):
            assert f"ros-$ROS_DISTRO-{key.replace('_', '-')} " in docker, key


@pytest.mark.timeout(1800)
def test_the_recipe_ends_in_a_machine_that_is_ready(recipe, home) -> None:
    last = [line for line in recipe.stdout.splitlines() if line.startswith(("ready: ", "to do: "))][-1]
    assert last.startswith("ready: "), recipe.stdout[-6000:]
    question = "-c 'import cv2, numpy; print(cv2.__file__, numpy.__version__)'"
    opencv, version = inside(f"python3 {question}", home).stdout.split()
    _, built_for = bash(f"{SYSTEM_PYTHON} {question}", home).stdout.split()
    assert opencv.startswith("/usr/lib/python3/dist-packages/")
    assert version.split(".")[0] == built_for.split(".")[0]
    command = last.removeprefix("ready: try ").strip().replace("dfd ", f"{INSTALLED}/dfd ", 1)
    tried = inside(command, home, timeout_s=600)
    assert tried.returncode == 0, tried.stdout


@pytest.mark.timeout(900)
def test_the_node_of_the_recipe_answers_a_bag(recipe, home, ros_domain_id) -> None:
    source = "src/dfd_perception"
    lens = "-p lens.focal_length_mm:=35.0 -p lens.f_number:=1.8 -p lens.focus_distance_m:=0.5"
    camera = "-r image/compressed:=/camera/image/compressed -r camera_info:=/camera/camera_info"
    names = (f"ROS_DOMAIN_ID={ros_domain_id}", "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST",
             *(f"{name}=$PWD/{source}/config/fastdds.xml" for name in ("FASTRTPS_DEFAULT_PROFILES_FILE",
                                                                       "FASTDDS_DEFAULT_PROFILES_FILE")))  # fmt: skip
    script = f"""
export {" ".join(names)} ROS_LOG_DIR={home}/log
{INSTALLED}/dfd_node --ros-args {lens} {camera} -p input.transport:=compressed & node=$!
trap 'kill -INT $node 2>/dev/null || true; wait $node' EXIT
{INSTALLED}/dfd play {source}/demo/scene_bag --wait 120 --loop & player=$!
{INSTALLED}/dfd record-bag answers --topic /depth/image & recorder=$!
for second in $(seq 240); do
    sleep 1
    [ $(cat answers/*.mcap 2>/dev/null | wc -c) -lt 3000000 ] || break
done
kill -INT $recorder; wait $recorder; kill -INT $player; wait $player
"""
    # The bag is played until some answers lie on the disk: a busy machine takes longer, and drops more on the way.
    result = inside(script, home, timeout_s=600)
    counts = re.findall(r"^ *(\d+)  /depth/image$", result.stdout, re.MULTILINE)
    assert counts, result.stdout
    assert int(counts[-1]) > 1, result.stdout


@pytest.mark.timeout(900)
def test_the_opencv_of_the_distribution_has_what_the_package_uses(home, project_root) -> None:
    """Names that only newer versions have are asked for with hasattr, in a line with the name as text."""
    used: dict[str, str] = {}
    for path in sorted((project_root / "dfd_perception").rglob("*.py")):
        text = path.read_text("utf-8")
        asked = set(re.findall(r'hasattr\(cv2(?:\.\w+)?, "(\w+)"\)', text))
        for name in re.findall(r"\bcv2((?:\.[A-Za-z_]\w*)+)", text):
            if not any(word in name for word in asked):
                used[name.lstrip(".")] = path.name
    question = "import cv2, operator, sys; [operator.attrgetter(name)(cv2) for name in sys.argv[1:]]"
    result = bash(f"{SYSTEM_PYTHON} -c '{question}' {' '.join(used)}", home)
    assert result.returncode == 0, result.stdout


def test_plain_colcon_gives_executables_that_follow_the_environment(recipe, home) -> None:
    """Plain `colcon` runs on /usr/bin/python3; an executable that named it would see nothing of the environment."""
    result = inside("colcon build --build-base build2 --install-base install2", home, 600)
    assert result.returncode == 0, result.stdout
    for base in ("install", "install2"):
        node = home / "dfd_ws" / base / "dfd_perception" / "lib" / "dfd_perception" / "dfd_node"
        assert node.read_text("utf-8").splitlines()[0] == "#!/usr/bin/env python3"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["3.10", "3.12"])
def test_pip_finds_wheels_of_the_recipe_for_a_jetson(project_root: Path, version: str) -> None:
    """Python 3.10: Humble, JetPack 6; 3.12: Jazzy, JetPack 7. Only resolved: this machine cannot run them."""
    platforms = " ".join(f"--platform manylinux_2_{minor}_aarch64" for minor in (17, 24, 26, 27, 28, 31, 34, 35))
    options = "install --dry-run --ignore-installed --target unused --only-binary=:all: --implementation cp"
    words = f"-m pip {options} --python-version {version} --platform manylinux2014_aarch64 {platforms}".split()
    command = [sys.executable, *words, "-r", "requirements/robot.txt"]
    result = subprocess.run(command, cwd=project_root, capture_output=True, text=True, timeout=590, check=False)
    assert result.returncode == 0, result.stderr
    would = result.stdout[result.stdout.index("Would install") :]
    assert re.search(r"\bnumpy-1\.\d+", would)
    for name in ("onnx-", "onnxruntime-", "openvino-", "rosbags-", "safetensors-"):
        assert name in would
