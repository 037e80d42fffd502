# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Write a ROS 2 bag: mcap by default, sqlite3 for Humble machines without the mcap plug-in."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from dfd_perception.bags.messages import standard_types
from dfd_perception.core.closing import Closing
from dfd_perception.errors import DatasetError, RecordingError, reason_of

Compression = Literal["none", "storage", "message", "file"]

# Version 8 is what Jazzy writes; Humble and Iron read it too, and Jazzy does not read 9.
BAG_VERSION: Literal[8] = 8


COMMIT_PERIOD_S = 1.0
"""How much of a sqlite3 bag a killed process may lose."""


class _SqliteFile(Sqlite3Writer):
    """A .db3 file at exactly its path (`rosbags` takes a # for its end), written from one thread at a time, any one."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        if compression == CompressionMode.STORAGE:
            raise WriterError("sqlite3 cannot compress by chunks")
        self.path = path / f"{path.name}.db3"
        self.conn = sqlite3.connect(self.path, check_same_thread=False)
        self.conn.executescript(self.SQLITE_SCHEMA)
        self.cursor = self.conn.cursor()
        self._committed = time.monotonic()

    def write(self, connection: Connection, timestamp: int, data: bytes | memoryview) -> None:
        super().write(connection, timestamp, data)
        if time.monotonic() - self._committed >= COMMIT_PERIOD_S:
            self.conn.commit()
            self._committed = time.monotonic()


class _Writer(Writer):
    STORAGE_PLUGINS: Mapping[StoragePlugin, Any] = {**Writer.STORAGE_PLUGINS, StoragePlugin.SQLITE3: _SqliteFile}


class BagWriter(Closing):
    """A new bag; use it as a context manager, or its index is not written.

    Memory is flat: mcap goes to disk in chunks of 1 MiB.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        storage: Literal["mcap", "sqlite3"] = "mcap",
        compression: Compression = "none",
    ) -> None:
        """Create the bag's folder.

        Args:
            compression: none; storage (zstd chunks inside the mcap: any reader copes); message or file (rosbag2's own).

        Raises:
            DatasetError: the folder exists, or sqlite3 was asked to compress by chunks.
            RecordingError: the folder cannot be made.
        """
        self.path = Path(path)
        self.count = 0
        self._types = standard_types()
        self._connections: dict[str, Connection] = {}
        if compression == "storage" and storage != "mcap":
            raise DatasetError("compression 'storage' belongs to mcap; sqlite3 has 'message' and 'file'")
        try:
            self._writer = _Writer(self.path, version=BAG_VERSION, storage_plugin=StoragePlugin[storage.upper()])
            self._writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
            self._writer.open()
        except WriterError as error:
            raise DatasetError(f"{self.path}: {error}") from error
        except (OSError, sqlite3.Error) as error:
            raise RecordingError(f"{self.path}: cannot be made ({reason_of(error)}); choose another folder") from error

    def write(self, topic: str, msgtype: str, stamp_ns: int, message: Any) -> None:
        """Append a message.

        Args:
            topic: absolute name.
            msgtype: such as sensor_msgs/msg/Image.
            stamp_ns: time of recording.
            message: a record of `bags.messages` or of a BagReader, or its CDR bytes (of `raw_messages`, or of
                rclpy.serialization.serialize_message).

        Raises:
            DatasetError: a type that is not known, or another one on the same topic.
            RecordingError: it cannot be written (disk full).
        """
        if not isinstance(message, (bytes, bytearray, memoryview)):
            message = self._types.serialize_cdr(message, msgtype)
        try:
            self._writer.write(self._connection(topic, msgtype), stamp_ns, bytes(message))
        except (OSError, sqlite3.Error) as error:
            raise RecordingError(f"{self.path}: cannot be written ({reason_of(error)}); free some space") from error
        self.count += 1

    def _connection(self, topic: str, msgtype: str) -> Connection:
        connection = self._connections.get(topic)
        if connection is None:
            if msgtype not in self._types.fielddefs:
                raise DatasetError(f"{topic}: type {msgtype} is not among the standard ROS 2 types")
            connection = self._writer.add_connection(topic, msgtype, typestore=self._types)
            self._connections[topic] = connection
        elif connection.msgtype != msgtype:
            raise DatasetError(f"{topic}: holds {connection.msgtype}, cannot take {msgtype} too")
        return connection

    def close(self) -> None:
        """Write the index.

        Raises:
            RecordingError: it cannot be written (disk full); the messages before it can be read without.
        """
        if self._writer.storage is None:
            return
        try:
            self._writer.close()
        except (OSError, sqlite3.Error) as error:
            raise RecordingError(
                f"{self.path}: its index cannot be written ({reason_of(error)}); what was recorded can be read"
            ) from error
