# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Rows of all workers, put back into one order and folded into the sets of the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dfd_perception.evaluation.scoring.pooling import PooledSet
from dfd_perception.evaluation.scoring.rows import FrameRow, scan_rows


class RowPlace(NamedTuple):
    """Where a row lies on disk."""

    file: int
    offset: int


class RowIndex:
    """All rows of one variant, in the order of units and frames; a frame that two workers did counts once.

    The order of units is that of the evaluation, not that of their names.
    Holds a few numbers a frame, never the rows themselves.
    """

    def __init__(self, files: list[Path], variant: str, units: list[str]) -> None:
        order = {unit: position for position, unit in enumerate(units)}
        self._files = files
        places: dict[tuple[int, int], RowPlace] = {}
        for number, path in enumerate(files):
            for (of_row, unit, frame), offset, _ in scan_rows(path):
                if of_row == variant:
                    key = (order.setdefault(unit, len(order)), frame)
                    places.setdefault(key, RowPlace(number, offset))
        self._places = [places[key] for key in sorted(places)]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[FrameRow]:
        handles = [path.open("rb") for path in self._files]
        try:
            for place in self._places:
                handle = handles[place.file]
                handle.seek(place.offset)
                yield FrameRow.from_line(handle.readline().decode())
        finally:
            for handle in handles:
                handle.close()


def variants_of(files: list[Path]) -> list[str]:
    """Variants that have rows, "model" first, the others by name."""
    variants = {variant for path in files for (variant, _, _), _, _ in scan_rows(path)}
    return sorted(variants, key=lambda name: (name != "model", name))


def pooled(rows: RowIndex) -> PooledSet:
    """Fold in order: the same rows give the same numbers bit for bit."""
    total = PooledSet()
    for row in rows:
        total.add(row)
    return total
