# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Collect the photographs that the shipped model's scenes are textured with, from packages of permissive licence.

    python docs/collect_textures.py FOLDER

It asks pip for five packages, without installing them or anything that they need, and unpacks their photographs (not
their renderings, icons, normal maps and images of unclear origin). docs/training-data.md has the licences.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class Source(NamedTuple):
    """A package and which of its images are taken: all below a size, or those named."""

    requirement: str
    only: tuple[str, ...] = ()


SOURCES = (
    Source("miniworld==2.1.0"),
    Source("robosuite==1.5.2"),
    Source("metaworld==3.1.1"),
    Source(
        "scikit-image==0.16.2",
        ("astronaut.png", "brick.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
         "motorcycle_left.png", "rocket.jpg"),
    ),
    Source("scikit-learn==1.9.1", ("china.jpg", "flower.jpg")),
)  # fmt: skip
SUFFIXES = (".jpg", ".jpeg", ".png")
SMALLEST_BYTES = 30_000
NO_PHOTOGRAPHS = ("normal", "/logo", "screenshot", "rough", "metal_ao", "_n.png", "/docs", "icon", "ao.", "disp")


def main() -> None:
    """Download, unpack, count."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for source in SOURCES:
            package = downloaded(source.requirement, Path(folder))
            taken: set[str] = set()  # metaworld holds four images twice
            for name, content in members(package):
                if wanted(name, len(content), source.only):
                    prefix = source.requirement.partition("==")[0].replace("-", "_")
                    (out / f"{prefix}__{PurePosixPath(name).name}").write_bytes(content)
                    taken.add(PurePosixPath(name).name)
            print(f"{source.requirement}: {len(taken)} images")
            package.unlink()


def downloaded(requirement: str, folder: Path) -> Path:
    """The package's wheel; nothing is built or run."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    # scikit-image 0.16.2, the last with its images inside, has no wheel for a Python of today: one for 3.7 will do.
    command.append("--only-binary=:all:")
    for version in ([], ["--python-version", "3.7"]):
        done = subprocess.run([*command, *version, requirement], check=False, capture_output=True)
        if done.returncode == 0:
            break
    found = sorted(path for path in folder.iterdir() if path.suffix == ".whl")
    if not found:
        raise SystemExit(f"pip cannot download {requirement}")
    return found[0]


def members(package: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every image in a wheel."""
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            if name.lower().endswith(SUFFIXES):
                yield name, archive.read(name)


def wanted(name: str, size: int, only: tuple[str, ...]) -> bool:
    """Whether an image is a photograph to take."""
    if only:
        return PurePosixPath(name).name in only
    return size >= SMALLEST_BYTES and not any(part in name.lower() for part in NO_PHOTOGRAPHS)


if __name__ == "__main__":
    main()
