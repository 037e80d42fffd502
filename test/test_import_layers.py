# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Imports point inward: a core that knows optics, a middle that knows torch, a rim that knows ROS.

The two tables are the rule. A new folder of the package, or a new dependency, gets a line here, on purpose.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "dfd_perception"
FOLDER = Path(__file__).resolve().parent.parent / PACKAGE

# Room (a module or folder of the package) -> rooms that it may import at module level. Every room may import itself.
BASE = {"", "errors"}
FOUNDATION = BASE | {"core", "files", "environment"}
LAYERS = {
    "": set(),
    "errors": set(),
    "environment": BASE,
    "core": BASE,
    "files": BASE | {"core", "environment"},
    "metrics": BASE | {"core"},
    "losses": BASE | {"core"},
    "bags": FOUNDATION,
    "media": FOUNDATION,
    "network": FOUNDATION,
    "datasets": FOUNDATION,
    "groundtruth": FOUNDATION,
    "inference": FOUNDATION,
    "meter": FOUNDATION | {"inference"},
    "benchmark": FOUNDATION | {"network", "inference"},
    "calibration": FOUNDATION | {"media", "bags", "groundtruth", "inference"},
    "evaluation": FOUNDATION | {"metrics", "datasets", "bags", "inference"},
    "training": FOUNDATION | {"network", "losses", "metrics", "datasets"},
    "view": FOUNDATION | {"media", "bags", "datasets", "inference", "evaluation"},
    "ros": FOUNDATION | {"metrics", "media", "bags", "groundtruth", "inference", "evaluation", "view", "benchmark"},
    "cli": FOUNDATION,
}
# Imports inside a function, each run only when that function is asked for.
INSIDE_FUNCTIONS = {
    "": {"meter"},  # the names for programs, which `import dfd_perception` alone must not pay for
    "inference": {"network"},  # the torch backend builds the network
    "cli": set(LAYERS),
}

# Third-party package -> where it may be imported. Folders end in "/"; "*" is anywhere except in STDLIB_ONLY.
TORCH = ["network/", "losses/", "datasets/", "training/", "benchmark/torch_comparison.py",
         "inference/backends/torch_backend.py", "inference/tensorrt/torch_memory.py"]  # fmt: skip
THIRD_PARTY = {
    "numpy": ["*"],
    "cv2": ["*"],
    "tqdm": ["*"],
    "yaml": ["files/configuration.py", "files/yaml_loader.py"],
    "safetensors": ["*"],
    "torch": TORCH,
    "lightning_fabric": ["training/"],
    "tensorboard": ["training/"],
    "h5py": ["datasets/published/nyu_depth_v2.py"],
    "scipy": ["network/", "losses/", "datasets/", "groundtruth/rig/"],
    "onnx": ["network/onnx_export.py", "inference/"],
    "onnxscript": ["network/onnx_export.py"],
    "onnxruntime": ["inference/"],
    "openvino": ["inference/"],
    "tensorrt": ["inference/tensorrt/"],
    "tensorrt_rtx": ["inference/tensorrt/"],
    "tensorrt_rtx_bindings": ["inference/tensorrt/"],
    "cuda": ["inference/tensorrt/cuda_python_memory.py"],
    "pyk4a": ["groundtruth/sensors/azure_kinect.py"],
    "rosbags": ["bags/"],
    "lz4": ["bags/unpacking.py"],  # of rosbags, which unpacks without a bound
    "aiohttp": ["view/"],
    "rerun": ["view/rerun_log.py"],
}
ROS_ONLY = {"rclpy", "rcl_interfaces", "std_srvs", "cv_bridge", "message_filters", "ament_index_python",
            "sensor_msgs_py", "builtin_interfaces", "tf2_ros", "launch", "launch_ros"}  # fmt: skip
TOOLS = ("onnxruntime.quantization",)  # runs no model; makes one
ONE_FILE = {"tensorrt", "onnxruntime", "openvino", "pyk4a", "tf2_ros"}
STDLIB_ONLY = {"__init__.py", "errors.py", "environment.py"}
BLOCKED = ("rclpy", "torch", "tensorrt", "tensorrt_rtx", "onnxruntime", "openvino", "pyk4a", "rosbags")


