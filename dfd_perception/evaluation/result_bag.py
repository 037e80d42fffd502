# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Results as a bag that RViz, Foxglove and Rerun open, and such a bag read back as predictions.

Topics are those of the node; each message carries its image's stamp, in the header and as time of recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dfd_perception.bags.messages import header, image_message, standard_types
from dfd_perception.bags.reader import BagMessage, BagReader
from dfd_perception.bags.writer import BagWriter
from dfd_perception.core.camera_info import CAMERA_INFO_TYPE
from dfd_perception.core.image_encoding import IMAGE_TYPE, depth_m_from_image, float_map_from_image, rgb_from_image
from dfd_perception.core.prediction import Prediction
from dfd_perception.evaluation.sources.frame import EvaluationFrame

FLOAT_TYPE = "std_msgs/msg/Float64"
DEPTH, DEPTH_STD, DEBLURRED, DEFOCUS = "/depth/image", "/depth/std", "/deblurred/image", "/defocus/image"
LATENCY = "/latency"
"""Seconds from the arrival of an image to the last of its answers."""


STEP_NS = 100_000_000
"""Distance of frames that have no stamp of their own."""


class ResultBag:
    """A bag of results that grows frame by frame."""

    def __init__(self, path: Path) -> None:
        """Create the bag.

        Raises:
            DatasetError: the folder exists.
        """
        self._writer = BagWriter(path, compression="storage")

    def add(self, frame: EvaluationFrame, prediction: Prediction) -> None:
        """Write what there is of one frame.

        Raises:
            RecordingError: the disk is full.
        """
        stamp = frame.stamp_ns if frame.stamp_ns is not None else (frame.index + 1) * STEP_NS
        depth, std, coc = prediction.depth_m, prediction.depth_std_m, prediction.coc_px
        images: list[tuple[str, Any, str]] = [
            (DEPTH, depth, "32FC1"),
            (DEPTH_STD, std, "32FC1"),
            (DEFOCUS, coc, "32FC1"),
            (DEBLURRED, prediction.deblurred, "rgb8"),
        ]
        for topic, pixels, encoding in images:
            if pixels is not None:
                self._writer.write(topic, IMAGE_TYPE, stamp, image_message(pixels, encoding, stamp, frame.frame_id))
        if frame.camera_info is not None:
            info = replace(frame.camera_info, header=header(stamp, frame.frame_id))
            for topic in ("/depth/camera_info", "/deblurred/camera_info"):
                self._writer.write(topic, CAMERA_INFO_TYPE, stamp, info)

    def add_message(self, topic: str, msgtype: str, stamp_ns: int, content: Any) -> None:
        """Write a message as it came from a node."""
        self._writer.write(topic, msgtype, stamp_ns, content)

    def add_latency(self, stamp_ns: int, latency_s: float) -> None:
        """Write how long a node took."""
        self._writer.write(LATENCY, FLOAT_TYPE, stamp_ns, standard_types().types[FLOAT_TYPE](data=latency_s))

    def close(self) -> None:
        """Write the index."""
        self._writer.close()


class _Moment(NamedTuple):
    stamp_ns: int
    messages: dict[str, BagMessage]


class RecordedPredictor:
    """What a node or an earlier evaluation answered, from its bag, in step with the frames."""

    variant = "model"

    def __init__(self, path: Path) -> None:
        self._bag = BagReader(path)
        self._topics = [t for t in (DEPTH, DEPTH_STD, DEBLURRED, DEFOCUS, LATENCY) if t in self._bag.topics]
        self._moments: Iterator[_Moment] = iter(())
        self._current: _Moment | None = None
        self._last_stamp_ns: int | None = None

    def predict(self, frame: EvaluationFrame) -> Prediction | None:
        """The answer with the frame's stamp, None if there was none."""
        stamp = frame.stamp_ns
        if stamp is None:
            return None
        if self._last_stamp_ns is None or stamp < self._last_stamp_ns:
            self._moments = self._grouped()
            self._current = next(self._moments, None)
        self._last_stamp_ns = stamp
        while self._current is not None and self._current.stamp_ns < stamp:
            self._current = next(self._moments, None)
        if self._current is None or self._current.stamp_ns != stamp:
            return None
        return _prediction_of(self._current.messages)

    def close(self) -> None:
        """Release the bag."""
        self._bag.close()

    def _grouped(self) -> Iterator[_Moment]:
        moment: _Moment | None = None
        for message in self._bag.messages(self._topics):
            if moment is None or message.stamp_ns != moment.stamp_ns:
                if moment is not None:
                    yield moment
                moment = _Moment(message.stamp_ns, {})
            moment.messages[message.topic] = message
        if moment is not None:
            yield moment


def _prediction_of(messages: dict[str, BagMessage]) -> Prediction | None:
    maps = {
        name: depth_m_from_image(messages[topic].message)
        for name, topic in (("depth_m", DEPTH), ("depth_std_m", DEPTH_STD))
        if topic in messages
    }
    coc = messages.get(DEFOCUS)
    deblurred = messages.get(DEBLURRED)
    latency = messages.get(LATENCY)
    if not maps and coc is None and deblurred is None:
        return None
    return Prediction(
        **maps,
        coc_px=None if coc is None else float_map_from_image(coc.message),
        deblurred=None if deblurred is None else rgb_from_image(deblurred.message),
        latency_s={} if latency is None else {"end_to_end": float(latency.message.data)},
    )
