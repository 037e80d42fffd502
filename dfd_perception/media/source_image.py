# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One image of a source, and what every source promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class SourceImage:
    """An image as it came."""

    name: str
    """Fit for a file name: the file's stem, or the video's stem and the number of the frame."""
    image_rgb: NDArray[np.uint8]
    """(H, W, 3) uint8 RGB."""
    time_s: float
    """Seconds since the first image: by the video's clock, for a camera by this machine's, for files always 0."""
    path: Path | None = None
    """The file, of an image file."""


class ImageSource(Protocol):
    """Images one at a time. Iterating again starts again, where that is possible."""

    name: str
    """For people and for file names: a stem, a folder's name, camera0."""
    live: bool
    """Images come whether they are asked for or not, and one that is not taken in time is lost."""
    rate_hz: float | None
    """Images a second; None where they have no rate of their own (files)."""

    def __len__(self) -> int:
        """Number of images; 0 where only the end tells."""
        ...

    def images(self) -> Iterator[SourceImage]:
        """The images.

        Raises:
            ImageError: the source cannot be opened, or an image cannot be read.
        """
        ...

    def close(self) -> None:
        """Release what is open."""
        ...
