# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A depth node as it is usually written: conversion by hand, torch in the image callback, everything on one thread.

    python benchmarks/peers/usual_node.py --network 2hded-small | thesis

The peer that our node is measured against: the same weights (or the thesis' network) and the same topics, without a
worker, a latest-frame slot, heads by subscription or a compiled network.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections import deque
from typing import Any

import cv2
import numpy as np
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.network import create_network
from dfd_perception.network.checkpoint import load_network

APERTURE_M, FOCUS_M = 0.025, 0.6


class UsualNode(Node):
    """Image in, depth and deblurred image out, all of it in the callback."""

    def __init__(self, network: str) -> None:
        super().__init__("usual_depth_node")
        if network == "thesis":
            torch.manual_seed(0)
            self.network: Any = create_network("2hded", "depth").eval()
        else:
            self.network = load_network(load_model_folder(network))
        self.fx = 500.0
        stages = ("decode", "preprocess", "inference", "postprocess", "publish", "total")
        self.times: dict[str, deque[float]] = {stage: deque(maxlen=200) for stage in stages}
        self.depth = self.create_publisher(Image, "depth/image", 10)
        self.deblurred = self.create_publisher(Image, "deblurred/image", 10)
        self.diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(CameraInfo, "camera_info", self.on_info, 10)
        self.create_subscription(Image, "image", self.on_image, 10)
        self.create_timer(0.5, self.on_timer)

    def on_info(self, info: CameraInfo) -> None:
        """Take the focal length."""
        self.fx = float(info.k[0]) or self.fx

    def on_image(self, message: Image) -> None:
        """Answer one image."""
        marks = [time.perf_counter()]
        # As cv_bridge does it for Python: bytes to an array, and a copy in the order that OpenCV likes.
        array = np.frombuffer(bytes(message.data), np.uint8).reshape(message.height, message.width, 3)
        image = cv2.cvtColor(cv2.cvtColor(array, cv2.COLOR_RGB2BGR), cv2.COLOR_BGR2RGB)
        marks.append(time.perf_counter())
        tensor = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)[None]
        marks.append(time.perf_counter())
        with torch.no_grad():
            said = self.network(tensor)
        marks.append(time.perf_counter())
        if said.depth_m is not None:
            depth = said.depth_m[0, 0].numpy()
        else:
            inverse = 1 / FOCUS_M - said.coc_px[0, 0].numpy() / (self.fx * APERTURE_M)
            depth = np.where(inverse > 0, 1 / np.maximum(inverse, 1e-6), np.nan).astype(np.float32)
        sharp = (said.deblurred[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        marks.append(time.perf_counter())
        self.publish(self.depth, message, depth.astype(np.float32), "32FC1")
        self.publish(self.deblurred, message, sharp, "rgb8")
        marks.append(time.perf_counter())
        for stage, start, end in zip(self.times, marks, marks[1:], strict=False):
            self.times[stage].append(end - start)
        self.times["total"].append(marks[-1] - marks[0])

    def publish(self, publisher: Any, message: Image, pixels: np.ndarray, encoding: str) -> None:
        """Publish with the header of the input, as cv2_to_imgmsg builds it."""
        out = Image(header=message.header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
        out.step = pixels[0].nbytes
        out.data = pixels.tobytes()
        publisher.publish(out)

    def on_timer(self) -> None:
        """Say where the time goes."""
        values = [
            KeyValue(key=f"{stage} p50 [ms]", value=f"{np.median(times) * 1e3:.2f}")
            for stage, times in self.times.items()
            if times
        ]
        status = DiagnosticStatus(name="usual_depth_node", values=values)
        self.diagnostics.publish(DiagnosticArray(status=[status]))


def main() -> None:
    """Run until a signal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="2hded-small", help="a model folder, or thesis")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(UsualNode(args.network))


if __name__ == "__main__":
    main()