class Import(NamedTuple):
    """One imported module, seen from one file."""

    file: str
    line: int
    name: str
    inside_function: bool

    def __str__(self) -> str:
        return f"{PACKAGE}/{self.file}:{self.line} imports {self.name}"


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


@functools.cache
def imports_of(source: str, file: str, names: bool = False) -> list[Import]:
    """Return every import that can run, with relative ones resolved; `if TYPE_CHECKING:` never runs.

    Args:
        names: each imported name with its module (`a.b` of `from a import b`), not the module alone.
    """
    parents = (PACKAGE, *Path(file).parent.parts)
    found: list[Import] = []

    def visit(node: ast.AST, inside: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(file, node.lineno, alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            each = names or module == PACKAGE
            targets = [f"{module}.{alias.name}" for alias in node.names] if each else [module]
            found.extend(Import(file, node.lineno, name, inside) for name in targets)
        children = [] if is_type_checking(node) else list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and is_type_checking(node):
            children = list(node.orelse)
        function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in children:
            visit(child, inside or function)

    visit(ast.parse(source), False)
    return found


def layer_of(parts: tuple[str, ...]) -> str:
    """Return the layer of a module path below the package: its first part, "" for the package itself."""
    first = parts[0] if parts else ""
    return "" if first in ("__init__", "__version__") else first


def is_ros(name: str) -> bool:
    return name in ROS_ONLY or name.endswith("_msgs")


def third_party_allowed(name: str, file: str) -> bool:
    if file in STDLIB_ONLY:
        return False
    if is_ros(name):
        return file.startswith("ros/")
    places = THIRD_PARTY.get(name, [])
    return "*" in places or any(file == place or (place.endswith("/") and file.startswith(place)) for place in places)


def violations(source: str, file: str) -> list[str]:
    """Return a line for each import of a file that the tables do not allow."""
    problems = []
    layer = layer_of(Path(file).with_suffix("").parts)
    if layer not in LAYERS:
        return [f"{PACKAGE}/{file}: no line for {layer!r} in LAYERS"]
    for item in imports_of(source, file):
        root, *rest = item.name.split(".")
        if root in sys.stdlib_module_names:
            continue
        if root != PACKAGE:
            if not third_party_allowed(root, file):
                problems.append(f"{item}: not allowed there")
            continue
        target = layer_of(tuple(rest))
        allowed = LAYERS[layer] | {layer} | (INSIDE_FUNCTIONS.get(layer, set()) if item.inside_function else set())
        if target not in allowed:
            problems.append(f"{item}: {layer!r} may not import {target!r}")
    return problems


@functools.cache
def package_files() -> dict[str, str]:
    return {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py")}


def test_every_import_is_allowed():
    problems = [line for file, source in sorted(package_files().items()) for line in violations(source, file)]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("core/optics.py", "import torch"),
        ("core/optics.py", "from dfd_perception.inference import estimator"),
        ("core/optics.py", "def f():\n    from ..ros import qos"),
        ("inference/estimator.py", "from sensor_msgs.msg import Image"),
        ("inference/estimator.py", "import torch.nn"),
        ("inference/estimator.py", "from dfd_perception.network import create_network"),
        ("evaluation/run.py", "from rosbags.highlevel import AnyReader"),
        ("cli/play.py", "from dfd_perception.ros.tools import player"),
        ("cli/play.py", "import rclpy"),
        ("errors.py", "import numpy"),
        ("network/checkpoint.py", "import yaml"),
        ("core/optics.py", "import a_new_dependency"),
        ("helpers/optics.py", "import os"),
        ("core/optics.py", "from dfd_perception import ros"),
    ],
)
def test_a_planted_violation_is_found(file, source):
    assert len(violations(source, file)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("core/optics.py", "from __future__ import annotations\nimport numpy as np\nfrom ..errors import LensError"),
        ("core/optics.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("cli/play.py", "def run(args):\n    from dfd_perception.ros.tools import player"),
        ("cli/doctor.py", "from dfd_perception import __version__, environment"),
        ("ros/depth_node/dfd_node.py", "import rclpy\nfrom sensor_msgs.msg import Image"),
        ("inference/backends/torch_backend.py", "import torch"),
    ],
)
def test_an_allowed_import_is_allowed(file, source):
    assert violations(source, file) == []


def test_the_layers_have_no_cycle():
    done: set[str] = set()
    while len(done) < len(LAYERS):
        ready = {layer for layer, needs in LAYERS.items() if layer not in done and needs <= done}
        assert ready, f"a cycle among {sorted(set(LAYERS) - done)}"
        done |= ready


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups that reach each other: what is left when all that need nothing of the rest are taken away."""
    rest = {name: {other for other in needs if other != name} for name, needs in edges.items()}
    while True:
        ready = {name for name, needs in rest.items() if not needs & rest.keys()}
        if not ready:
            break
        rest = {name: needs for name, needs in rest.items() if name not in ready}

    def reached(start: str) -> set[str]:
        seen, todo = set(), [start]
        while todo:
            new = (rest[todo.pop()] & rest.keys()) - seen
            seen |= new
            todo += new
        return seen

    reach = {name: reached(name) for name in rest}
    groups = {frozenset(o for o in reach[name] if name in reach[o]) for name in rest if name in reach[name]}
    return [set(group) for group in groups]


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]
    assert circles({"a": {"b", "a"}, "b": set(), "c": {"a", "b"}}) == []


def test_no_circle_between_files_or_rooms():
    """Imports inside functions count: a circle that is put off is a circle."""
    sources = package_files()
    modules = {".".join((PACKAGE, *Path(f).with_suffix("").parts)).removesuffix(".__init__"): f for f in sources}
    files: dict[str, set[str]] = {file: set() for file in sources}
    rooms: dict[str, set[str]] = {}
    for file, source in sources.items():
        room = layer_of(Path(file).with_suffix("").parts)
        for item in imports_of(source, file, names=True):
            target = item.name if item.name in modules else item.name.rpartition(".")[0]
            if target in modules:
                files[file].add(modules[target])
                rooms.setdefault(room, set()).add(layer_of(Path(modules[target]).with_suffix("").parts))
    assert not circles(files)
    assert not circles({room: needs - {""} for room, needs in rooms.items() if room})


def test_few_file_names_stand_in_two_rooms():
    names = Counter(Path(file).name for file in package_files())
    twice = [name for name, count in names.items() if count > 1 and name not in ("__init__.py", "__main__.py")]
    assert len(twice) <= 4, sorted(twice)


@pytest.mark.parametrize("package", sorted(ONE_FILE))
def test_an_optional_runtime_has_one_owner(package):
    owners = {
        item.file for file, source in package_files().items() for item in imports_of(source, file)
        if item.name.split(".")[0] == package and not item.name.startswith(TOOLS)
    }  # fmt: skip
    assert len(owners) <= 1, f"{package} is imported by {sorted(owners)}"


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for path in FOLDER.rglob("*.py")}
    missing = sorted(str(folder.relative_to(FOLDER)) for folder in folders if not (folder / "__init__.py").is_file())
    assert not missing, f"find_packages would leave these out: {missing}"


def lean_modules() -> list[str]:
    """Return the modules that a robot without any optional package must be able to import."""
    modules = []
    for file, source in sorted(package_files().items()):
        if layer_of(Path(file).with_suffix("").parts) not in (*FOUNDATION, "metrics", "inference", "cli"):
            continue
        owned = {item.name.split(".")[0] for item in imports_of(source, file) if not item.inside_function}
        if owned & set(BLOCKED) or file.endswith("__main__.py"):
            continue
        parts = Path(file).with_suffix("").parts
        modules.append(".".join((PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts))))
    return modules


def test_the_lean_modules_import_without_any_optional_package():
    pytest.importorskip("numpy")
    modules = lean_modules()
    assert f"{PACKAGE}.core" in modules
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({BLOCKED!r}))\n"
        f"for name in {modules!r}:\n    importlib.import_module(name)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_the_package_itself_imports_nothing_heavy():
    program = (
        "import sys\n"
        f"import {PACKAGE}, {PACKAGE}.errors, {PACKAGE}.environment\n"
        f"sys.exit(any(name in sys.modules for name in {(*BLOCKED, 'numpy', 'cv2', 'yaml')!r}))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0
