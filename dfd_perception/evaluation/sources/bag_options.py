# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How to read a bag as ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dfd_perception.core.camera_info import Rectified
from dfd_perception.errors import ConfigError

FARTHEST_BOARD_M = 100.0
"""A larger distance is a slip of units."""


@dataclass(frozen=True, kw_only=True)
class BagOptions:
    """Topics, pairing and truth, as asked for."""

    image_topic: str | None = None
    """Defocused image; None: found."""
    depth_topic: str | None = None
    aif_topic: str | None = None
    bound_ms: float = 20.0
    """Largest distance in time of an image and its truth."""
    stamps: Literal["header", "log"] = "header"
    """What frames are paired by: the header's stamp, or the time of recording."""
    depth_unit_m: float | None = None
    """Metres per count of integer depth; None: millimetres for 16UC1, and mono16 is refused. Of data sets, too."""
    any_frame: bool = False
    """Take depth of another frame_id as registered to the image."""
    board_distance_m: float | None = None
    """A flat board square to the camera at this distance is the truth, instead of a depth topic."""
    board_region: tuple[float, float, float, float] = (0.25, 0.75, 0.25, 0.75)
    """Where in the image the board is: first row, end row, first column, end column, as fractions."""
    rectified: Rectified = "auto"
    """Whether images are rectified, so that fx is that of P; auto: by the topic's name and camera_info."""
    max_frames: int | None = None
    """Stop after so many images."""

    def __post_init__(self) -> None:
        if not 0 <= self.bound_ms < float("inf"):
            raise ConfigError(f"the largest distance of a pair is {self.bound_ms} ms; expected 0 or more")
        if self.board_distance_m is not None and not 0 < self.board_distance_m <= FARTHEST_BOARD_M:
            raise ConfigError(f"the board's distance is {self.board_distance_m} m; expected up to {FARTHEST_BOARD_M:g}")
        top, bottom, left, right = self.board_region
        if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
            region = " ".join(f"{edge:g}" for edge in self.board_region)
            raise ConfigError(f"the board's region is {region}; expected fractions TOP BOTTOM LEFT RIGHT")
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"frames are at most {self.max_frames}; expected 1 or more, or none given for all")
