# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The scenes of the demo: what the bag holds, as truth to measure the node's answers against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.bags.reader import BagReader
from dfd_perception.core.image_encoding import depth_m_of, rgb_of
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.environment import shipped_path
from dfd_perception.errors import DatasetError

IMAGE_TOPIC = "/camera/image/compressed"
INFO_TOPIC = "/camera/camera_info"
DEPTH_TOPIC = "/truth/depth"
AIF_TOPIC = "/truth/aif/compressed"


@dataclass
class SceneFrame:
    """One frame of the bag: the input and its truth."""

    defocused: NDArray[np.uint8]
    aif: NDArray[np.uint8]
    depth_m: NDArray[np.float32]


def demo_folder() -> Path:
    """Where demo/ lies: in the source tree, or in an installation's share.

    Raises:
        DatasetError: it is not there.
    """
    folder = shipped_path("demo")
    if not (folder / "scene_bag").is_dir():
        raise DatasetError(f"{folder}: the demo's scenes are not there; expected scene_bag in it")
    return folder


def read_scene(bag_path: Path) -> dict[int, SceneFrame]:
    """All frames of the bag by their header's stamp [ns]."""
    parts: dict[int, dict[str, NDArray[Any]]] = {}
    with BagReader(bag_path) as bag:
        for topic, _, _, message in bag.messages([IMAGE_TOPIC, DEPTH_TOPIC, AIF_TOPIC]):
            moment = parts.setdefault(header_stamp_ns(message.header), {})
            moment[topic] = depth_m_of(message) if topic == DEPTH_TOPIC else rgb_of(message)
    return {stamp: SceneFrame(part[IMAGE_TOPIC], part[AIF_TOPIC], part[DEPTH_TOPIC]) for stamp, part in parts.items()}
