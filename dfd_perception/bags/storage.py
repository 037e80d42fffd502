# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The storage files of a bag, found and opened one by one.

Each file is read with its own index rather than through the folder's metadata.yaml: that one is absent after a crash,
and where its QoS text differs from the file's (a bag rewritten by another ROS version) `rosbags` yields nothing. How a
file is packed is seen from its name and content: a recorder that was killed leaves its last split unpacked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from rosbags.interfaces import Connection
from rosbags.rosbag2.storage_mcap import McapReader

from dfd_perception.bags.mcap_recovery import CutMcap
from dfd_perception.bags.sqlite_storage import SqliteStorage
from dfd_perception.bags.unpacking import unpack_file
from dfd_perception.errors import ConfigError, DatasetError, counted
from dfd_perception.files.configuration import read_yaml

SUFFIXES = (".mcap", ".db3")
PACKED = ".zstd"
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".bz2", ".xz")
ROS_1_SUFFIX = ".bag"
ROS_1_START = b"#ROSBAG V"
NAMED_AT_MOST = 5


class Storage(Protocol):
    """What `rosbags` storages, `SqliteStorage` and `CutMcap` have in common."""

    connections: list[Connection]

    def messages(
        self, connections: Collection[Connection], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Messages of some connections, start <= stamp < stop."""

    def close(self) -> None:
        """Release the file."""


class OpenFile(NamedTuple):
    """One storage file, ready to read."""

    path: Path
    storage: Storage
    start_ns: int
    end_ns: int
    counts: dict[int, int]
    """Messages by connection id."""
    problem: str | None = None


class BagFiles(NamedTuple):
    """The files of a bag in playing order."""

    paths: list[Path]
    problem: str | None = None


def is_bag(path: Path) -> bool:
    """Whether a path is meant as a bag: a folder, a storage file, or a bag of ROS 1, which `find_files` refuses."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(_is_storage(file) for file in path.iterdir())
    return path.is_file() and (_is_storage(path) or path.suffix == ROS_1_SUFFIX)


def find_files(path: Path) -> BagFiles:
    """List the storage files of a bag folder or of a single file.

    Raises:
        DatasetError: nothing there that could be a bag; says what to give.
    """
    if path.is_file():
        if _is_storage(path):
            return BagFiles([path])
        raise DatasetError(f"{path}: {_what_it_is(path)}; expected a bag folder, or a file that ends in .mcap or .db3")
    if not path.exists():
        raise DatasetError(f"{path}: no such bag")
    if not path.is_dir():
        raise DatasetError(f"{path}: neither a folder nor a file; expected a bag")
    if not (path / "metadata.yaml").is_file():
        return _without_metadata(path, "metadata.yaml is missing (the recorder did not end well)")
    try:
        metadata = read_yaml(path / "metadata.yaml")["rosbag2_bagfile_information"]
        named = [path / PurePosixPath(name).name for name in metadata["relative_file_paths"]]
    except (ConfigError, KeyError, TypeError) as error:
        return _without_metadata(path, f"metadata.yaml is not readable ({error})")
    # Of a recorder that was killed while it packed, a file may have the one name or the other.
    files = [_present(file) for file in named]
    missing = [file.name for file, located in zip(named, files, strict=True) if located is None]
    if len(missing) == len(named):
        return _without_metadata(path, f"metadata.yaml names files that are not there ({', '.join(missing)})")
    problem = f"{', '.join(missing)} is missing" if missing else None
    return BagFiles([file for file in files if file is not None], problem)


def _present(file: Path) -> Path | None:
    other = file.with_suffix("") if file.suffix == PACKED else file.with_name(file.name + PACKED)
    return next((path for path in (file, other) if path.is_file()), None)


def _is_storage(path: Path) -> bool:
    return path.suffix in SUFFIXES or (path.suffix == PACKED and Path(path.stem).suffix in SUFFIXES)


def _what_it_is(path: Path) -> str:
    """A file that is no storage of ROS 2, in words."""
    if path.name == "metadata.yaml":
        return f"is the description of a bag; give its folder {path.absolute().parent}"
    if path.suffix in ARCHIVES:
        return "is an archive; unpack it and give the bag folder"
    with path.open("rb") as file:
        if file.read(len(ROS_1_START)) == ROS_1_START:
            return f"is a ROS 1 bag; convert it: rosbags-convert --src {path} --dst {path.with_suffix('')}"
    return "not a ROS 2 bag"


def _without_metadata(path: Path, problem: str) -> BagFiles:
    by_name = {p.name: p for p in path.iterdir() if _is_storage(p) and p.is_file()}
    # Packed and unpacked at once: the packer did not end.
    files = [p for name, p in by_name.items() if p.suffix != PACKED or p.stem not in by_name]
    if not files:
        within = sorted(p.name for p in path.iterdir() if p.is_dir() and any(_is_storage(f) for f in p.glob("*")))
        if within:
            shown = ", ".join(within[:NAMED_AT_MOST]) + (", ..." if len(within) > NAMED_AT_MOST else "")
            raise DatasetError(f"{path}: is a folder of bags; give one of them: {shown}")
        raise DatasetError(f"{path}: {problem}, and there is no .mcap or .db3 file")
    # bag_2 before bag_10
    files.sort(key=lambda p: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", p.name)])
    return BagFiles(files, problem)


def open_file(path: Path, scratch: Path) -> OpenFile:
    """Open one storage file; an mcap without its end is scanned for what it still holds.

    Args:
        path: of the file.
        scratch: folder for unpacked files.

    Raises:
        DatasetError: nothing of it can be read.
    """
    source = unpack_file(path, scratch) if path.suffix == PACKED else path
    if source.suffix == ".db3":
        try:
            database = SqliteStorage(source)
        except DatasetError as error:  # names what was unpacked, which nobody knows
            raise DatasetError(str(error).replace(str(source), str(path))) from error
        return OpenFile(path, database, database.start_ns, database.end_ns, database.counts, database.problem)
    reader = McapReader(source)
    try:
        reader.open()
    except Exception as error:  # classes of its own, and struct.error, TypeError or OverflowError for broken bytes
        return _open_cut(path, source, error)
    counts = {connection.id: connection.msgcount for connection in reader.connections}
    return OpenFile(path, reader, reader.metadata.start_time, reader.metadata.end_time, counts)


def _open_cut(path: Path, source: Path, error: Exception) -> OpenFile:
    try:
        cut = CutMcap(source)
    except (DatasetError, OSError) as second:
        raise DatasetError(f"{path}: cannot be read ({second})") from error
    problem = f"{path.name} is cut short ({error}); read up to the cut: {counted(sum(cut.counts.values()), 'message')}"
    return OpenFile(path, cut, cut.start_ns, cut.end_ns, cut.counts, problem)
