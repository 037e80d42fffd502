# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The part of Matroska (RFC 9559) that an Azure Kinect recording uses: tracks, tags, attachments, blocks. Read only.

A recording is read as a stream: memory does not grow with its length, and of one that was cut off (power loss) all
whole blocks are given. No library is needed, so that recordings open wherever Python runs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dfd_perception.core.closing import Closing
from dfd_perception.errors import DatasetError, reading

EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
INFO, TIMECODE_SCALE = 0x1549A966, 0x2AD7B1
TRACKS, TRACK_ENTRY, TRACK_NUMBER, TRACK_NAME, CODEC_PRIVATE = 0x1654AE6B, 0xAE, 0xD7, 0x536E, 0x63A2
VIDEO, WIDTH, HEIGHT = 0xE0, 0xB0, 0xBA
ATTACHMENTS, ATTACHED_FILE, FILE_NAME, FILE_DATA = 0x1941A469, 0x61A7, 0x466E, 0x465C
TAGS, TAG, SIMPLE_TAG, TAG_NAME, TAG_STRING = 0x1254C367, 0x7373, 0x67C8, 0x45A3, 0x4487
CLUSTER_TIME, BLOCK_GROUP, BLOCK, SIMPLE_BLOCK = 0xE7, 0xA0, 0xA1, 0xA3

FOURCC_AT = 16
"""Where a BITMAPINFOHEADER (the private data of V_MS/VFW/FOURCC) names the format."""

LARGEST_NUMBER_BYTES = 8

EXPECTED = "expected an Azure Kinect recording, the .mkv of k4arecorder or pyk4a"

LARGEST_HEADER_BYTES = 64_000_000
"""Tags and attachments are kilobytes; a longer one is damage, and must not be read into memory."""


class Block(NamedTuple):
    """One image as stored: name of its track, time since the start of the recording [ns], bytes."""

    track: str
    time_ns: int
    payload: bytes


@dataclass
class Track:
    """A video track: its name, size [px] and four-letter format."""

    name: str
    width: int
    height: int
    fourcc: str


