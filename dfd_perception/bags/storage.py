"""The storage files of a bag, found and opened one by one.

Each file is read with its own index rather than through the folder's metadata.yaml: that one is absent after a crash,
and where its QoS text differs from the file's (a bag rewritten by another ROS version) `rosbags` yields nothing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from rosbags.interfaces import Connection
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.storage_mcap import McapReader, zstd
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from dfd_perception.bags.mcap_recovery import CutMcap
from dfd_perception.errors import ConfigError, DatasetError
from dfd_perception.files.configuration import read_yaml

SUFFIXES = (".mcap", ".db3")


class Storage(Protocol):
    """What `rosbags` storages and `CutMcap` have in common."""

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
    message_compressed: bool
    problem: str | None = None


class BagFiles(NamedTuple):
    """The files of a bag in playing order, and how they are packed."""

    paths: list[Path]
    compression: str
    """'', 'file' or 'message'."""
    problem: str | None = None


def find_files(path: Path) -> BagFiles:
    """List the storage files of a bag folder or of a single file.

    Raises:
        DatasetError: nothing there that could be a bag.
    """
    if path.is_file():
        if path.suffix in SUFFIXES:
            return BagFiles([path], "")
        raise DatasetError(f"{path}: not a ROS 2 bag; expected a bag folder, or a file that ends in .mcap or .db3")
    if not path.is_dir():
        raise DatasetError(f"{path}: no such bag")
    if not (path / "metadata.yaml").is_file():
        return _without_metadata(path, "metadata.yaml is missing (the recorder did not end well)")
    try:
        metadata = read_yaml(path / "metadata.yaml")["rosbag2_bagfile_information"]
        names = [PurePosixPath(name).name for name in metadata["relative_file_paths"]]
        mode = str(metadata.get("compression_mode") or "").lower()
    except (ConfigError, KeyError, TypeError) as error:
        return _without_metadata(path, f"metadata.yaml is not readable ({error})")
    missing = [name for name in names if not (path / name).is_file()]
    if missing and len(missing) == len(names):
        return _without_metadata(path, f"metadata.yaml names files that are not there ({', '.join(missing)})")
    problem = f"{', '.join(missing)} is missing" if missing else None
    return BagFiles([path / n for n in names if n not in missing], "" if mode == "none" else mode, problem)


def _without_metadata(path: Path, problem: str) -> BagFiles:
    packed = [p for p in path.iterdir() if p.suffixes[-2:-1] and p.suffix == ".zstd" and p.suffixes[-2] in SUFFIXES]
    found = packed or [p for p in path.iterdir() if p.suffix in SUFFIXES]
    if not found:
        raise DatasetError(f"{path}: {problem}, and there is no .mcap or .db3 file")
    # bag_2 before bag_10
    found.sort(key=lambda p: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", p.name)])
    return BagFiles(found, "file" if packed else "", problem)


def open_file(path: Path, compression: str, scratch: Path) -> OpenFile:
    """Open one storage file; an mcap without its end is scanned for what it still holds.

    Args:
        compression: as `BagFiles.compression`.
        scratch: folder for unpacked files.

    Raises:
        DatasetError: nothing of it can be read.
    """
    source = _unpacked(path, scratch) if compression == "file" else path
    reader: Any = Sqlite3Reader(source) if source.suffix == ".db3" else McapReader(source)
    try:
        reader.open()
    except Exception as error:  # storages raise classes of their own, and struct.error or TypeError for broken bytes
        if source.suffix == ".db3":
            raise DatasetError(f"{path}: cannot be read ({error})") from error
        return _open_cut(path, source, compression, error)
    counts = {connection.id: connection.msgcount for connection in reader.connections}
    metadata = reader.metadata
    return OpenFile(path, reader, metadata.start_time, metadata.end_time, counts, compression == "message")


def _open_cut(path: Path, source: Path, compression: str, error: Exception) -> OpenFile:
    try:
        cut = CutMcap(source)
    except (ReaderError, ValueError, OSError) as second:
        raise DatasetError(f"{path}: cannot be read ({second})") from error
    problem = f"{path.name} is cut short ({error}); read up to the cut: {sum(cut.counts.values())} messages"
    return OpenFile(path, cut, cut.start_ns, cut.end_ns, cut.counts, compression == "message", problem)


def _unpacked(path: Path, scratch: Path) -> Path:
    target = scratch / path.stem
    try:
        with path.open("rb") as packed, zstd.open(packed, "rb") as source, target.open("wb") as out:
            shutil.copyfileobj(source, out)
    except EOFError:
        pass  # cut short: what was unpacked is read as far as it goes
    except zstd.ZstdError as error:
        raise DatasetError(f"{path}: cannot be unpacked ({error})") from error
    return target


def unpack_message(content: bytes) -> bytes:
    """Undo the compression of one message."""
    return zstd.decompress(content)
