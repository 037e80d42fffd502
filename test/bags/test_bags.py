# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Bags written and read back, in every packing, and broken ones."""

from __future__ import annotations

import resource
import shutil

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="no rosbags in this environment")

from dfd_perception.bags.messages import camera_info_message, image_message
from dfd_perception.bags.reader import BagReader
from dfd_perception.bags.storage import is_bag
from dfd_perception.bags.writer import BagWriter
from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.errors import DatasetError
from dfd_perception.files.configuration import read_yaml, write_yaml

SECOND = 1_000_000_000
IMAGE = "sensor_msgs/msg/Image"
PACKINGS = [("mcap", "none"), ("mcap", "storage"), ("mcap", "message"), ("mcap", "file"),
            ("sqlite3", "none"), ("sqlite3", "message"), ("sqlite3", "file")]  # fmt: skip


def pixels(number: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def write_bag(path, count=4, first=0, storage="mcap", compression="none", height=40, width=60):
    camera = CameraIntrinsics(width=width, height=height, fx=50, fy=51, cx=29, cy=20)
    with BagWriter(path, storage, compression) as bag:
        for number in range(first, first + count):
            stamp_ns = number * SECOND + 5
            image = image_message(pixels(number, height, width), "rgb8", stamp_ns, "camera_optical")
            bag.write("/image", IMAGE, stamp_ns, image)
            info = camera_info_message(camera, stamp_ns, "camera_optical")
            bag.write("/camera_info", "sensor_msgs/msg/CameraInfo", stamp_ns, info)
    return path


def storage_file(bag):
    return next(p for p in bag.iterdir() if p.name != "metadata.yaml")


@pytest.mark.parametrize(("storage", "compression"), PACKINGS)
def test_a_bag_is_known_by_its_folder_and_by_its_file(tmp_path, storage, compression):
    folder = write_bag(tmp_path / "bag", storage=storage, compression=compression)
    assert is_bag(folder)
    assert is_bag(storage_file(folder))
    (folder / "metadata.yaml").unlink()
    assert is_bag(folder)
    assert not is_bag(tmp_path)
    assert not is_bag(tmp_path / "nothing")


@pytest.mark.parametrize(("storage", "compression"), PACKINGS)
def test_what_is_written_is_read(tmp_path, storage, compression):
    bag_path = write_bag(tmp_path / "bag", storage=storage, compression=compression)
    with BagReader(bag_path) as bag:
        assert bag.problems == []
        assert bag.topics["/image"] == ("/image", IMAGE, 4, False)
        assert bag.duration_s == pytest.approx(3)
        read = list(bag.messages(["/image"]))
        info = next(bag.messages(["/camera_info"])).message
    assert [m.stamp_ns for m in read] == [number * SECOND + 5 for number in range(4)]
    for number, message in enumerate(m.message for m in read):
        assert (message.height, message.width, message.step) == (40, 60, 180)
        assert message.header.frame_id == "camera_optical"
        assert header_stamp_ns(message.header) == number * SECOND + 5
        assert np.array_equal(message.data.reshape(40, 60, 3), pixels(number))
    assert info.k.tolist() == [50, 0, 29, 0, 51, 20, 0, 0, 1]


def test_a_time_window_and_a_second_pass(tmp_path):
    with BagReader(write_bag(tmp_path / "bag")) as bag:
        window = [m.stamp_ns for m in bag.raw_messages(["/image"], start_ns=SECOND + 5, stop_ns=3 * SECOND + 5)]
        assert window == [SECOND + 5, 2 * SECOND + 5]
        assert len(list(bag.raw_messages())) == len(list(bag.raw_messages())) == 8


def test_a_single_mcap_file_needs_no_folder(tmp_path):
    alone = shutil.copy(storage_file(write_bag(tmp_path / "bag")), tmp_path / "alone.mcap")
    with BagReader(alone) as bag:
        assert bag.problems == []
        assert bag.message_count == 8


def test_a_split_bag_reads_through_even_without_its_metadata(tmp_path):
    whole = write_bag(tmp_path / "split", count=2)
    storage_file(whole).rename(whole / "split_2.mcap")
    later = storage_file(write_bag(tmp_path / "later", count=3, first=2))
    shutil.copy(later, whole / "split_10.mcap")
    metadata = read_yaml(whole / "metadata.yaml")
    metadata["rosbag2_bagfile_information"]["relative_file_paths"] = ["split_2.mcap", "split_10.mcap"]
    write_yaml(whole / "metadata.yaml", metadata)
    expected = [number * SECOND + 5 for number in range(5)]
    with BagReader(whole) as bag:
        assert bag.problems == []
        assert [m.stamp_ns for m in bag.messages(["/image"])] == expected
    (whole / "metadata.yaml").unlink()
    with BagReader(whole) as bag:
        assert "metadata.yaml is missing" in bag.problems[0]
        assert [m.stamp_ns for m in bag.messages(["/image"])] == expected


@pytest.mark.parametrize("compression", ["none", "storage"])
@pytest.mark.parametrize("kept", [0.35, 0.8, 0.99])
def test_a_cut_mcap_gives_what_is_before_the_cut(tmp_path, compression, kept):
    # 300 KiB an image: four to a chunk
    bag_path = write_bag(tmp_path / "bag", count=12, compression=compression, height=320, width=320)
    file = storage_file(bag_path)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    with BagReader(bag_path) as bag:
        assert "cut short" in bag.problems[0]
        read = list(bag.messages(["/image"]))
        assert len(read) == bag.topics["/image"].message_count
    # All but the image in which the cut lies (and, in the compressed bag, zstd's last block).
    assert len(read) >= int(12 * kept) - 1
    for number, message in enumerate(m.message for m in read):
        assert np.array_equal(message.data.reshape(320, 320, 3), pixels(number, 320, 320))


def test_a_damaged_sqlite_file_is_refused_or_read_in_part_but_never_crashes(tmp_path):
    bag_path = write_bag(tmp_path / "bag", storage="sqlite3", count=12, height=100, width=100)
    file = storage_file(bag_path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    try:
        bag = BagReader(bag_path)
    except DatasetError:
        return
    with bag:
        assert len(list(bag.messages(["/image"]))) < 12
        assert "damaged" in bag.problems[0]


def test_messages_can_go_from_bag_to_bag_as_bytes(tmp_path):
    with BagReader(write_bag(tmp_path / "bag")) as bag, BagWriter(tmp_path / "copy", "sqlite3") as copy:
        for message in bag.raw_messages():
            copy.write(message.topic, message.msgtype, message.stamp_ns, message.content)
    with BagReader(tmp_path / "copy") as bag:
        assert np.array_equal(next(bag.messages(["/image"])).message.data, pixels(0).reshape(-1))


def test_arrays_are_views_of_the_bytes_that_were_read(tmp_path):
    with BagReader(write_bag(tmp_path / "bag", count=1)) as bag:
        data = next(bag.messages(["/image"])).message.data
    assert data.dtype == np.uint8
    assert not data.flags.owndata


def test_memory_does_not_grow_with_the_bag(tmp_path):
    # 60 MB of images; the peak may rise by a few chunks only.
    bag_path = write_bag(tmp_path / "bag", count=65, height=480, width=640)
    with BagReader(bag_path) as bag:
        next(bag.messages(["/image"]))
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen = sum(message.message.data.nbytes for message in bag.messages(["/image"]))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert seen == 65 * 480 * 640 * 3
    assert grown_kib < 20_000


@pytest.mark.parametrize("name", ["rosbag2_talker", "rosbag2_topics/topics_and_services.db3"])
def test_bags_recorded_by_ros(shared_data, name):
    with BagReader(shared_data / "bags" / name) as bag:
        assert bag.problems == []
        assert len(list(bag.raw_messages())) == bag.message_count > 0
        texts = bag.topics_of_type("std_msgs/msg/String", "rcl_interfaces/msg/ParameterEvent")
        assert len(list(bag.messages(texts))) > 0


def test_errors_name_the_file_and_what_there_is(tmp_path):
    with pytest.raises(DatasetError, match="no such bag"):
        BagReader(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"no \.mcap or \.db3"):
        BagReader(tmp_path / "empty")
    (tmp_path / "text.mcap").write_text("no bag at all")
    with pytest.raises(DatasetError, match=r"text\.mcap"):
        BagReader(tmp_path / "text.mcap")
    bag_path = write_bag(tmp_path / "bag", count=1)
    with BagReader(bag_path) as bag, pytest.raises(DatasetError, match=r"no topic /depth; it has /image"):
        next(bag.messages(["/depth"]))
    with pytest.raises(DatasetError, match="exists already"):
        BagWriter(bag_path)
    with BagWriter(tmp_path / "types") as bag:
        with pytest.raises(DatasetError, match="not among the standard"):
            bag.write("/x", "my_msgs/msg/Unknown", 0, b"")
        bag.write("/x", "std_msgs/msg/Empty", 0, b"\x00\x01\x00\x00\x00")
        with pytest.raises(DatasetError, match="holds std_msgs/msg/Empty"):
            bag.write("/x", IMAGE, 0, b"")
