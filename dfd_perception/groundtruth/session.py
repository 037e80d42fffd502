# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A session while it is recorded: NAME/raw/, raw images and depth with their calibration, before registration.

Format 1:

    NAME/raw/session.json           format, what was recorded from, the parts that every moment has, counts at the end
    NAME/raw/calibration.yaml       of the rig, when it was known (groundtruth/rig/rig_calibration.py)
    NAME/raw/depth/STEM.png         uint16 millimetres in the depth camera's own pixels, 0 where there is none
    NAME/raw/image/STEM.png|jpg     the robot camera's image                      (when there is such a camera)
    NAME/raw/colour/STEM.jpg|png    the depth sensor's own colour image           (when it has one)
    NAME/raw/aif/STEM.png|jpg       the robot camera's image at small aperture    (static pairs)
    NAME/raw/frames.csv             see session_index.py

STEM is the image's time stamp [ns], so that files tell when they were taken even without the index. A file appears
under its name when it is complete; rows are handed to the system at once and to the disk once a second: a killed
process loses nothing that was written, a power failure the last second.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.clock import FrameStamps
from dfd_perception.core.image_bytes import jpeg_bytes, png_bytes
from dfd_perception.errors import DatasetError, ImageError, RecordingError, reading, reason_of
from dfd_perception.files.atomic import replacing
from dfd_perception.groundtruth.session_index import (
    INDEX_NAME,
    IndexRow,
    hold,
    index_text,
)

FORMAT = 1
RAW = "raw"
DESCRIPTION_NAME = "session.json"
PARTS = ("depth", "image", "colour", "aif")

PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
"""1280 x 720 colour takes 44 ms and 0.88 MB on one core; zlib's own strategy 50 ms and 0.97 MB at its fastest, 233 ms
and 0.81 MB at level 6. 640 x 576 depth takes 9 ms and 0.14 MB either way (benchmarks/recording.py measures it)."""

JPEG_QUALITY = 98
"""4 ms and 0.25 MB. Blur is measured by fine detail, which lower qualities take away first."""

SYNC_PERIOD_S = 1.0
MEGABYTE = 1_000_000

StoredImage = NDArray[np.uint8] | NDArray[np.uint16] | bytes
"""(H, W, 3) uint8 RGB, (H, W) uint8 or uint16, or the bytes of a JPEG that is kept as it is."""


@dataclass(frozen=True, kw_only=True)
class RecordedMoment:
    """What belongs together: depth, and whichever images there are. `image_ns` is the image's stamp [ns]."""

    parts: dict[str, StoredImage]
    stamps: FrameStamps
    image_ns: int | None = None

    @property
    def stem(self) -> str:
        """Time stamp by which the files are named: of the image, else the best of the depth frame."""
        stamps = (self.image_ns, self.stamps.ros_ns, self.stamps.arrival_ns, self.stamps.device_ns)
        known = [stamp for stamp in stamps if stamp is not None]
        if not known:
            raise DatasetError("a frame without any time stamp cannot be recorded; its source must give one")
        return f"{known[0]:019d}"

    def row(self) -> IndexRow:
        """Its row of the index."""
        depth_mm = self.parts["depth"]
        offset_ms = None
        if self.image_ns is not None and self.stamps.ros_ns is not None:
            offset_ms = (self.stamps.ros_ns - self.image_ns) * 1e-6
        fraction = float(np.count_nonzero(depth_mm) / max(1, np.size(depth_mm)))
        return IndexRow(stem=self.stem, stamps=self.stamps, offset_ms=offset_ms, valid_fraction=fraction)


@dataclass(kw_only=True)
class SessionDescription:
    """session.json. `parts` are in every moment; `counts` is filled at the end and empty after a crash."""

    source: str
    parts: tuple[str, ...]
    format: int = FORMAT
    started_ns: int = field(default_factory=time.time_ns)
    notes: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "depth" not in self.parts or not set(self.parts) <= set(PARTS):
            raise DatasetError(f"session has parts {list(self.parts)}; expected depth and any of {PARTS[1:]}")

    def write(self, raw: Path) -> None:
        """Replace session.json in one step."""
        body = json.dumps(vars(self) | {"parts": list(self.parts)}, indent=2, sort_keys=True)
        write_complete(raw / DESCRIPTION_NAME, body.encode() + b"\n")

    @classmethod
    def read(cls, session: Path) -> SessionDescription:
        """Of a session folder.

        Raises:
            DatasetError: not a session, or one of another format.
        """
        path = session / RAW / DESCRIPTION_NAME
        if not path.is_file():
            raise DatasetError(f"{session} is not a recorded session: {RAW}/{DESCRIPTION_NAME} is missing")
        with reading(path, DatasetError, "restore it, or record anew"):
            body = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(body, dict) or body.get("format") != FORMAT:
                version = body.get("format") if isinstance(body, dict) else type(body).__name__
                raise DatasetError(f"{path} is of format {str(version)[:60]}; this version reads {FORMAT}")
            unknown = set(body) - {field.name for field in fields(cls)}
            if unknown:
                raise DatasetError(f"{path} has unknown keys {', '.join(sorted(unknown))}; restore it, or record anew")
            return cls(**body | {"parts": tuple(body["parts"])})


def remove_unwritten(session: Path) -> None:
    """Remove a session that was begun and holds no moment, so that its name is free for the next try."""
    shutil.rmtree(session / RAW, ignore_errors=True)
    with contextlib.suppress(OSError):  # something else is in it, or it cannot be removed
        session.rmdir()