@dataclass
class _Header:
    scale_ns: int = 1_000_000
    tracks: dict[int, Track] = field(default_factory=dict)
    attachments: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class MatroskaFile(Closing):
    """An open recording: `tracks`, `tags` and `attachments` at once, then its blocks in the order stored.

    Raises:
        DatasetError: absent, or not Matroska.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_file():
            raise DatasetError(f"{path} is no file; give an Azure Kinect recording")
        with reading(path, DatasetError, EXPECTED):
            self._file: BinaryIO = path.open("rb")
        self._length = path.stat().st_size
        self._header = _Header()
        try:
            with reading(path, DatasetError, EXPECTED):
                self._read_header()
        except DatasetError:
            self._file.close()
            raise
        self.tracks = {track.name: track for track in self._header.tracks.values()}
        self.tags = self._header.tags
        self.attachments = self._header.attachments

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _read_header(self) -> None:
        element = self._element()
        if element is None or element[0] != EBML:
            raise DatasetError(f"{self.path} is not Matroska; expected the .mkv that k4arecorder or pyk4a wrote")
        self._skip(element[1])
        clusters_from: int | None = None
        while (element := self._element()) is not None:
            identity, size = element
            if identity == SEGMENT:
                continue
            if identity == CLUSTER and clusters_from is None:
                clusters_from = self._element_from
                if self._header.tracks and self._header.tags and self._header.attachments:
                    break
            if identity in (INFO, TRACKS, ATTACHMENTS, TAGS) and size <= LARGEST_HEADER_BYTES:
                self._keep(identity, self._file.read(size))
            else:  # mkvmerge puts tags behind the clusters: those are passed over
                self._skip(size)
        if clusters_from is None:
            raise DatasetError(f"{self.path} holds no images: the recording ended before its first frame")
        self._file.seek(clusters_from)

    def _skip(self, size: int) -> None:
        """Past the body of an element; a damaged size ends at the file's end."""
        self._file.seek(min(self._file.tell() + size, self._length))

    def _keep(self, identity: int, body: bytes) -> None:
        if identity == INFO:
            for name, value in _children(body):
                if name == TIMECODE_SCALE:
                    self._header.scale_ns = int.from_bytes(value, "big")
        elif identity == TRACKS:
            for name, value in _children(body):
                if name == TRACK_ENTRY:
                    self._keep_track(dict(_children(value)))
        elif identity == ATTACHMENTS:
            files = [dict(_children(value)) for name, value in _children(body) if name == ATTACHED_FILE]
            self._header.attachments.update(
                {_text(part[FILE_NAME]): part[FILE_DATA] for part in files if FILE_NAME in part and FILE_DATA in part}
            )
        else:
            for name, tag in _children(body):
                simple = [dict(_children(v)) for n, v in _children(tag) if n == SIMPLE_TAG] if name == TAG else []
                self._header.tags.update(
                    {_text(part[TAG_NAME]): _text(part.get(TAG_STRING, b"")) for part in simple if TAG_NAME in part}
                )

    def _keep_track(self, entry: dict[int, bytes]) -> None:
        if VIDEO not in entry:
            return
        video = dict(_children(entry[VIDEO]))
        if TRACK_NUMBER not in entry or WIDTH not in video or HEIGHT not in video:
            return  # damaged
        private = entry.get(CODEC_PRIVATE, b"")
        self._header.tracks[int.from_bytes(entry[TRACK_NUMBER], "big")] = Track(
            name=_text(entry.get(TRACK_NAME, b"")),
            width=int.from_bytes(video[WIDTH], "big"),
            height=int.from_bytes(video[HEIGHT], "big"),
            fourcc=private[FOURCC_AT : FOURCC_AT + 4].decode("ascii", "replace"),
        )

    def _element(self) -> tuple[int, int] | None:
        """Identity and size of the element at the file's position, which moves to its body; None at the end."""
        self._element_from = self._file.tell()
        identity = _number(self._file, keep_marker=True)
        size = _number(self._file, keep_marker=False) if identity is not None else None
        if identity is None or size is None:
            return None
        return identity, size if size >= 0 else self._length - self._file.tell()

    def blocks(self, names: set[str]) -> Iterator[Block]:
        """Every whole block of the named tracks; others are skipped without being read."""
        wanted = {number: track.name for number, track in self._header.tracks.items() if track.name in names}
        cluster_time = 0
        while (element := self._element()) is not None:
            identity, size = element
            if identity in (CLUSTER, BLOCK_GROUP, SEGMENT):
                continue  # their children follow
            if identity == CLUSTER_TIME:
                cluster_time = int.from_bytes(self._file.read(min(size, LARGEST_NUMBER_BYTES)), "big")
            elif identity in (BLOCK, SIMPLE_BLOCK):
                end = self._file.tell() + size
                if end > self._length:
                    return  # cut off
                number = _number(self._file, keep_marker=False)
                head = self._file.read(3)
                if number is None or len(head) < 3:
                    return  # cut off
                relative, flags = struct.unpack(">hB", head)
                if flags & 0x06:
                    raise DatasetError(
                        f"{self.path} uses lacing, which Azure Kinect recordings do not; recode it without"
                    )
                if number in wanted:
                    time_ns = (cluster_time + relative) * self._header.scale_ns
                    yield Block(wanted[number], time_ns, self._file.read(end - self._file.tell()))
                self._file.seek(end)
            else:
                self._skip(size)


def _number(file: BinaryIO, keep_marker: bool) -> int | None:
    """A number of variable length; None at the end of the file, -1 for "size not known"."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    raw = first + file.read(length - 1)
    if len(raw) < length:
        return None
    value = int.from_bytes(raw, "big")
    if keep_marker:
        return value
    value &= (1 << (7 * length)) - 1
    return -1 if value == (1 << (7 * length)) - 1 else value


def _children(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Identity and body of every element within one that lies in memory."""
    position = 0
    while position < len(body):
        length = 9 - body[position].bit_length()
        identity = int.from_bytes(body[position : position + length], "big")
        position += length
        if position >= len(body) or not body[position]:
            return
        length = 9 - body[position].bit_length()
        size = int.from_bytes(body[position : position + length], "big") & ((1 << (7 * length)) - 1)
        position += length
        yield identity, body[position : position + size]
        position += size


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "replace")
