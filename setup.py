# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Installs dfd_perception: by colcon (ament_python) and by pip. The version is the one of package.xml."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from setuptools import find_packages, setup

NAME = "dfd_perception"
HERE = Path(__file__).resolve().parent
SHARE = f"share/{NAME}"


def version() -> str:
    """Return the version that package.xml states."""
    text = ElementTree.parse(HERE / "package.xml").getroot().findtext("version")
    if not text:
        raise SystemExit("package.xml has no <version>")
    return text.strip()


def requirements(group: str) -> list[str]:
    """Return the package names of requirements/GROUP.txt, without versions (constraints.txt holds those)."""
    lines = (HERE / "requirements" / f"{group}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in (line.split("#")[0].strip() for line in lines) if line]


def shared_files(folder: str) -> list[tuple[str, list[str]]]:
    """Return the data files of a top-level folder with its sub-folders kept, as setuptools wants them.

    setuptools does not walk folders, and colcon runs from the package's root: all paths are relative to it.
    """
    found = []
    for path, folders, names in os.walk(HERE / folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        relative = Path(path).relative_to(HERE)
        files = [str(relative / name) for name in sorted(names) if not name.endswith(".pyc")]
        if files:
            found.append((f"{SHARE}/{relative.as_posix()}", files))
    return found


setup(
    name=NAME,
    version=version(),
    description="Metric depth and a deblurred image from one defocused image of a monocular camera",
    license="Apache-2.0",
    maintainer="dfd_perception maintainers",
    maintainer_email="dfd-perception@example.com",
    packages=find_packages(include=[NAME, f"{NAME}.*"], exclude=["test", "test.*"]),
    package_data={NAME: ["py.typed", "**/*.html", "**/*.json", "**/*.css", "**/*.js", "**/*.yaml", "**/frames/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
        *shared_files("launch"),
        *shared_files("config"),
        *shared_files("models"),
        *shared_files("rviz"),
        *shared_files("demo"),
    ],
    python_requires=">=3.10",
    # rosdep installs what package.xml names; pip's users choose an extra: pip install '.[runtime]'
    install_requires=["setuptools"],
    extras_require={
        "runtime": requirements("runtime"),
        "train": requirements("train"),
        # compiled for NumPy 1: give it an environment of its own (make test-kinect)
        "kinect": ["pyk4a-bundle==1.5.0", "numpy<2"],
        "test": requirements("test"),
    },
    zip_safe=True,
    entry_points={
        "console_scripts": [
            "dfd = dfd_perception.cli.__main__:main",
            "dfd_node = dfd_perception.ros.depth_node.dfd_node:main",
            "ground_truth_recorder = dfd_perception.ros.recorder_node.recorder_node:main",
        ],
    },
)
