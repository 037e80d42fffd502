# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A line of `dfd doctor`, and what it ends with: the one thing to do, or what to try now that all is there."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dfd_perception.environment import Package, shipped_path

# How an import of a module compiled for NumPy 1 fails under NumPy 2 (the last line of its traceback).
NUMPY_1_SIGNS = ("numpy.core.multiarray failed to import", "_ARRAY_API not found", "compiled using NumPy 1")
NUMPY_1_ADVICE = 'pip install "numpy<2"'
RUNTIME_ADVICE = "pip install onnxruntime openvino"
CHECKOUT = Path(__file__).resolve().parents[2]
"""Where requirements/ lies, unless the package was installed without them (colcon, a wheel)."""


class Entry(NamedTuple):
    """One line of the report; `advice` says what to do when the status is not ok."""

    section: str
    name: str
    status: str
    detail: str
    advice: str = ""


def with_numpy_clash_named(packages: Mapping[str, Package]) -> dict[str, Package]:
    """The packages, with the reason in words for those that were compiled for NumPy 1 and find NumPy 2.

    pip puts a new NumPy over that of the distribution; cv2 and cv_bridge of apt were built for the one before.
    """
    numpy = packages["numpy"].version or ""
    return {name: _explained(package, numpy) for name, package in packages.items()}


def _explained(package: Package, numpy: str) -> Package:
    if numpy.startswith("1.") or not any(sign in (package.problem or "") for sign in NUMPY_1_SIGNS):
        return package
    spec = importlib.util.find_spec(package.name)
    place = f" in {spec.origin}" if spec is not None and spec.origin else ""
    return package._replace(problem=f"NumPy {numpy} over {package.name} of the distribution{place}, built for NumPy 1")


def is_numpy_clash(package: Package) -> bool:
    """Whether `with_numpy_clash_named` found the reason."""
    return (package.problem or "").endswith("built for NumPy 1")


def runnable(advice: str, distribution: str, checkout: Path = CHECKOUT) -> str:
    """Advice that works in the present folder: its requirement files named where they lie, or done without.

    Args:
        advice: written for the top folder of a checkout.
        distribution: what pip installs in place of a requirement file that is not there.
        checkout: that folder.
    """
    if not (checkout / "requirements").is_dir():
        return advice.replace("-c requirements/constraints.txt ", "").replace("-r requirements/train.txt", distribution)
    return advice if checkout == Path.cwd() else advice.replace("requirements/", f"{checkout}/requirements/")


def next_step(packages: Mapping[str, Package], first_missing: str | None, has_backend: bool) -> str:
    """The last line of the report: `ready: try COMMAND`, or `to do: COMMAND` with the one that comes first.

    Args:
        packages: what was found, by import name.
        first_missing: advice for the first required package that cannot be used; None if all can.
        has_backend: whether a backend can run a model here.
    """
    if first_missing is not None:
        return f"to do: {first_missing}"
    if not has_backend:
        return f"to do: {RUNTIME_ADVICE}"
    if packages["launch_ros"].usable:
        return "ready: try  ros2 launch dfd_perception dfd.launch.py image_topic:=/camera/image_raw"
    if packages["rosbags"].usable:
        demo = shipped_path("demo")
        options = f"--bag {demo}/scene_bag --lens {demo}/lens.yaml --out report"
        return f"ready: try  dfd evaluate --model 2hded-small {options}"
    return "ready: try  dfd predict PHOTO.jpg --model 2hded-small --out results"
