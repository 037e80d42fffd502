# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Bags as they are found: odd names, killed recorders, packed without a description, damaged, and made to do harm."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="no rosbags in this environment")

from rosbags.rosbag2.storage_mcap import zstd
from rosbags.typesys import get_types_from_msg

from dfd_perception.bags import messages as message_types
from dfd_perception.bags.messages import image_message
from dfd_perception.bags.reader import BagReader
from dfd_perception.bags.unpacking import ALWAYS_UNPACKED_BYTES
from dfd_perception.bags.writer import BagWriter
from dfd_perception.errors import DatasetError, RecordingError

IMAGE = "sensor_msgs/msg/Image"
SECOND = 1_000_000_000


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (20, 30, 3), np.uint8)


def write_bag(path: Path, storage="mcap", compression="none", count=6) -> Path:
    with BagWriter(path, storage, compression) as bag:
        for number in range(count):
            bag.write("/image", IMAGE, number * SECOND, image_message(picture(number), "rgb8", number * SECOND, "cam"))
    return path


def file_of(bag: Path) -> Path:
    return next(p for p in bag.iterdir() if p.name != "metadata.yaml")


def read(path: Path) -> tuple[list[int], list[str]]:
    with BagReader(path) as bag:
        return [int(m.message.data[0]) for m in bag.messages(["/image"])], list(bag.problems)


def firsts(count: int) -> list[int]:
    return [int(picture(number).reshape(-1)[0]) for number in range(count)]


@pytest.mark.parametrize("name", ["lab 3 #2", "50%25 done", "what? bag", "Küche 台所", "a+b&c;d'e"])
def test_a_path_is_a_path(tmp_path, name):
    """Written and read where it was asked for, whatever its name means in a URI."""
    bag = write_bag(tmp_path / name, "sqlite3")
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]
    assert read(bag) == (firsts(6), [])


