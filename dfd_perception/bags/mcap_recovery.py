# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Reading an mcap file whose end is missing: a recorder that lost its power never wrote the index.

Records are read front to back, so everything up to the cut is found. The format is https://mcap.dev/spec.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2.storage_mcap import Schema, get_msgdef, get_qos

from dfd_perception.bags.unpacking import unpack_chunk
from dfd_perception.errors import DatasetError

MAGIC = b"\x89MCAP0\r\n"
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F


class Record(NamedTuple):
    """One record: its kind, its content, and whether all of the content is there."""

    kind: int
    content: bytes
    complete: bool


class CutMcap:
    """An mcap file without its index; offers what `rosbags` storages offer, for one pass at a time.

    Raises:
        DatasetError: not an mcap file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: list[Connection] = []
        self.counts: dict[int, int] = {}
        self.start_ns = 2**63 - 1
        self.end_ns = 0
        self._schemas: dict[int, Schema] = {}
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DatasetError("not an mcap file")
        for channel, stamp_ns, _ in self._scan():
            self.counts[channel] = self.counts.get(channel, 0) + 1
            self.start_ns, self.end_ns = min(self.start_ns, stamp_ns), max(self.end_ns, stamp_ns + 1)

    def close(self) -> None:
        """Nothing stays open between passes."""

    def messages(
        self, connections: Collection[Connection], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Messages in the order of the file."""
        wanted = {connection.id: connection for connection in connections}
        for channel, stamp_ns, content in self._scan():
            early, late = start is not None and stamp_ns < start, stop is not None and stamp_ns >= stop
            if channel in wanted and not early and not late:
                yield wanted[channel], stamp_ns, content

    def _scan(self) -> Iterator[tuple[int, int, bytes]]:
        with self.path.open("rb") as file:
            file.seek(len(MAGIC))
            for record in _records(file, self.path.stat().st_size):
                if record.kind == CHUNK:
                    for inner in _records_in(_chunk_content(record)):
                        yield from self._read(inner)
                else:
                    yield from self._read(record)
                if record.kind == DATA_END:
                    return

    def _read(self, record: Record) -> Iterator[tuple[int, int, bytes]]:
        if not record.complete:
            return
        if record.kind == MESSAGE and len(record.content) >= 22:
            channel, _, stamp_ns, _ = struct.unpack_from("<HIQQ", record.content)
            yield channel, stamp_ns, record.content[22:]
            return
        try:
            if record.kind == SCHEMA:
                (key,) = struct.unpack_from("<H", record.content)
                name, encoding, data = _strings(record.content[2:], 3)
                self._schemas[key] = Schema(key, name.decode(), encoding.decode(), data.decode())
            elif record.kind == CHANNEL:
                self._add_channel(record.content)
        except (struct.error, UnicodeDecodeError, KeyError, ValueError):
            return  # a damaged description; its messages have no topic then, the others are read

    def _add_channel(self, content: bytes) -> None:
        key, schema_key = struct.unpack_from("<HH", content)
        if key in {connection.id for connection in self.connections}:
            return
        topic, encoding, metadata = _strings(content[4:], 3)
        schema = self._schemas.get(schema_key)
        extension = ConnectionExtRosbag2(encoding.decode(), get_qos(metadata))
        name = schema.name if schema else ""
        self.connections.append(Connection(key, topic.decode(), name, get_msgdef(schema), "", 0, extension, self))


def _records(file: BinaryIO, size: int) -> Iterator[Record]:
    while len(head := file.read(9)) == 9:
        kind, length = struct.unpack("<BQ", head)
        # A damaged length must not be asked for: it can be larger than any memory.
        content = file.read(min(length, size - file.tell()))
        yield Record(kind, content, len(content) == length)


def _records_in(content: bytes) -> Iterator[Record]:
    position = 0
    while position + 9 <= len(content):
        kind, length = struct.unpack_from("<BQ", content, position)
        start = position + 9
        position = start + length
        yield Record(kind, content[start:position], position <= len(content))


def _chunk_content(record: Record) -> bytes:
    """What a chunk holds; of one that is cut short, what can still be unpacked; of a damaged one nothing."""
    if len(record.content) < 40:
        return b""
    _, _, size, checksum, name_length = struct.unpack_from("<QQQII", record.content)
    compression = record.content[32 : 32 + name_length].decode("ascii", "replace")
    packed = record.content[32 + name_length + 8 :]
    try:
        content = unpack_chunk(packed, compression, size)
    except Exception:  # what zstd and lz4 make of damaged bytes: go on with the next chunk
        return b""
    damaged = record.complete and (len(content) != size or (checksum and crc32(content) != checksum))
    return b"" if damaged else content


def _strings(content: bytes, count: int) -> list[bytes]:
    """The first `count` length-prefixed byte strings."""
    strings, position = [], 0
    for _ in range(count):
        (length,) = struct.unpack_from("<I", content, position)
        strings.append(content[position + 4 : position + 4 + length])
        position += 4 + length
    return strings
