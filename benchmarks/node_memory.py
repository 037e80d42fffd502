# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Resident memory of the running node over many frames: it must not grow.

    python benchmarks/node_memory.py --model test/assets/tiny_coc --frames 10000

Publishes frames as fast as they are answered, subscribes to depth, deblurred, points and the coloured depth, and prints
the node's memory every thousand answers. Exit code 1 if it grew by more than five percent after the first thousand.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from dfd_perception.environment import use_own_ros_domain

HEIGHT, WIDTH = 96, 128
GROWTH_LIMIT = 1.05


def main() -> int:
    """Run the node and watch it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="2hded-small")
    parser.add_argument("--frames", type=int, default=10000)
    args = parser.parse_args()
    use_own_ros_domain()
    parameters = (f"model:={args.model}", "lens.aperture_diameter_mm:=25.0", "lens.focus_distance_m:=0.6")
    command = [sys.executable, "-m", "dfd_perception.ros.depth_node.dfd_node", "--ros-args"]
    node = subprocess.Popen([*command, *(word for p in parameters for word in ("-p", p))])
    try:
        memory_mb = watch(node.pid, args.frames)
    finally:
        node.send_signal(signal.SIGINT)
        node.wait(20)
    grown = memory_mb[-1] / memory_mb[0]
    print(f"{args.frames} frames: {memory_mb[0]:.1f} to {memory_mb[-1]:.1f} MB ({grown:.3f} x)")
    return int(grown > GROWTH_LIMIT)


def watch(pid: int, frames: int) -> list[float]:
    """Feed the node; returns its memory [MB] at every thousandth answer, the first at one thousand."""
    import rclpy
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2
    from std_msgs.msg import Header

    from dfd_perception.ros.shared.conversions import image_message

    rclpy.init()
    peer = rclpy.create_node("memory_watcher")
    answers: list[int] = []
    peer.create_subscription(Image, "depth/image", lambda message: answers.append(message.header.stamp.sec), 5)
    ignored: Any = lambda message: None  # noqa: E731
    for topic, kind in (("deblurred/image", Image), ("depth/points", PointCloud2), ("depth/image_color", Image)):
        peer.create_subscription(kind, topic, ignored, 5)
    images, infos = peer.create_publisher(Image, "image", 1), peer.create_publisher(CameraInfo, "camera_info", 1)
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    message = image_message(pixels, "rgb8", Header(frame_id="camera"))
    k = [150.0, 0.0, WIDTH / 2, 0.0, 150.0, HEIGHT / 2, 0.0, 0.0, 1.0]
    memory_mb: list[float] = []
    while len(answers) < frames:
        message.header.stamp.sec += 1
        infos.publish(CameraInfo(header=message.header, height=HEIGHT, width=WIDTH, k=k))
        images.publish(message)
        before, deadline = len(answers), time.monotonic() + 0.1
        while len(answers) == before and time.monotonic() < deadline:
            rclpy.spin_once(peer, timeout_sec=0.02)
        if len(answers) >= 1000 * (len(memory_mb) + 1):
            pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
            memory_mb.append(pages * 4096 / 1e6)
            print(f"{len(answers):7d} answers  {memory_mb[-1]:.1f} MB", flush=True)
    peer.destroy_node()
    rclpy.shutdown()
    return memory_mb


if __name__ == "__main__":
    sys.exit(main())
