# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images of a live topic one after the other, for commands that look at some and need no node of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dfd_perception.core.image_encoding import COMPRESSED_IMAGE_TYPE, IMAGE_TYPE, rgb_of
from dfd_perception.errors import DfdPerceptionError, UsageError
from dfd_perception.ros.shared.camera_infos import CameraInfoBuffer
from dfd_perception.ros.shared.lossless_subscriptions import LosslessSubscriptions, silence_of
from dfd_perception.ros.shared.own_node import own_node, resolved_topic

WAIT_S = 5.0
KINDS: dict[str, Any] = {IMAGE_TYPE: Image, COMPRESSED_IMAGE_TYPE: CompressedImage}


@dataclass(frozen=True, kw_only=True)
class LiveImage:
    """An image and what its camera says of itself."""

    image_rgb: NDArray[Any]
    """(H, W, 3) uint8."""
    camera_info: CameraInfo | None
    """Of the topic camera_info beside the image's; None before one came."""


def live_images(topic: str, going: Callable[[], bool], ros_arguments: Sequence[str] = ()) -> Iterator[LiveImage]:
    """The newest image of a topic each time that one is asked for; what came meanwhile is dropped.

    Args:
        topic: of sensor_msgs/Image or CompressedImage.
        going: False ends it.
        ros_arguments: for rclpy, such as -r from:=to.

    Raises:
        UsageError: nobody publishes images there; the message names topics with images.
        DfdPerceptionError: somebody does, and nothing comes.
    """
    with own_node("dfd_live_images", ros_arguments) as (node, executor):
        name = resolved_topic(node, topic)
        kind = _kind_of(node, name, going)
        if kind is not None:
            yield from _received(node, executor, name, kind, going)


def _kind_of(node: Node, topic: str, going: Callable[[], bool]) -> Any:
    deadline_s = time.monotonic() + WAIT_S
    while going():
        known = dict(node.get_topic_names_and_types())
        kinds_offered = KINDS.keys() & known.get(topic, [])
        if kinds_offered and node.count_publishers(topic):
            return KINDS[kinds_offered.pop()]
        if time.monotonic() > deadline_s:
            others = sorted(name for name, kinds in known.items() if KINDS.keys() & kinds)
            raise UsageError(
                f"nobody publishes images on {topic}; topics with images: {', '.join(others) if others else 'none'}"
            )
        time.sleep(0.1)
    return None


def _received(
    node: Node, executor: SingleThreadedExecutor, topic: str, kind: Any, going: Callable[[], bool]
) -> Iterator[LiveImage]:
    newest: list[Any] = []
    infos = CameraInfoBuffer()
    subscriptions = LosslessSubscriptions(node, "auto", lambda severity, text: None)
    subscriptions.add(kind, topic, lambda message: newest.__setitem__(slice(None), [message]), 1)
    subscriptions.add(CameraInfo, f"{topic.removesuffix('/compressed').rpartition('/')[0]}/camera_info", infos.add, 1)
    silent_since_s = time.monotonic()
    while going():
        executor.spin_once(timeout_sec=0.1)
        if newest:
            message = newest.pop()
            yield LiveImage(image_rgb=rgb_of(message), camera_info=infos.for_image(message.header))
            silent_since_s = time.monotonic()
        elif time.monotonic() - silent_since_s > 2 * WAIT_S:
            raise DfdPerceptionError(silence_of(node, topic))