def write_complete(path: Path, body: bytes) -> None:
    """Write a file so that it is complete or absent, whenever the process ends; `SessionWriter` syncs many at once."""
    with replacing(path, durable=False) as file:
        file.write(body)


def packed(image: StoredImage, lossless: bool) -> tuple[str, bytes]:
    """Suffix and bytes of an image; depth is always PNG, JPEG bytes stay as they are."""
    if isinstance(image, bytes):
        return ".jpg", image
    try:
        if lossless or image.dtype == np.uint16:
            return ".png", png_bytes(image, PNG_OPTIONS)
        return ".jpg", jpeg_bytes(np.asarray(image, np.uint8), JPEG_QUALITY)
    except ImageError as error:
        raise RecordingError(f"an image {image.shape} of {image.dtype} cannot be packed") from error


class SessionWriter:
    """Writes moments into a new session; every method may be called from any thread.

    Args:
        session: folder to make; its raw/ must not exist yet.
        description: see SessionDescription.
        texts: files of text for raw/, for example the calibration: {"calibration.yaml": "..."}.
        lossless: images as PNG, else JPEG. Depth is always PNG.
        least_free_mb: recording ends while so much of the disk is still free.

    Raises:
        DatasetError: there is such a session already.
        RecordingError: the folder cannot be written.
    """

    def __init__(
        self,
        session: Path,
        description: SessionDescription,
        texts: dict[str, str] | None = None,
        lossless: bool = True,
        least_free_mb: float = 500.0,
    ) -> None:
        self.session, self.raw, self.description = session, session / RAW, description
        self._lossless, self._least_free = lossless, least_free_mb * MEGABYTE
        self._lock = threading.Lock()
        self._unsynced: list[Path] = []
        self._last_sync = time.monotonic()
        self.written, self.written_bytes = 0, 0
        if self.raw.exists():
            raise DatasetError(f"{self.raw} exists; name a new session, recordings are never overwritten")
        try:
            for part in description.parts:
                (self.raw / part).mkdir(parents=True)
            description.write(self.raw)
            for name, text in (texts or {}).items():
                write_complete(self.raw / name, text.encode())
            self._index = (self.raw / INDEX_NAME).open("ab", buffering=0)
            hold(self._index)
            self._index.write(index_text([]).encode())
        except OSError as error:
            remove_unwritten(session)
            raise RecordingError(f"{session} cannot be written: {reason_of(error)}; choose another folder") from error

    def free_bytes(self) -> int:
        """Free space of the disk, for a user without special rights; 0 where the session is gone."""
        try:
            disk = os.statvfs(self.raw)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def write(self, moment: RecordedMoment) -> None:
        """Pack and write one moment; its row follows its files.

        Raises:
            RecordingError: the disk is full, or fails. What was written before stays readable.
        """
        if set(moment.parts) != set(self.description.parts):
            raise DatasetError(f"moment has {sorted(moment.parts)}, the session {sorted(self.description.parts)}")
        if not self.raw.is_dir():
            raise RecordingError(
                f"{self.raw} is gone (removed, or its disk was unplugged): recording has stopped. Begin a new session"
            )
        if self.free_bytes() < self._least_free:
            raise RecordingError(
                f"less than {self._least_free / MEGABYTE:.0f} MB are free at {self.session}: recording has stopped. "
                "Make room, or record to another disk"
            )
        bodies = {part: packed(image, self._lossless) for part, image in moment.parts.items()}
        paths: list[Path] = []
        try:
            for part, (suffix, body) in bodies.items():
                paths.append(self.raw / part / (moment.stem + suffix))
                write_complete(paths[-1], body)
            self._append(moment.row(), paths)
        except OSError as error:
            for path in paths:
                path.unlink(missing_ok=True)
            raise RecordingError(
                f"{self.session} cannot be written any more ({reason_of(error)}): recording has stopped, what was "
                "recorded before is whole. Make room, or record to another disk"
            ) from error
        with self._lock:
            self.written += 1
            self.written_bytes += sum(len(body) for _, body in bodies.values())

    def _append(self, row: IndexRow, paths: list[Path]) -> None:
        line = index_text([row], with_header=False).encode()
        with self._lock:
            end = self._index.tell()
            if self._index.write(line) != len(line):  # a full disk takes a part of it
                self._index.truncate(end)
                raise OSError(28, "No space left on device")
            self._unsynced += paths
            due = time.monotonic() - self._last_sync >= SYNC_PERIOD_S
            unsynced, self._unsynced = (self._unsynced, []) if due else ([], self._unsynced)
            if due:
                self._last_sync = time.monotonic()
        if due:
            self._to_disk(unsynced)

    def _to_disk(self, paths: list[Path]) -> None:
        """Files first, then the rows that name them."""
        folders = {path.parent for path in paths}
        for path in [*paths, *folders]:
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        os.fsync(self._index.fileno())

    def close(self, counts: dict[str, Any] | None = None) -> None:
        """Bring everything to the disk and note the counts. A disk that is full by now keeps what it has."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, []
        try:
            self._to_disk([path for path in unsynced if path.exists()])
            self.description.counts = {"moments": self.written, **(counts or {})}
            self.description.write(self.raw)
        except OSError as error:
            raise RecordingError(f"{self.session}: the counts could not be noted ({reason_of(error)})") from error
        finally:
            self._index.close()
