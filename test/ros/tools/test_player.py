# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Bags onto topics and topics into bags, as processes, through the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from rosgraph_msgs.msg import Clock

from dfd_perception.bags.messages import image_message
from dfd_perception.bags.reader import BagReader
from dfd_perception.bags.writer import BagWriter
from dfd_perception.errors import UsageError
from dfd_perception.ros.tools.bag_recorder import RecordOptions, record_bag
from dfd_perception.ros.tools.player import PlayOptions
from dfd_perception.ros.tools.subscribers import wait_for_subscribers

IMAGE = "sensor_msgs/msg/Image"
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000


@pytest.fixture
def bag(tmp_path):
    path = tmp_path / "bag"
    with BagWriter(path) as writer:
        for number in range(10):
            stamp_ns = START_NS + number * PERIOD_NS
            pixels = np.full((20, 30, 3), number, np.uint8)
            writer.write("/camera/image", IMAGE, stamp_ns, image_message(pixels, "rgb8", stamp_ns, "optical"))
    return path


def dfd(environment, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dfd_perception.cli", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_topics_are_waited_for_where_each_needs_a_listener(ros_domain_id, peer):
    """A live evaluation once began when the node heard its images and not yet its camera_info: no frame had depth."""
    publishing = type(peer)(ros_domain_id)
    try:
        topics = [publishing.node.create_publisher(Clock, name, 1) for name in ("image", "camera_info")]
        peer.subscribe("image", Clock)
        later = threading.Timer(2.0, peer.subscribe, ("camera_info", Clock))
        later.start()
        wait_for_subscribers(topics, 30.0, publishing.context.ok)
        assert topics[1].get_subscription_count() == 0
        wait_for_subscribers(topics, 30.0, publishing.context.ok, each=1)
        assert [topic.get_subscription_count() for topic in topics] == [1, 1]
        later.join()
    finally:
        publishing.close()


def test_every_listener_that_is_waited_for_gets_the_first_message(ros_environment, ros_domain_id, peer, bag):
    """Five subscribers in participants of their own: processes find each other up to a second apart."""
    others = [type(peer)(ros_domain_id) for _ in range(4)]
    try:
        heard = [one.subscribe("/camera/image", qos=20) for one in (peer, *others)]
        process = dfd(ros_environment, "play", str(bag), "--subscribers", "5", "--wait", "30", "--json")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert [[m.data[0] for m in images] for images in heard] == [list(range(10))] * 5
    finally:
        for one in others:
            one.close()


def test_a_bag_arrives_in_order_unchanged_and_at_its_rate(ros_environment, peer, bag):
    images, clocks = peer.subscribe("/camera/image", qos=20), peer.subscribe("/clock", Clock, qos=1000)
    started = time.monotonic()
    process = dfd(ros_environment, "play", str(bag), "--clock", "--rate", "0.5", "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["messages"] == {"/camera/image": 10}
    assert [m.data[0] for m in images] == list(range(10))
    assert images[3].header.stamp.nanosec == 3 * PERIOD_NS
    # 0.9 s of bag at half speed.
    assert time.monotonic() - started > 1.8
    times = [c.clock.sec * 10**9 + c.clock.nanosec for c in clocks]
    assert times == sorted(times)
    assert times[-1] == START_NS + 9 * PERIOD_NS
    assert len(times) > 30


def test_a_loop_ends_with_a_signal_and_exit_code_0(ros_environment, peer, bag, eventually):
    images = peer.subscribe("/renamed", qos=20)
    process = dfd(
        ros_environment, "play", str(bag), "--loop", "--rate", "20", "--start", "0.45",
        "--ros-args", "-r", "/camera/image:=/renamed",
    )  # fmt: skip
    eventually(lambda: len(images) > 12, "it loops")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert {m.data[0] for m in images} == {5, 6, 7, 8, 9}


def test_what_is_recorded_is_what_was_played(ros_environment, bag, tmp_path):
    out = tmp_path / "out"
    recorder = dfd(ros_environment, "record-bag", str(out), "--topic", "camera/image", "--json")
    time.sleep(1.0)
    player = dfd(ros_environment, "play", str(bag), "--rate", "2")
    assert player.wait(60) == 0
    time.sleep(0.5)
    recorder.send_signal(signal.SIGTERM)
    text, err = recorder.communicate(timeout=20)
    assert recorder.returncode == 0, err
    count = json.loads(text)["messages"]["/camera/image"]
    # The recorder finds the topic a moment after the player offers it.
    assert count >= 5
    with BagReader(out) as read:
        assert read.problems == []
        last = [m.message.data[0] for m in read.messages(["/camera/image"])]
    assert last == list(range(10 - count, 10))


@pytest.mark.parametrize(
    ("options", "wrong", "says"),
    [
        (PlayOptions, {"start_s": float("nan")}, "start is nan; expected 0 to 1e"),
        (PlayOptions, {"start_s": 1e300}, "start is 1e\\+300"),
        (PlayOptions, {"duration_s": float("inf")}, "duration is inf; expected above 0"),
        (PlayOptions, {"wait_s": float("nan")}, "wait is nan"),
        (PlayOptions, {"rate": float("inf")}, "rate is inf; expected above 0"),
        (PlayOptions, {"subscribers": 0}, "subscribers is 0; expected 1 or more"),
        (RecordOptions, {"duration_s": float("nan")}, "duration is nan; expected above 0"),
        (RecordOptions, {"duration_s": 0.0}, "duration is 0; expected above 0"),
    ],
)
def test_times_and_counts_that_cannot_be_are_refused(options, wrong, says):
    with pytest.raises(UsageError, match=says):
        options(**wrong)


def test_a_name_that_no_topic_can_have_leaves_no_bag(ros_domain_id, tmp_path):
    with pytest.raises(UsageError, match="'bad topic' cannot be a name in ROS"):
        record_bag(tmp_path / "new", RecordOptions(topics=["bad topic"], duration_s=0.2))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["play", "no/such/bag"], "no such bag"),
        (["play", "{bag}", "--topic", "/depth"], "no topic /depth; it has /camera/image"),
        (["play", "{bag}", "--rate", "0"], "rate is 0; expected above 0"),
        (["play", "{bag}", "--start", "1000"], "nothing to play from 1000 s on"),
        (["record-bag", "new", "--topic", "bad topic"], "'bad topic' cannot be a name in ROS: "),
        (["record-bag", "{bag}"], "exists already"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(ros_environment, bag, arguments, says):
    process = dfd(ros_environment, *(a.format(bag=bag) for a in arguments))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert says in err
    assert "Traceback" not in err
