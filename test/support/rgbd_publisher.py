# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A robot camera and an RGB-D camera in a process of their own: python rgbd_publisher.py COUNT RATE WIDTH HEIGHT.

"float" publishes depth in metres and no colour image, "info" the robot camera's camera_info too, "packed" all images
compressed, "registered" depth and colour in the frame and size of the robot camera.
"""

from __future__ import annotations

import sys
import time

import cv2
import numpy as np
import rclpy
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from dfd_perception.core.image_encoding import rgb_of
from dfd_perception.ros.shared.conversions import compressed_depth_message, image_message

OFFSET_NS = 4_000_000


def info(header: Header, height: int, width: int) -> CameraInfo:
    message = CameraInfo(header=header, height=height, width=width, distortion_model="plumb_bob")
    message.k = [0.9 * width, 0.0, width / 2 - 0.5, 0.0, 0.9 * width, height / 2 - 0.5, 0.0, 0.0, 1.0]
    message.d = [0.0] * 5
    return message


def jpeg_of(message: Image) -> CompressedImage:
    done, packed = cv2.imencode(".jpg", np.ascontiguousarray(rgb_of(message)[..., ::-1]))
    assert done
    return CompressedImage(header=message.header, format="rgb8; jpeg compressed bgr8", data=packed.tobytes())


def main() -> None:
    count, rate, width, height = (int(argument) for argument in sys.argv[1:5])
    float_depth, with_info = "float" in sys.argv, "info" in sys.argv
    packed, registered = "packed" in sys.argv, "registered" in sys.argv
    depth_size = (height, width) if registered else (288, 320)
    rclpy.init()
    node = rclpy.create_node("rgbd_publisher")
    qos = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.RELIABLE)
    topics = {"image": Image, "depth/image": Image, "depth/camera_info": CameraInfo}
    topics |= {} if float_depth else {"colour/image": Image, "colour/camera_info": CameraInfo}
    topics |= {"camera_info": CameraInfo} if with_info else {}
    if packed:
        names = {"image": "image/compressed", "colour/image": "colour/image/compressed"}
        names |= {"depth/image": "depth/image/compressedDepth"}
        topics = {names.get(t, t): CompressedImage if t in names else kind for t, kind in topics.items()}
    publishers = {topic: node.create_publisher(kind, topic, qos) for topic, kind in topics.items()}
    while any(publisher.get_subscription_count() == 0 for publisher in publishers.values()):
        time.sleep(0.05)
    time.sleep(1.0)  # that the publisher knows the subscriber does not mean the reverse yet
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 255, (height // 8, width // 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    depth = np.full(depth_size, 1500, np.uint16)
    depth[:20] = 0
    metres = np.where(depth, depth * np.float32(1e-3), np.float32(np.nan))
    started, number = time.monotonic(), 0
    while number < count or count == 0:
        stamp_ns = time.time_ns()
        header = Header(frame_id="camera")
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 10**9)
        depth_header = Header(frame_id="camera" if registered else "kinect")
        depth_header.stamp.sec, depth_header.stamp.nanosec = divmod(stamp_ns + OFFSET_NS, 10**9)
        scene[:8, :8] = number % 256
        image = image_message(scene, "rgb8", header)
        if packed:
            publishers["image/compressed"].publish(jpeg_of(image))
        else:
            publishers["image"].publish(image)
        if with_info:
            publishers["camera_info"].publish(info(header, height, width))
        shown = (
            image_message(metres, "32FC1", depth_header) if float_depth else image_message(depth, "16UC1", depth_header)
        )
        if packed:
            publishers["depth/image/compressedDepth"].publish(compressed_depth_message(metres, depth_header))
        else:
            publishers["depth/image"].publish(shown)
        publishers["depth/camera_info"].publish(info(depth_header, *depth_size))
        if not float_depth:
            colour = image_message(np.ascontiguousarray(scene[: depth_size[0], : depth_size[1]]), "rgb8", depth_header)
            if packed:
                publishers["colour/image/compressed"].publish(jpeg_of(colour))
            else:
                publishers["colour/image"].publish(colour)
            publishers["colour/camera_info"].publish(info(depth_header, *depth_size))
        number += 1
        # Never a burst after a delay: frames closer than the bound of the pairing would pair with a neighbour.
        time.sleep(max(0.5 / rate, started + number / rate - time.monotonic()))
    time.sleep(1.0)
    print(number, flush=True)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
