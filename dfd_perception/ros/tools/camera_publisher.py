# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A source of images as a camera on topics: `image` (rgb8) and, where the focal length is known, `camera_info`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
import rclpy.executors
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from dfd_perception.errors import CalibrationError, ConfigError
from dfd_perception.files.configuration import read_yaml
from dfd_perception.media.capture import CaptureRequest
from dfd_perception.media.source import open_source
from dfd_perception.media.source_image import ImageSource, SourceImage
from dfd_perception.ros.shared.conversions import image_message
from dfd_perception.ros.shared.qos import qos_profile
from dfd_perception.ros.tools.subscribers import DRAIN_S, wait_for_subscriber

FILES_RATE_HZ = 1.0
QUEUE = 5


@dataclass(frozen=True, kw_only=True)
class CameraOptions:
    """How to publish."""

    rate_hz: float | None = None
    """None: the source's own."""
    loop: bool = False
    calibration: Path | None = None
    fx_px: float | None = None
    frame_id: str = "camera_optical_frame"
    wait_s: float = 5.0
    """Longest wait of a video or of files for a first subscriber."""

    def __post_init__(self) -> None:
        if self.rate_hz is not None and not 0 < self.rate_hz < float("inf"):
            raise ConfigError(f"--rate is {self.rate_hz:g}; expected above 0 images a second")
        if self.fx_px is not None and not 0 < self.fx_px < float("inf"):
            raise ConfigError(f"--fx is {self.fx_px:g}; expected a focal length above 0 px")
        if self.fx_px is not None and self.calibration is not None:
            raise ConfigError("--fx and --calibration both give a focal length; give one of them")


class CameraPublisher:
    """Publishes images with one stamp for image and camera_info."""

    def __init__(self, node: Node, options: CameraOptions) -> None:
        """Read the calibration and create the publishers.

        Raises:
            CalibrationError: the file is not a calibration.
        """
        self._node, self._options = node, options
        self._info = read_calibration(options.calibration) if options.calibration is not None else None
        reliable = qos_profile("reliable", QUEUE)
        self._images = node.create_publisher(Image, "image", reliable)
        calibrated = self._info is not None or options.fx_px is not None
        self._infos = node.create_publisher(CameraInfo, "camera_info", reliable) if calibrated else None
        self.count = 0

    def wait_for_subscriber(self) -> None:
        """Wait until somebody takes images or camera_info."""
        publishers = [publisher for publisher in (self._images, self._infos) if publisher is not None]
        wait_for_subscriber(publishers, self._options.wait_s, self._node.context.ok)

    def publish(self, image: SourceImage) -> None:
        """Publish one image, stamped now.

        Raises:
            CalibrationError: the calibration is of another size.
        """
        header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id=self._options.frame_id)
        if self._infos is not None:
            self._infos.publish(self._camera_info(header, image.image_rgb.shape[0], image.image_rgb.shape[1]))
        self._images.publish(image_message(image.image_rgb, "rgb8", header))
        self.count += 1

    def _camera_info(self, header: Header, height: int, width: int) -> CameraInfo:
        if self._info is None:
            assert self._options.fx_px is not None
            self._info = pinhole_info(self._options.fx_px, height, width)
        info = self._info
        if (info.height, info.width) != (height, width):
            raise CalibrationError(
                f"the calibration is for {info.width} x {info.height} px, the images have {width} x {height}; "
                "ask the camera for that size with --size, or calibrate at this one"
            )
        info.header = header
        return info


def pinhole_info(fx_px: float, height: int, width: int) -> CameraInfo:
    """The camera_info of square pixels, no distortion, and an axis through the middle of the image."""
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return CameraInfo(
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[fx_px, 0.0, cx, 0.0, fx_px, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx_px, 0.0, cx, 0.0, 0.0, fx_px, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def read_calibration(path: Path) -> CameraInfo:
    """A camera_info of the YAML that camera_calibration writes and camera drivers read.

    Raises:
        CalibrationError: not readable, or a part is missing or of another length.
    """
    try:
        content = read_yaml(path)
        matrices = {
            name: [float(v) for v in content[key]["data"]]
            for name, key in (
                ("d", "distortion_coefficients"),
                ("k", "camera_matrix"),
                ("r", "rectification_matrix"),
                ("p", "projection_matrix"),
            )
        }
        height, width = int(content["image_height"]), int(content["image_width"])
        model = str(content["distortion_model"])
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise CalibrationError(
            f"{path}: not a camera calibration: {what}; expected the file of camera_calibration"
        ) from error
    for name, length in (("k", 9), ("r", 9), ("p", 12)):
        if len(matrices[name]) != length or not np.isfinite(matrices[name]).all():
            raise CalibrationError(
                f"{path}: matrix {name} has {len(matrices[name])} numbers; expected {length} finite ones"
            )
    return CameraInfo(height=height, width=width, distortion_model=model, **matrices)


def publish_source(
    words: Sequence[str], request: CaptureRequest, options: CameraOptions, ros_arguments: Sequence[str] = ()
) -> int:
    """Publish as a process of its own: rclpy is started and ended here; a signal ends it. Returns the number of images.

    Raises:
        ImageError: the source cannot be opened or read.
        CalibrationError: the calibration cannot be read, or is of another size.
    """
    source = open_source(words, request)
    node = None
    try:
        rclpy.init(args=["dfd", "--ros-args", *ros_arguments] if ros_arguments else None)
        node = rclpy.create_node("camera")
        camera = CameraPublisher(node, options)
        known = "" if options.calibration or options.fx_px else "; no camera_info: give --calibration or --fx for it"
        print(f"publishing {source.name} on {node.resolve_topic_name('image')}{known}", file=sys.stderr, flush=True)
        _publish(source, options, camera, node)
        return camera.count
    finally:
        source.close()
        if node is not None:
            node.destroy_node()
        if rclpy.ok():
            rclpy.shutdown()


def _publish(source: ImageSource, options: CameraOptions, camera: CameraPublisher, node: Node) -> None:
    try:
        if not source.live:
            camera.wait_for_subscriber()
        while True:
            for image in _paced(source, options.rate_hz, node.context.ok):
                camera.publish(image)
            if not options.loop or source.live or not node.context.ok():
                break
        if node.context.ok():
            time.sleep(DRAIN_S)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass
    except Exception:
        # A signal ends the context under a publisher.
        if node.context.ok():
            raise


def _paced(source: ImageSource, rate_hz: float | None, going: Callable[[], bool]) -> Iterator[SourceImage]:
    """The source's images at a rate; those of a live source as they come."""
    period_s = 1 / (rate_hz or source.rate_hz or FILES_RATE_HZ)
    due_s = time.monotonic()
    for image in source.images():
        while not source.live and going() and (left_s := due_s - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.1))
        if not going():
            return
        due_s = max(due_s + period_s, time.monotonic() - period_s)
        yield image
