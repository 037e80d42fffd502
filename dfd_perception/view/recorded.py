# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A bag in which the node's answers were recorded: they are shown as they are, no model runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dfd_perception.bags.reader import BagReader
from dfd_perception.core.camera_info import shown_camera
from dfd_perception.core.image_encoding import (
    COMPRESSED_IMAGE_TYPE,
    IMAGE_TYPE,
    depth_m_from_image,
    encoding_named,
    float_map_from_image,
    rgb_of,
)
from dfd_perception.core.prediction import Prediction
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.view.assembly import ENDINGS, FrameAssembler
from dfd_perception.view.scene import SceneImage

OWN = ("depth/image_color",)
"""Images of the node that are no input either."""


def answers_of(bag: BagReader) -> dict[str, str]:
    """The topics of a node in a bag, by what they are; empty where no node's answers were recorded."""
    answers = {
        kind: name
        for kind, ending in ENDINGS.items()
        for name, topic in bag.topics.items()
        if name.endswith(f"/{ending}") and topic.message_count
    }
    return answers if "depth" in answers and answers.keys() & {"std", "blur", "deblurred"} else {}


class RecordedScene:
    """A node's answers, and the images that it answered where they were recorded too."""

    live = False

    def __init__(self, path: Path) -> None:
        """Open the bag.

        Raises:
            DatasetError: unreadable.
        """
        self.title = path.resolve().name
        self._bag = BagReader(path)
        self._topics = answers_of(self._bag)
        image = self._input()
        if image is not None:
            self._topics["input"] = image

    def images(self) -> Iterator[SceneImage]:
        """Moments of which every topic has its message."""
        kinds = {name: kind for kind, name in self._topics.items()}
        assembler, began_ns = FrameAssembler(), None
        for kind in kinds.values():
            assembler.add(kind, -1, None, 0.0)
        for record in self._bag.messages(list(kinds)):
            stamp_ns = header_stamp_ns(record.message.header)
            parts = assembler.add(kinds[record.topic], stamp_ns, record, 0.0)
            if parts is None:
                continue
            began_ns = stamp_ns if began_ns is None else began_ns
            yield self._moment(parts, stamp_ns, (stamp_ns - began_ns) * 1e-9)

    def close(self) -> None:
        """Release the bag."""
        self._bag.close()

    def _moment(self, parts: dict[str, Any], stamp_ns: int, time_s: float) -> SceneImage:
        def read(kind: str, reader: Any) -> Any:
            return reader(parts[kind].message) if kind in parts else None

        depth_m = read("depth", depth_m_from_image)
        deblurred = read("deblurred", rgb_of)
        image = read("input", rgb_of)
        info = parts["camera"].message if "camera" in parts else None
        return SceneImage(
            name="",
            image_rgb=image,
            time_s=time_s,
            stamp_ns=stamp_ns,
            camera=shown_camera(info, depth_m.shape, self._topics.get("input", "")),
            recorded=Prediction(
                depth_m=depth_m,
                depth_std_m=read("std", depth_m_from_image),
                coc_px=read("blur", float_map_from_image),
                deblurred=deblurred,
            ),
        )

    def _input(self) -> str | None:
        """The image topic that is no answer: the one of the node's own input name first."""
        own = set(self._topics.values())
        candidates = [
            name
            for name in self._bag.topics_of_type(IMAGE_TYPE, COMPRESSED_IMAGE_TYPE)
            if name not in own and not name.endswith(OWN) and self._is_colour(name)
        ]
        return min(candidates, key=lambda name: (not name.endswith(("/image", "/image_raw")), name), default=None)

    def _is_colour(self, name: str) -> bool:
        if self._bag.topics[name].msgtype == COMPRESSED_IMAGE_TYPE:
            return True
        return any(encoding_named(record.message.encoding) is not None for record in _first(self._bag, name))


def _first(bag: BagReader, name: str) -> Iterator[Any]:
    for message in bag.messages([name]):
        yield message
        return