@pytest.mark.fault
def test_a_killed_recorder_leaves_a_log_that_is_read(tmp_path):
    bag = write_bag(tmp_path / "bag", "sqlite3", count=2)
    others = write_bag(tmp_path / "others", "sqlite3", count=6)
    script = """
import os, sqlite3, sys
into, source = (sqlite3.connect(path, isolation_level=None) for path in sys.argv[1:])
into.execute("pragma journal_mode=wal")
into.execute("pragma wal_autocheckpoint=0")
for row in source.execute("select topic_id, timestamp, data from messages where timestamp >= 2000000000"):
    into.execute("insert into messages(topic_id, timestamp, data) values(?, ?, ?)", row)
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", script, file_of(bag), file_of(others)], check=False)
    (bag / "metadata.yaml").unlink()
    assert Path(f"{bag / 'bag.db3'}-wal").stat().st_size > 0
    values, problems = read(bag)
    assert values == firsts(6)
    assert problems == ["metadata.yaml is missing (the recorder did not end well)"]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compression", ["message", "file"])
def test_packed_bags_need_no_description(tmp_path, storage, compression):
    bag = write_bag(tmp_path / "bag", storage, compression)
    (bag / "metadata.yaml").unlink()
    values, problems = read(bag)
    assert values == firsts(6)
    assert problems == ["metadata.yaml is missing (the recorder did not end well)"]
    assert read(file_of(bag)) == (firsts(6), [])


def test_of_a_packer_that_was_killed_the_unpacked_file_is_read(tmp_path):
    bag = write_bag(tmp_path / "bag", "sqlite3", "file")
    packed = file_of(bag)
    plain = packed.with_suffix("")
    plain.write_bytes(zstd.decompress(packed.read_bytes()))
    packed.write_bytes(packed.read_bytes()[:100])
    (bag / "metadata.yaml").unlink()
    assert read(bag)[0] == firsts(6)
    packed.unlink()
    assert read(bag)[0] == firsts(6)


def test_sqlite_is_written_by_another_thread_than_made_it(tmp_path):
    bag = BagWriter(tmp_path / "bag", "sqlite3")
    failed: list[BaseException] = []

    def write() -> None:
        try:
            bag.write("/image", IMAGE, 0, image_message(picture(0), "rgb8", 0, "cam"))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    bag.close()
    assert failed == []
    assert read(tmp_path / "bag")[0] == firsts(1)


@pytest.mark.fault
def test_a_killed_sqlite_recording_keeps_what_was_committed(tmp_path, monkeypatch):
    monkeypatch.setattr("dfd_perception.bags.writer.COMMIT_PERIOD_S", 0.0)
    bag = BagWriter(tmp_path / "bag", "sqlite3")
    for number in range(3):
        bag.write("/image", IMAGE, number * SECOND, image_message(picture(number), "rgb8", 0, "cam"))
    # Not closed: another process reads what lies on the disk.
    values, _ = read(tmp_path / "bag")
    assert values == firsts(3)
    bag.close()


@pytest.mark.fault
def test_a_full_disk_is_said_in_one_line(tmp_path, monkeypatch):
    connect = sqlite3.connect

    def connect_to_little_space(*args, **options):
        database = connect(*args, **options)
        database.execute("pragma max_page_count=8")
        return database

    monkeypatch.setattr(sqlite3, "connect", connect_to_little_space)
    bag = BagWriter(tmp_path / "bag", "sqlite3")
    big = image_message(np.zeros((200, 300, 3), np.uint8), "rgb8", 0, "cam")
    with pytest.raises(RecordingError, match=r"bag: cannot be written \(database or disk is full\)"):
        bag.write("/image", IMAGE, 0, big)


def test_one_damaged_message_costs_one_message(tmp_path):
    bag = write_bag(tmp_path / "bag", "sqlite3")
    with sqlite3.connect(file_of(bag)) as database:
        database.execute("update messages set data = substr(data, 1, 30) where timestamp = ?", (2 * SECOND,))
    values, problems = read(bag)
    expected = firsts(6)
    assert values == expected[:2] + expected[3:]
    assert len(problems) == 1
    assert "topic /image: message of type sensor_msgs/msg/Image cannot be decoded" in problems[0]
    assert problems[0].endswith("such messages are left out")


def test_a_bags_own_definition_cannot_take_fields_away(tmp_path):
    """A type that is called sensor_msgs/msg/Image and has no `step` is read by the standard's definition or refused."""
    bag = write_bag(tmp_path / "bag", "sqlite3")
    with sqlite3.connect(file_of(bag)) as database:
        (text,) = database.execute("select encoded_message_definition from message_definitions").fetchone()
        database.execute("update message_definitions set encoded_message_definition = ?",
                         (text.replace("uint32 step\n", ""),))  # fmt: skip
    assert read(bag)[0] == firsts(6)
    short = get_types_from_msg("uint32 height", IMAGE)[IMAGE]
    assert "step" in message_types.lacking(short, message_types.standard_types().fielddefs[IMAGE])


def with_chunk(bag: Path, content: bytes, size: int) -> None:
    """Put a chunk of our own before the first one of an mcap."""
    body = struct.pack("<QQQI", 0, 1, size, zlib.crc32(b"")) + struct.pack("<I", 4) + b"zstd"
    body += struct.pack("<Q", len(content)) + content
    whole = file_of(bag).read_bytes()
    start = 8 + 9 + struct.unpack_from("<Q", whole, 9)[0]
    # Without its index, so that the file is scanned from the front.
    file_of(bag).write_bytes(whole[:start] + b"\x06" + struct.pack("<Q", len(body)) + body + whole[start:-40])


def peak_growth_mb(action) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    action()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def bomb(size: int) -> bytes:
    packer = zstd.ZstdCompressor()
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def test_a_bomb_of_a_file_fills_neither_disk_nor_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("dfd_perception.bags.unpacking.ALWAYS_UNPACKED_BYTES", 8 << 20)
    packed = tmp_path / "bomb.mcap.zstd"
    packed.write_bytes(bomb(64 << 20))
    with pytest.raises(DatasetError, match=r"hold more than \d+ MB, which no recording does"):
        BagReader(packed)
    assert list(tmp_path.iterdir()) == [packed]


@pytest.mark.parametrize("states", [64 << 20, 1000], ids=["says so", "lies"])
def test_a_bomb_of_a_chunk_is_left_out(tmp_path, monkeypatch, states):
    monkeypatch.setattr("dfd_perception.bags.unpacking.ALWAYS_UNPACKED_BYTES", 8 << 20)
    bag = write_bag(tmp_path / "chunk")
    with_chunk(bag, bomb(64 << 20), states)
    found: list = []
    assert peak_growth_mb(lambda: found.extend(read(bag))) < 30
    assert found[0] == firsts(6)


