# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""frames.csv of a session: one row a moment, appended while recording, rebuilt from the files after a crash."""

from __future__ import annotations

import csv
import fcntl
import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from dfd_perception.core.clock import FrameStamps
from dfd_perception.core.image_header import read_header
from dfd_perception.errors import DatasetError, ImageError, writing
from dfd_perception.files.atomic import PARTIAL_SUFFIX, write_text

COLUMNS = ("stem", "device_ns", "arrival_ns", "ros_ns", "offset_ms", "valid_fraction")
INDEX_NAME = "frames.csv"


@dataclass(frozen=True, kw_only=True)
class IndexRow:
    """One recorded moment.

    stamps: of the depth frame [ns]. offset_ms: depth stamp minus image stamp, None without an image of its own.
    valid_fraction: part of the depth pixels that hold a depth, None where the index had to be rebuilt without it.
    """

    stem: str
    stamps: FrameStamps
    offset_ms: float | None
    valid_fraction: float | None

    def cells(self) -> list[str]:
        """The row as text, in the order of COLUMNS; what is not known stays empty."""
        stamps = (self.stamps.device_ns, self.stamps.arrival_ns, self.stamps.ros_ns)
        numbers = ["" if stamp is None else str(stamp) for stamp in stamps]
        offset = "" if self.offset_ms is None else f"{self.offset_ms:.3f}"
        fraction = "" if self.valid_fraction is None else f"{self.valid_fraction:.4f}"
        return [self.stem, *numbers, offset, fraction]

    @classmethod
    def from_cells(cls, cells: dict[str, str]) -> IndexRow:
        """The inverse of `cells`.

        Raises:
            ValueError: a cell is missing or is no number (a line torn by a crash).
        """
        stamps = [int(cells[name]) if cells[name] else None for name in COLUMNS[1:4]]
        offset, fraction = cells["offset_ms"], cells["valid_fraction"]
        return cls(
            stem=cells["stem"],
            stamps=FrameStamps(device_ns=stamps[0], arrival_ns=stamps[1], ros_ns=stamps[2]),
            offset_ms=float(offset) if offset else None,
            valid_fraction=float(fraction) if fraction else None,
        )


def index_text(rows: list[IndexRow], with_header: bool = True) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if with_header:
        writer.writerow(COLUMNS)
    writer.writerows(row.cells() for row in rows)
    return text.getvalue()


def read_index(path: Path) -> list[IndexRow]:
    """The whole rows of an index; a torn or damaged line is left out. An absent file has none.

    Raises:
        DatasetError: it is not an index at all.
    """
    if not path.exists():
        return []
    text = path.read_bytes().decode("utf-8", "replace")
    lines = text.split("\n")[:-1]  # what follows the last line feed was not written to its end
    if lines and lines[0].split(",") != list(COLUMNS):
        raise DatasetError(f"{path} begins with {lines[0][:80]!r}; expected {','.join(COLUMNS)}")
    rows = []
    for line in lines[1:]:
        try:
            cells = next(csv.reader([line]))
            rows.append(IndexRow.from_cells(dict(zip(COLUMNS, cells, strict=True))))
        except (ValueError, csv.Error, StopIteration):
            continue
    return rows


class RebuiltIndex(NamedTuple):
    """Rows in order of time, and what was done to get there."""

    rows: list[IndexRow]
    recovered: int
    """Moments whose files were whole but which the index did not have."""
    lost: int
    """Moments that lack a file, or have a damaged one."""
    partial_files: int
    """Half-written files that were removed."""


def rebuild_index(folder: Path, parts: tuple[str, ...]) -> RebuiltIndex:
    """Bring frames.csv into agreement with the files, after a crash or at any time.

    Args:
        folder: holds frames.csv and one folder for each part.
        parts: every moment has a file in each of these.

    Files of lost moments stay where they are, for a person to look at; the index no longer names them.

    Raises:
        DatasetError: somebody writes it: a recorder that runs, or the same command once more.
    """
    with _held(folder):
        return _rebuilt(folder, parts)


def hold(index: IO[Any]) -> None:
    """Hold an open frames.csv until it is closed, or its process ends however it ends.

    Raises:
        BlockingIOError: somebody else holds it.
    """
    try:
        fcntl.flock(index, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # a file system without locks


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    path = folder / INDEX_NAME
    with writing(folder), path.open("rb") if path.exists() else nullcontext() as index:
        try:
            if index is not None:
                hold(index)
        except BlockingIOError:
            raise DatasetError(
                f"{folder} is being written, by a recorder or by the same command once more; end it, or wait for it"
            ) from None
        yield


def _rebuilt(folder: Path, parts: tuple[str, ...]) -> RebuiltIndex:
    partial = sorted([*folder.glob(f"*{PARTIAL_SUFFIX}"), *folder.glob(f"*/*{PARTIAL_SUFFIX}")])
    for path in partial:
        path.unlink()
    known = {row.stem: row for row in read_index(folder / INDEX_NAME)}
    stems = [{path.stem for path in (folder / part).glob("*") if is_complete(path)} for part in parts]
    complete = set.intersection(*stems) if stems else set()
    stems_present = set(known).union(*stems)
    rows = [known.get(stem) or _row_of_stem(stem) for stem in sorted(complete)]
    write_text(folder / INDEX_NAME, index_text(rows))
    return RebuiltIndex(rows, len(complete - set(known)), len(stems_present - complete), len(partial))


def is_complete(path: Path) -> bool:
    """Whether a PNG or JPEG was written to its end, which a camera's padding may follow."""
    try:
        return read_header(path.read_bytes()).length is not None
    except (ImageError, OSError):
        return False


def _row_of_stem(stem: str) -> IndexRow:
    """What the name alone tells: stems are stamps [ns]."""
    digits = stem.split("_")[-1]
    stamps = FrameStamps(ros_ns=int(digits)) if digits.isdigit() else FrameStamps()
    return IndexRow(stem=stem, stamps=stamps, offset_ms=None, valid_fraction=None)
