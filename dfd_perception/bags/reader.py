# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Read a ROS 2 bag: mcap or sqlite3, a folder or a single file, compressed or split, whole or cut short.

    with BagReader(path) as bag:
        for topic, stamp_ns, msgtype, message in bag.messages(["/camera/image"]):
            ...

Messages come one at a time and nothing is kept, so memory does not grow with the bag.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rosbags.interfaces import Connection, ConnectionExtRosbag2

from dfd_perception.bags.messages import deserialised, types_of
from dfd_perception.bags.storage import OpenFile, find_files, open_file
from dfd_perception.bags.unpacking import unpack_message
from dfd_perception.core.closing import Closing
from dfd_perception.errors import DatasetError, reading, reason_of


class BagTopic(NamedTuple):
    """One topic of a bag."""

    name: str
    msgtype: str
    """Such as sensor_msgs/msg/Image."""
    message_count: int
    latched: bool
    """Offered with transient-local durability: a late subscriber gets the last message."""


class BagMessage(NamedTuple):
    """One message, decoded."""

    topic: str
    stamp_ns: int
    """When it was recorded; the header's stamp is in the message."""
    msgtype: str
    message: Any
    """A record with the message's fields; arrays are read-only numpy views."""


class RawMessage(NamedTuple):
    """One message as it travels: CDR bytes, which a publisher takes as they are."""

    topic: str
    stamp_ns: int
    msgtype: str
    content: bytes


class BagReader(Closing):
    """A bag opened for reading; several passes are possible."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the bag.

        Raises:
            DatasetError: no bag there, or nothing of it can be read.
        """
        self.path = Path(path)
        self.problems: list[str] = []
        """What could not be read, one line each; empty for a bag that is whole."""
        self._stack = ExitStack()
        try:
            with reading(self.path, DatasetError, "expected a ROS 2 bag"):
                self._files = self._opened()
                connections = [connection for file in self._files for connection in file.storage.connections]
                self._types = types_of(connections)
                self.topics = _topics(self._files)
                """Topics by name."""
        except BaseException:
            self._stack.close()
            raise

    def _opened(self) -> list[OpenFile]:
        search = find_files(self.path)
        if search.problem:
            self.problems.append(search.problem)
        scratch = Path(self._stack.enter_context(TemporaryDirectory(prefix="dfd_bag_")))
        files = []
        for path in search.paths:
            try:
                with reading(path, DatasetError):
                    file = open_file(path, scratch)
            except DatasetError as error:
                self.problems.append(str(error))
                continue
            self._stack.callback(file.storage.close)
            files.append(file)
            if file.problem:
                self.problems.append(file.problem)
        if not files:
            raise DatasetError(f"{self.path}: nothing can be read: {'; '.join(self.problems)}")
        return files

    @property
    def start_ns(self) -> int:
        """Stamp of the first message; 0 for an empty bag."""
        return min((file.start_ns for file in self._files if file.end_ns), default=0)

    @property
    def end_ns(self) -> int:
        """Just after the last message; 0 for an empty bag."""
        return max((file.end_ns for file in self._files), default=0)

    @property
    def duration_s(self) -> float:
        """Seconds from the first message to the last."""
        return max(0, self.end_ns - self.start_ns) * 1e-9

    @property
    def message_count(self) -> int:
        """Messages of all topics."""
        return sum(topic.message_count for topic in self.topics.values())

    def topics_of_type(self, *msgtypes: str) -> list[str]:
        """Names of the topics of some types that hold messages, in the order of the bag."""
        return [topic.name for topic in self.topics.values() if topic.msgtype in msgtypes and topic.message_count]

    def raw_messages(
        self, topics: Collection[str] | None = None, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[RawMessage]:
        """Messages as bytes, in time order, start_ns <= stamp < stop_ns.

        Raises:
            DatasetError: a topic that the bag does not have.
        """
        self._require(topics)
        for file in self._files:
            wanted = [c for c in file.storage.connections if topics is None or c.topic in topics]
            if not wanted:
                continue
            messages = file.storage.messages(wanted, start_ns, stop_ns)
            while True:
                try:
                    connection, stamp_ns, content = next(messages)
                except StopIteration:
                    break
                except Exception as error:  # whatever a storage makes of damaged bytes ends this file, not the bag
                    self._note(f"{file.path.name} is damaged ({reason_of(error)}); what follows in it is not read")
                    break
                try:
                    content = unpack_message(content)
                except DatasetError as error:
                    self._leave_out(connection.topic, error)
                    continue
                yield RawMessage(connection.topic, stamp_ns, connection.msgtype, content)

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Messages decoded, in time order, start_ns <= stamp < stop_ns.

        One that cannot be decoded is left out and noted in `problems`; when it is the first of its topic, the type is
        at fault and all are.

        Raises:
            DatasetError: a topic that the bag does not have, or whose type cannot be decoded.
        """
        decoded: set[str] = set()
        for topic, stamp_ns, msgtype, content in self.raw_messages(topics, start_ns, stop_ns):
            try:
                message = deserialised(self._types, content, msgtype)
            except DatasetError as error:
                if topic not in decoded:
                    raise DatasetError(f"topic {topic}: {error}") from error
                self._leave_out(topic, error)
                continue
            decoded.add(topic)
            yield BagMessage(topic, stamp_ns, msgtype, message)

    def close(self) -> None:
        """Release the files."""
        self._stack.close()

    def _require(self, topics: Collection[str] | None) -> None:
        unknown = [topic for topic in topics or () if topic not in self.topics]
        if unknown:
            known = ", ".join(f"{t.name} ({t.msgtype})" for t in self.topics.values()) or "none"
            raise DatasetError(f"{self.path}: no topic {', '.join(unknown)}; it has {known}")

    def _leave_out(self, topic: str, error: DatasetError) -> None:
        self._note(f"topic {topic}: {error}; such messages are left out")

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _topics(files: list[OpenFile]) -> dict[str, BagTopic]:
    topics: dict[str, BagTopic] = {}
    for file in files:
        for connection in file.storage.connections:
            known = topics.get(connection.topic)
            count = file.counts.get(connection.id, 0) + (known.message_count if known else 0)
            latched = _is_latched(connection) or bool(known and known.latched)
            topics[connection.topic] = BagTopic(connection.topic, connection.msgtype, count, latched)
    return topics


def _is_latched(connection: Connection) -> bool:
    extension = connection.ext
    if not isinstance(extension, ConnectionExtRosbag2):
        return False
    return any(profile.durability.name == "TRANSIENT_LOCAL" for profile in extension.offered_qos_profiles)
