# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How many 640x480 images arrive, and how late, by reliability: one process publishes, another listens.

    python benchmarks/transport.py

The environment decides the rest: ROS_AUTOMATIC_DISCOVERY_RANGE, FASTRTPS_DEFAULT_PROFILES_FILE. Default discovery
(SUBNET) multicasts; in a network namespace that has nothing but loopback it cannot leave the machine:

    sudo unshare -n sh -c 'ip link set lo up multicast on;
        ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET python benchmarks/transport.py'
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.ros.shared.conversions import image_message
from dfd_perception.ros.shared.qos import qos_profile

IMAGES, RATE = 60, 30.0
DEPTH = 5
START_LIMIT_S = 15.0


def publish(profile: str) -> None:
    """Send the images, once somebody listens."""
    rclpy.init()
    node = rclpy.create_node("transport_camera")
    publisher = node.create_publisher(Image, "image", qos_profile(profile, DEPTH))
    deadline = time.monotonic() + START_LIMIT_S
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    image = np.zeros((480, 640, 3), np.uint8)
    for _ in range(IMAGES):
        now = time.time_ns()
        publisher.publish(image_message(image, "rgb8", Header(stamp=Time(sec=now // 10**9, nanosec=now % 10**9))))
        time.sleep(1 / RATE)
    time.sleep(0.5)
    node.destroy_node()
    rclpy.shutdown()


def listen(profile: str) -> list[float]:
    """Age [s] of each image on its arrival."""
    node = rclpy.create_node(f"transport_listener_{profile}")
    ages_s: list[float] = []
    node.create_subscription(
        Image,
        "image",
        lambda m: ages_s.append((time.time_ns() - header_stamp_ns(m.header)) * 1e-9),
        qos_profile(profile, DEPTH),
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    camera = subprocess.Popen([sys.executable, __file__, profile])
    while camera.poll() is None:
        executor.spin_once(timeout_sec=0.1)
    node.destroy_node()
    return ages_s


def main() -> None:
    """Both reliabilities, a line each."""
    if len(sys.argv) > 1:
        publish(sys.argv[1])
        return
    discovery = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    with_profile = "with" if os.environ.get("FASTRTPS_DEFAULT_PROFILES_FILE") else "without"
    rclpy.init()
    for profile in ("best_effort", "reliable"):
        ages_s = listen(profile)
        late = f", p50 {np.median(ages_s) * 1e3:.1f} ms" if ages_s else ""
        print(f"{discovery}, {with_profile} a profile, {profile}: {len(ages_s)} of {IMAGES} arrived{late}", flush=True)
    rclpy.shutdown()


if __name__ == "__main__":
    main()