def test_a_bomb_of_a_message_is_left_out(tmp_path, monkeypatch):
    assert ALWAYS_UNPACKED_BYTES < 300_000_000
    monkeypatch.setattr("dfd_perception.bags.unpacking.ALWAYS_UNPACKED_BYTES", 8 << 20)
    bag = write_bag(tmp_path / "message", "sqlite3")
    with sqlite3.connect(file_of(bag)) as database:
        database.execute("update messages set data = ? where timestamp = 0", (bomb(64 << 20),))
    found: list = []
    assert peak_growth_mb(lambda: found.extend(read(bag))) < 30
    assert found[0] == firsts(6)[1:]
    assert "holds more than" in found[1][0]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compression", ["none", "file", "message"])
def test_flipped_bytes_end_in_one_line_or_fewer_messages(tmp_path, storage, compression):
    bag = write_bag(tmp_path / "bag", storage, compression)
    file = file_of(bag)
    whole = file.read_bytes()
    rng = np.random.default_rng(5)
    for turn in range(8):
        damaged = bytearray(whole)
        for _ in range(1 + turn % 5):
            # Half of them where lengths and tables are.
            end = len(damaged) if turn % 2 else min(len(damaged), 400)
            damaged[int(rng.integers(end))] = int(rng.integers(256))
        file.write_bytes(bytes(damaged) if turn % 3 else bytes(damaged)[: int(rng.integers(len(damaged)))])
        try:
            with BagReader(bag) as reader:
                for topic in reader.topics:
                    list(reader.raw_messages([topic]))
                    list(reader.messages([topic]))
        except DatasetError as error:
            message = str(error)
        else:
            message = ""
        assert "\n" not in message


def test_what_is_no_bag_is_named_with_what_to_give(tmp_path):
    bag = write_bag(tmp_path / "day" / "run_0")
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n" + bytes(100))
    (tmp_path / "bag.zip").write_bytes(b"PK\3\4")
    os.mkfifo(tmp_path / "pipe.mcap")
    for path, says in (
        (tmp_path / "old.bag", r"ROS 1 bag; convert it: rosbags-convert --src .*old\.bag"),
        (tmp_path / "bag.zip", "an archive; unpack it"),
        (bag / "metadata.yaml", "give its folder .*run_0"),
        (tmp_path / "day", "a folder of bags; give one of them: run_0"),
        (tmp_path / "pipe.mcap", "neither a folder nor a file"),
    ):
        with pytest.raises(DatasetError, match=says):
            BagReader(path)


@pytest.mark.parametrize(
    "text",
    ["rosbag2_bagfile_information: 2024-13-45", "[" * 5000, "a: &a [*a]", "\t",
     "rosbag2_bagfile_information: {relative_file_paths: 5}",
     "rosbag2_bagfile_information: {relative_file_paths: [../../../etc/passwd]}"],
    ids=["date", "deep", "loop", "tab", "number", "outside"],
)  # fmt: skip
def test_a_hostile_description_is_passed_over(tmp_path, text):
    bag = write_bag(tmp_path / "bag")
    (bag / "metadata.yaml").write_text(text)
    values, problems = read(bag)
    assert values == firsts(6)
    assert "metadata.yaml" in problems[0]


@pytest.mark.parametrize("packed", [False, True])
def test_a_database_that_quotes_itself_is_refused_in_one_line_by_its_own_name(tmp_path, packed):
    bag = write_bag(tmp_path / "bag", "sqlite3", count=2)
    file = file_of(bag)
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA writable_schema = 1")
        database.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE topics('' TEXT,\n\x1b[2J other TEXT)'")
    if packed:
        file.with_name(f"{file.name}.zstd").write_bytes(zstd.compress(file.read_bytes()))
        file.unlink()
    with pytest.raises(DatasetError) as refused:
        read(bag)
    said = str(refused.value)
    assert "malformed database schema" in said
    assert said.isprintable()
    assert "dfd_bag_" not in said
