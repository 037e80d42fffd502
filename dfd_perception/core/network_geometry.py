# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From an image to the network's input and back: the one place where size, padding and scaling happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.size import LARGEST_SIDE_PX, Size
from dfd_perception.errors import ImageError

SIZE_MULTIPLE = 32
"""The encoder halves its input five times."""

LARGEST_INPUT_PX = 3840 * 2176
"""Of the network: a 4K image. At this size the small network holds 1.3 GB."""


def planar_batch(image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 3) uint8 to (1, 3, H, W) float32 in [0, 1]."""
    batch = np.empty((1, 3, *image_rgb.shape[:2]), np.float32)
    # Plane by plane takes half the time of blobFromImage.
    for plane, into in zip(cv2.split(image_rgb), batch[0], strict=True):
        np.multiply(plane, np.float32(1 / 255), out=into)
    return batch


@dataclass(frozen=True)
class Geometry:
    """How an image of `image_size` sits in the network's input: resized to `network_size`, then padded.

    Sizes are (height, width) in pixels.
    """

    image_size: Size
    network_size: Size

    @classmethod
    def fitting(cls, image_size: Size, input_size: Size | None = None) -> Geometry:
        """Keep the image's size, or shrink or grow it, its aspect kept, to fit into `input_size`.

        Raises:
            ImageError: an empty or huge image.
        """
        if not all(1 <= side <= LARGEST_SIDE_PX for side in image_size):
            raise ImageError(f"image is {image_size[1]}x{image_size[0]}; expected 1 to {LARGEST_SIDE_PX} pixels a side")
        height, width = image_size
        if input_size is not None:
            scale = min(input_size[0] / image_size[0], input_size[1] / image_size[1])
            height, width = (max(1, round(side * scale)) for side in image_size)
        geometry = cls(image_size, (height, width))
        padded_height, padded_width = geometry.padded_size
        if padded_height * padded_width > LARGEST_INPUT_PX:
            raise ImageError(
                f"the network would get {padded_width}x{padded_height} pixels of an image of {image_size[1]}x"
                f"{image_size[0]}; it takes {LARGEST_INPUT_PX / 1e6:.1f} million at most. Make it smaller: "
                "parameter input.size, or --input-size"
            )
        return geometry

    @property
    def scale(self) -> float:
        """Network pixels per image pixel: blur and fx shrink by it."""
        return self.network_size[1] / self.image_size[1]

    @property
    def padded_size(self) -> Size:
        """`network_size` extended to multiples of 32."""
        height, width = self.network_size
        return height + -height % SIZE_MULTIPLE, width + -width % SIZE_MULTIPLE

    def to_network(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) uint8 RGB to (1, 3, H', W') float32 in [0, 1], border repeated to the padded size."""
        return planar_batch(self.to_network_uint8(image_rgb))

    def to_network_uint8(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB to (H', W', 3), resized and its border repeated to the padded size."""
        if image_rgb.shape != (*self.image_size, 3):
            raise ImageError(f"image has shape {image_rgb.shape}; expected {(*self.image_size, 3)}")
        if image_rgb.dtype != np.uint8:
            raise ImageError(f"image is {image_rgb.dtype}; expected uint8 RGB, 0 to 255")
        if self.network_size != self.image_size:
            shrinking = self.scale < 1
            image_rgb = cv2.resize(
                image_rgb,
                self.network_size[::-1],  # OpenCV takes (width, height)
                interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC,
            )
        bottom, right = (p - n for p, n in zip(self.padded_size, self.network_size, strict=True))
        if bottom or right:
            image_rgb = cv2.copyMakeBorder(image_rgb, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        return image_rgb

    def map_from_network(self, plane: NDArray[np.float32], output_size: Size | None = None) -> NDArray[np.float32]:
        """(H', W') map of the network to (H, W) of the image or `output_size`, always an array of its own.

        Values are not rescaled.
        """
        height, width = self.network_size
        size = output_size or self.image_size
        cropped = plane[:height, :width]
        if size == (height, width):
            return cropped.copy()
        return cv2.resize(cropped, size[::-1], interpolation=cv2.INTER_LINEAR)

    def image_from_network(self, image: NDArray[Any], output_size: Size | None = None) -> NDArray[np.uint8]:
        """(3, H', W') float32 in [0, 1] or (H', W', 3) uint8 to (H, W, 3) uint8 RGB, always an array of its own."""
        height, width = self.network_size
        if image.dtype == np.uint8:
            rgb = image[:height, :width].copy()
        else:
            rgb = cv2.merge([cv2.convertScaleAbs(plane[:height, :width], alpha=255) for plane in image])
        size = output_size or self.image_size
        return rgb if rgb.shape[:2] == size else cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_CUBIC)
