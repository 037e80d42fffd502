# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A .db3 file of a bag, read with Python's own sqlite3.

`rosbags` opens it by an unquoted URI and as immutable: a `#`, `?` or `%` in the path names another file, and what a
killed recorder left in the write-ahead log beside it (NAME.db3-wal) is passed over in silence. Here both are read.
The tables are those of rosbag2_storage_sqlite3 (versions 1 to 4 of its schema).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import quote

from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.metadata import parse_qos

from dfd_perception.errors import DatasetError

FORMATS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}


class SqliteStorage:
    """One .db3 file; offers what `rosbags` storages offer.

    Args:
        path: the file.

    Raises:
        DatasetError: not a bag's database, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: str | None = None
        """What of it is not read."""
        self._database = self._opened()
        try:
            self.connections = self._connections()
            self.counts = {connection.id: connection.msgcount for connection in self.connections}
            first, last = self._database.execute("SELECT MIN(timestamp), MAX(timestamp) FROM messages").fetchone()
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            self._database.close()
            raise DatasetError(f"{path}: cannot be read ({error})") from error
        self.start_ns = 2**63 - 1 if first is None else int(first)
        self.end_ns = 0 if last is None else int(last) + 1

    def messages(
        self, connections: Collection[Connection], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Messages of some connections in time order, start <= stamp < stop."""
        wanted = {connection.id: connection for connection in connections}
        query = f"SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({','.join('?' * len(wanted))})"
        values: list[int] = list(wanted)
        for condition, bound in ((" AND timestamp >= ?", start), (" AND timestamp < ?", stop)):
            if bound is not None:
                query += condition
                values.append(bound)
        for topic, stamp_ns, content in self._database.execute(f"{query} ORDER BY timestamp, id", values):
            yield wanted[topic], stamp_ns, bytes(content)

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def _opened(self) -> sqlite3.Connection:
        """The database with its log, or, where the log cannot be read, without; `problem` then says so."""
        log = self.path.with_name(f"{self.path.name}-wal")
        waiting = log.is_file() and log.stat().st_size > 0
        refused: sqlite3.Error | None = None
        for mode in ("mode=ro", "mode=ro&immutable=1") if waiting else ("mode=ro&immutable=1",):
            try:
                # Bags are read in whatever thread evaluates, one at a time.
                database = sqlite3.connect(
                    f"file:{quote(str(self.path.absolute()))}?{mode}", uri=True, check_same_thread=False
                )
                database.execute("SELECT name FROM sqlite_master").fetchone()
            except sqlite3.Error as error:
                refused = refused or error
                continue
            if waiting and "immutable" in mode:
                self.problem = (
                    f"{log.name} holds messages that cannot be read here ({refused}); copy the bag with it to a folder "
                    "that you may write to"
                )
            return database
        raise DatasetError(f"{self.path}: cannot be read ({refused})")

    def _connections(self) -> list[Connection]:
        columns = {row[1] for row in self._database.execute("PRAGMA table_info(topics)")}
        if not columns or not self._database.execute("PRAGMA table_info(messages)").fetchone():
            raise ValueError("it has no tables topics and messages")
        qos = "offered_qos_profiles" if "offered_qos_profiles" in columns else "''"
        counts = dict(self._database.execute("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id").fetchall())
        definitions = self._definitions()
        query = f"SELECT id, name, type, serialization_format, {qos} FROM topics ORDER BY id"
        return [
            Connection(
                key,
                topic,
                msgtype,
                definitions.get(msgtype, MessageDefinition(MessageDefinitionFormat.NONE, "")),
                "",
                counts.get(key, 0),
                ConnectionExtRosbag2(serialisation, parse_qos(profiles) if profiles else []),
                self,
            )
            for key, topic, msgtype, serialisation, profiles in self._database.execute(query)
        ]

    def _definitions(self) -> dict[str, MessageDefinition]:
        """Definitions by type, in files since Iron."""
        if not self._database.execute("PRAGMA table_info(message_definitions)").fetchone():
            return {}
        query = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
        return {
            msgtype: MessageDefinition(FORMATS[encoding], text)
            for msgtype, encoding, text in self._database.execute(query)
            if encoding in FORMATS
        }
