# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One row a frame: its measures, and sums that add up to those of the set.

A JSON line each, so that a run that was stopped goes on, and rows of several processes or machines make one report:
`RowIndex` puts them back into one order.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dfd_perception.errors import ConfigError, writing

Key = tuple[str, str, int]
"""Variant ("model" or a baseline), unit, index."""


@dataclass(kw_only=True)
class FrameRow:
    """Everything that the report needs of one frame and one variant. Sections without truth are None."""

    variant: str
    unit: str
    index: int
    name: str
    stamp_ns: int | None = None
    answered: bool = False
    """Whether there was a prediction at all."""
    latency_s: dict[str, float] = field(default_factory=dict)
    answered_fraction: float | None = None
    """Share of all pixels with a valid depth; None when the model gives no depth."""
    range_m: list[float] | None = None
    """5th, 50th and 95th percentile of the predicted depth."""
    depth: dict[str, float] | None = None
    truth_pixels: int = 0
    depth_pixels: int = 0
    log_scale: list[float] | None = None
    """Sum of ln(p / t), sum of its square, median of p / t."""
    deblurred: dict[str, float] | None = None
    image_pixels: int = 0
    image_windows: int = 0
    defocus: dict[str, float] | None = None
    defocus_pixels: int = 0
    distance: dict[str, list[float]] = field(default_factory=dict)
    coc: dict[str, list[float]] = field(default_factory=dict)
    z: list[int] | None = None
    sample: str | None = None
    truth: dict[str, int] | None = None
    border: list[float] | None = None
    """BorderSums of the blur map."""
    plaid: list[float] | None = None
    """PlaidPower of the blur map."""
    windows: str | None = None
    """Of an aperture pair: base64 of float32 (n, bins.WINDOW_COLUMNS)."""

    @property
    def key(self) -> Key:
        """Identity of the row."""
        return self.variant, self.unit, self.index

    def line(self) -> str:
        """As one line of JSON; numbers come back exactly as they were."""
        content = {name: value for name, value in vars(self).items() if value not in (None, {}, [])}
        return json.dumps(content, separators=(",", ":")) + "\n"

    @classmethod
    def from_line(cls, text: str) -> FrameRow:
        """Read `line`."""
        return cls(**json.loads(text))


KEY_PATTERN = re.compile(rb'\{"variant":("(?:[^"\\]|\\.)*"),"unit":("(?:[^"\\]|\\.)*"),"index":(\d+),')
"""The fields that come first in `FrameRow.line`."""


class RowFile:
    """Rows of one worker on disk, appended as they come.

    The first line says which evaluation they belong to; a last line that was cut off (a kill, a full disk) is dropped.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        """Open for appending.

        Raises:
            ConfigError: the file belongs to another evaluation.
        """
        self.path = path
        self._identity = json.loads(json.dumps(identity))
        self.done: set[Key] = set()
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # One without a row is of an evaluation that failed before its first frame: nothing of it is worth keeping.
            if path.is_file() and next(scan_rows(path), None) is not None:
                self._resume()
            else:
                path.write_text(json.dumps({"evaluation": self._identity}) + "\n", "utf-8")
            self._file = path.open("a", encoding="utf-8")

    def _resume(self) -> None:
        kept = 0
        with self.path.open("rb") as file:
            require_identity(self.path, file.readline(), self._identity)
            kept = file.tell()
        for key, offset, length in scan_rows(self.path):
            self.done.add(key)
            kept = offset + length
        os.truncate(self.path, kept)

    def add(self, rows: list[FrameRow]) -> None:
        """Append the rows of one frame; the model's, which says that the frame is done, comes last."""
        with writing(self.path):
            self._file.write("".join(row.line() for row in reversed(rows)))
            self._file.flush()
        self.done.update(row.key for row in rows)

    def close(self) -> None:
        """Release the file; one without a row is removed, and the folders with it that hold nothing else."""
        with writing(self.path):
            self._file.close()
        if self.done or next(scan_rows(self.path), None) is not None:
            return
        with contextlib.suppress(OSError):
            self.path.unlink()
            for folder in (self.path.parent, self.path.parent.parent):
                folder.rmdir()


def require_identity(path: Path, header: bytes, identity: dict[str, Any]) -> None:
    """Compare the first line of a row file.

    Raises:
        ConfigError: the rows belong to another evaluation.
    """
    if _identity_of(header) != json.loads(json.dumps(identity)):
        raise ConfigError(
            f"{path.parent.parent} holds another evaluation (another model, data or protocol); "
            "give another --out, or --overwrite to begin anew"
        )


def require_rows_of(folder: Path, identity: dict[str, Any]) -> None:
    """Compare the first line of every row file in `folder`, if there are any.

    Raises:
        ConfigError: the rows belong to another evaluation.
    """
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            require_identity(path, file.readline(), identity)


def scan_rows(path: Path) -> Iterator[tuple[Key, int, int]]:
    """Key, place and length [bytes] of each whole row of a file, without reading its figures."""
    with path.open("rb") as file:
        offset = len(file.readline())
        for line in file:
            key_match = KEY_PATTERN.match(line)
            if key_match is None or not line.endswith(b"}\n"):
                return
            variant, unit, index = (json.loads(part) for part in key_match.groups())
            yield (variant, unit, index), offset, len(line)
            offset += len(line)


def _identity_of(line: bytes) -> Any:
    try:
        return json.loads(line)["evaluation"]
    except (ValueError, KeyError, TypeError):
        return None


class RowIndex:
    """All rows of one variant, in the order of units and frames; a frame that two workers did counts once.

    The order of units is that of the evaluation, not that of their names.
    Holds a few numbers a frame, never the rows themselves.
    """

    def __init__(self, files: list[Path], variant: str, units: list[str]) -> None:
        order = {unit: position for position, unit in enumerate(units)}
        self._files = files
        places: dict[tuple[int, int], tuple[int, int]] = {}  # file and offset by place of the unit and frame
        for number, path in enumerate(files):
            for (of_row, unit, frame), offset, _ in scan_rows(path):
                if of_row == variant:
                    key = (order.setdefault(unit, len(order)), frame)
                    places.setdefault(key, (number, offset))
        self._places = [places[key] for key in sorted(places)]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[FrameRow]:
        with contextlib.ExitStack() as stack:
            handles = [stack.enter_context(path.open("rb")) for path in self._files]
            for number, offset in self._places:
                handles[number].seek(offset)
                yield FrameRow.from_line(handles[number].readline().decode())


def variants_of(files: list[Path]) -> list[str]:
    """Variants that have rows, "model" first, the others by name."""
    variants = {variant for path in files for (variant, _, _), _, _ in scan_rows(path)}
    return sorted(variants, key=lambda name: (name != "model", name))
