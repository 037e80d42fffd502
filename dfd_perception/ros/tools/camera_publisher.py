# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A source of images as a camera on topics: `image` (rgb8) and, where the focal length is known, `camera_info`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy.executors
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError, ConfigError
from dfd_perception.files.camera_file import CameraFile, read_camera_file
from dfd_perception.media.capture import CaptureRequest
from dfd_perception.media.source import open_source
from dfd_perception.media.source_image import ImageSource, SourceImage
from dfd_perception.ros.shared.conversions import image_message
from dfd_perception.ros.shared.own_node import own_node
from dfd_perception.ros.shared.qos import qos_profile
from dfd_perception.ros.tools.subscribers import DRAIN_S, wait_for_subscribers

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
        calibration = None if options.calibration is None else read_camera_file(options.calibration)
        self._info = None if calibration is None else camera_info_message(calibration)
        reliable = qos_profile("reliable", QUEUE)
        self._images = node.create_publisher(Image, "image", reliable)
        calibrated = self._info is not None or options.fx_px is not None
        self._infos = node.create_publisher(CameraInfo, "camera_info", reliable) if calibrated else None
        self.count = 0

    def wait_for_subscribers(self) -> None:
        """Wait until somebody takes images or camera_info."""
        publishers = [publisher for publisher in (self._images, self._infos) if publisher is not None]
        wait_for_subscribers(publishers, self._options.wait_s, self._node.context.ok)

    def require_fit(self, image: SourceImage) -> None:
        """Check an image before it is published.

        Raises:
            CalibrationError: the calibration is of another size.
        """
        if self._infos is not None:
            self._camera_info(Header(), *image.image_rgb.shape[:2])

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
            self._info = camera_info_message(pinhole(self._options.fx_px, (height, width)))
        info = self._info
        if (info.height, info.width) != (height, width):
            raise CalibrationError(
                f"the calibration is for {info.width} x {info.height} px, the images have {width} x {height}; "
                "ask the camera for that size with --size, or calibrate at this one"
            )
        info.header = header
        return info


def pinhole(fx_px: float, size: Size) -> CameraFile:
    """Square pixels, no distortion, and an axis through the middle of the image."""
    camera = CameraIntrinsics.centred(size, fx_px)
    return CameraFile(
        width=camera.width,
        height=camera.height,
        k=tuple(camera.matrix().ravel()),
        d=(0.0,) * 5,
        distortion_model="plumb_bob",
    )


def camera_info_message(camera: CameraFile) -> CameraInfo:
    """The message of a calibration; without rectification the rectified image is the raw one."""
    matrix = np.asarray(camera.k).reshape(3, 3)
    return CameraInfo(
        height=camera.height,
        width=camera.width,
        distortion_model=camera.distortion_model,
        d=camera.d,
        k=camera.k,
        r=camera.r or np.eye(3).ravel(),
        p=camera.p or np.hstack([matrix, np.zeros((3, 1))]).ravel(),
    )


def publish_source(
    words: Sequence[str], request: CaptureRequest, options: CameraOptions, ros_arguments: Sequence[str] = ()
) -> int:
    """Publish as a process of its own: rclpy is started and ended here; a signal ends it. Returns the number of images.

    Raises:
        ImageError: the source cannot be opened or read.
        CalibrationError: the calibration cannot be read, or is of another size.
    """
    with (
        closing(open_source(words, request)) as source,
        own_node("camera", ros_arguments, signals_end_it=True) as (node, _),
    ):
        camera = CameraPublisher(node, options)
        if not source.live:
            camera.require_fit(next(iter(source.images())))  # what cannot be published fails before anything is said
        known = "" if options.calibration or options.fx_px else "; no camera_info: give --calibration or --fx for it"
        print(f"publishing {source.name} on {node.resolve_topic_name('image')}{known}", file=sys.stderr, flush=True)
        _publish(source, options, camera, node)
        return camera.count


def _publish(source: ImageSource, options: CameraOptions, camera: CameraPublisher, node: Node) -> None:
    try:
        if not source.live:
            camera.wait_for_subscribers()
        for image in _paced(source, options.rate_hz, options.loop, node.context.ok):
            camera.publish(image)
        if node.context.ok():
            time.sleep(DRAIN_S)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass
    except Exception:
        # A signal ends the context under a publisher.
        if node.context.ok():
            raise


def _paced(source: ImageSource, rate_hz: float | None, loop: bool, going: Callable[[], bool]) -> Iterator[SourceImage]:
    """The source's images at a rate, which goes on from one round to the next; those of a live source as they come."""
    period_s = 1 / (rate_hz or source.rate_hz or FILES_RATE_HZ)
    due_s = time.monotonic()
    while True:
        for image in source.images():
            while not source.live and going() and (left_s := due_s - time.monotonic()) > 0:
                time.sleep(min(left_s, 0.1))
            if not going():
                return
            due_s = max(due_s + period_s, time.monotonic() - period_s)
            yield image
        if not loop or source.live or not going():
            return
