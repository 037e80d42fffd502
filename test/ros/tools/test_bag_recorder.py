# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd record-bag` into either storage, and what it says when nothing comes or its writer fails."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from sensor_msgs.msg import Image

from dfd_perception.bags.reader import BagReader
from dfd_perception.bags.writer import BagWriter
from dfd_perception.errors import RecordingError


def record(environment, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dfd_perception.cli", "record-bag", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("storage", "compression"), [("sqlite3", "none"), ("sqlite3", "message"), ("mcap", "none")])
def test_messages_are_in_the_bag_whatever_its_name(ros_environment, peer, tmp_path, storage, compression):
    out = tmp_path / "lab #2"
    process = record(ros_environment, str(out), "--topic", "/image", "--storage", storage,
                     "--compression", compression, "--duration", "6", "--json")  # fmt: skip
    sent = []
    while process.poll() is None and len(sent) < 400:
        sent.append(peer.publish(np.full((8, 8, 3), len(sent) % 256, np.uint8)))
        time.sleep(0.05)
    said, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    with BagReader(out) as bag:
        values = [m.message.data[0] for m in bag.messages(["/image"])]
    assert len(values) == json.loads(said)["messages"]["/image"] > 5
    assert values == list(range(values[0], values[0] + len(values)))
    assert "recording to" in err


def test_nothing_recorded_is_said_and_leaves_nothing(ros_environment, tmp_path):
    process = record(ros_environment, str(tmp_path / "bag"), "--topic", "/nobody", "--duration", "1")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"dfd: nothing was recorded: nobody publishes /nobody; {tmp_path / 'bag'} is not kept" in err
    assert not (tmp_path / "bag").exists()


def test_whatever_ends_the_writer_ends_the_recording(ros_domain_id, peer, tmp_path, monkeypatch):
    """A fault inside of the storage, in this process, so that it can be put there."""
    import rclpy

    from dfd_perception.ros.tools.bag_recorder import RecordOptions, record_bag

    written = BagWriter.write

    def fail(self, topic, *rest):
        written(self, topic, *rest)
        raise ArithmeticError("the storage broke")

    monkeypatch.setattr(BagWriter, "write", fail)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(ros_domain_id))
    assert not rclpy.ok()
    publisher = peer.node.create_publisher(Image, "image", 5)
    peer.node.create_timer(0.05, lambda: publisher.publish(Image()))
    with pytest.raises(RecordingError, match=r"bag: writing has stopped \(the storage broke\)"):
        record_bag(tmp_path / "bag", RecordOptions(topics=("/image",), duration_s=30))
    assert not rclpy.ok()
