# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the node takes: publishers of either reliability, a camera_info said once, stamps that jump or are old."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from dfd_perception.ros.shared.conversions import image_message

LENS = {"lens__aperture_diameter_mm": 25.0, "lens__focus_distance_m": 0.6}
FX = 660.0
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def camera_info(header) -> CameraInfo:
    k = [FX, 0.0, 40.0, 0.0, FX, 24.0, 0.0, 0.0, 1.0]
    p = [FX, 0.0, 40.0, 0.0, 0.0, FX, 24.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return CameraInfo(header=header, height=48, width=80, k=k, p=p)


def pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (48, 80, 3), np.uint8)


def until(condition, each, what: str, seconds: float = 45.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in {seconds} s it did not happen that {what}"
        each()
        time.sleep(0.05)


@pytest.mark.parametrize("qos", [QoSProfile(depth=5), qos_profile_sensor_data], ids=["reliable", "best_effort"])
def test_images_arrive_from_publishers_of_either_reliability(start_node, peer, qos):
    running = start_node(**LENS)
    blur = peer.subscribe("defocus/image")
    images = peer.node.create_publisher(Image, "image", qos)
    sent = []

    def publish():
        sent.append(image_message(pixels(len(sent)), "rgb8", peer.header()))
        images.publish(sent[-1])

    until(lambda: len(blur) > 3, publish, "blur arrives")
    time.sleep(0.3)
    assert running.node.statistics.received.total <= len(sent), "no image is taken twice"


def test_reliable_is_what_a_reliable_publisher_gets(start_node, peer, eventually):
    start_node(**LENS)
    peer.node.create_publisher(Image, "image", 5)
    eventually(lambda: peer.node.get_subscriptions_info_by_topic("/image"), "the node subscribes")
    offered = peer.node.get_subscriptions_info_by_topic("/image")
    assert [info.qos_profile.reliability.name for info in offered] == ["RELIABLE"]


def test_both_kinds_of_publisher_at_once_are_heard_once_each(start_node, peer, eventually):
    running = start_node(**LENS)
    loud = peer.node.create_publisher(Image, "image", 5)
    quiet = peer.node.create_publisher(Image, "image", qos_profile_sensor_data)
    eventually(lambda: quiet.get_subscription_count() == 1 and loud.get_subscription_count() == 2, "both are matched")
    time.sleep(0.5)
    for number in range(10):
        for publisher in (loud, quiet):
            before = running.node.statistics.received.total
            publisher.publish(image_message(pixels(number), "rgb8", peer.header()))
            # One at a time: a queue of one holds the newest only.
            eventually(lambda before=before: running.node.statistics.received.total > before, "it has arrived")
    time.sleep(0.3)
    assert running.node.statistics.received.total == 20


def test_a_camera_info_latched_before_the_node_started_is_used_and_survives_a_loop(start_node, peer):
    latched = peer.node.create_publisher(CameraInfo, "camera_info", LATCHED)
    latched.publish(camera_info(peer.header()))
    time.sleep(0.3)
    depths = peer.subscribe("depth/image")
    start_node(**LENS)
    images = peer.node.create_publisher(Image, "image", qos_profile_sensor_data)

    def publish():
        images.publish(image_message(pixels(1), "rgb8", peer.header()))

    until(lambda: len(depths) > 1, publish, "depth arrives")
    peer.number -= 500
    before = len(depths)
    until(lambda: len(depths) > before + 2, publish, "depth goes on after a jump back")


def test_images_that_are_all_too_old_are_a_warning(start_node, peer, capfd):
    status = peer.subscribe("/diagnostics", DiagnosticArray)
    peer.subscribe("defocus/image")
    start_node(**LENS, max_age_s=1.0)

    def warned() -> bool:
        last = status[-1].status[0] if status else None
        return last is not None and last.level == DiagnosticStatus.WARN and "too old" in last.message

    peer.publish_until(warned, "too old images are a warning")
    assert "max_age_s is 1: dropped" in capfd.readouterr().err


def test_stamps_of_another_clock_are_a_warning_until_they_agree(start_node, peer):
    status = peer.subscribe("/diagnostics", DiagnosticArray)
    start_node(**LENS)

    def says(level: bytes, words: str) -> bool:
        return bool(status) and status[-1].status[0].level == level and words in status[-1].status[0].message

    peer.publish_until(lambda: says(DiagnosticStatus.WARN, "days behind this node's clock: they count"), "old stamps")
    peer.wall_clock = True
    peer.publish_until(lambda: says(DiagnosticStatus.OK, "active"), "all is well again")


def test_two_publishers_whose_clocks_differ_do_not_flood_the_log(start_node, peer, capfd):
    running = start_node(**LENS)
    peer.subscribe("defocus/image")
    images = peer.node.create_publisher(Image, "image", 5)

    def publish():
        for offset in (0, 5000):
            header = peer.header()
            header.stamp.sec += offset
            images.publish(image_message(pixels(1), "rgb8", header))

    until(lambda: running.node.statistics.received.total > 60, publish, "60 frames arrive")
    assert capfd.readouterr().err.count("jumped back") <= 2


def test_a_camera_info_is_taken_before_the_image_that_it_came_with(start_node):
    """An executor takes what is ready in this order; the first image of a bag was answered without its lens."""
    topics = [subscription.topic_name for subscription in start_node().node.subscriptions]
    assert topics.index("/camera_info") < topics.index("/image")
