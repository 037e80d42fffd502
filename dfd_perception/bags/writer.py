"""Write a ROS 2 bag: mcap by default, sqlite3 for Humble machines without the mcap plug-in."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError

from dfd_perception.bags.messages import standard_types
from dfd_perception.errors import DatasetError, RecordingError

Compression = Literal["none", "storage", "message", "file"]

# Version 8 is what Jazzy writes; Humble and Iron read it too, and Jazzy does not read 9.
BAG_VERSION: Literal[8] = 8


class BagWriter:
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
        """
        self.path = Path(path)
        self.count = 0
        self._types = standard_types()
        self._connections: dict[str, Connection] = {}
        if compression == "storage" and storage != "mcap":
            raise DatasetError("compression 'storage' belongs to mcap; sqlite3 has 'message' and 'file'")
        try:
            self._writer = Writer(self.path, version=BAG_VERSION, storage_plugin=StoragePlugin[storage.upper()])
            self._writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
            self._writer.open()
        except WriterError as error:
            raise DatasetError(f"{self.path}: {error}") from error

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
        connection = self._connection(topic, msgtype)
        if not isinstance(message, (bytes, bytearray, memoryview)):
            message = self._types.serialize_cdr(message, msgtype)
        try:
            self._writer.write(connection, stamp_ns, bytes(message))
        except OSError as error:
            raise RecordingError(f"{self.path}: cannot be written ({error})") from error
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
        """Write the index."""
        if self._writer.storage is not None:
            self._writer.close()

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Also after an error: a bag with the frames up to it is worth more than none.
        self.close()
