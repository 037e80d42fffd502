# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images between two processes, with the Fast DDS profile that the project ships."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

HEIGHT, WIDTH = 480, 640
COUNT = 20

PUBLISHER = f"""
import array, time
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

rclpy.init()
node = rclpy.create_node("sender")
publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
message = Image(height={HEIGHT}, width={WIDTH}, encoding="rgb8", step={WIDTH * 3})
message.data = array.array("B", bytes(range(256)) * ({HEIGHT * WIDTH * 3} // 256))
deadline = time.monotonic() + 20.0
while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
    time.sleep(0.02)
for number in range({COUNT}):
    message.header.frame_id = str(number)
    publisher.publish(message)
    time.sleep(0.03)
time.sleep(0.5)
node.destroy_node()
rclpy.shutdown()
"""


def test_best_effort_images_of_640x480_arrive_whole(ros_domain_id, ros_environment):
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    node = rclpy.create_node("receiver", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    received: list[Image] = []
    node.create_subscription(Image, "image", received.append, qos_profile_sensor_data)
    sender = subprocess.Popen([sys.executable, "-c", PUBLISHER], env=ros_environment)
    try:
        while sender.poll() is None:
            executor.spin_once(timeout_sec=0.1)
    finally:
        sender.kill()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert sender.returncode == 0
    # Best effort may lose a frame on a busy machine; without the profile it loses every one of this size.
    assert len(received) >= COUNT // 2, f"{len(received)} of {COUNT} images arrived"
    assert bytes(received[-1].data) == bytes(range(256)) * (HEIGHT * WIDTH * 3 // 256)
