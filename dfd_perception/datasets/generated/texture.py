# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Textures for generated scenes: patches of photographs, and painted ones beside them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.datasets.generated.painted import DETAILED_KINDS, KINDS, FloatImage, pattern, plain
from dfd_perception.errors import DatasetError
from dfd_perception.files.images import IMAGE_SUFFIXES, is_image

LONGEST_SIDE_PX = 1400
"""Of photographs; larger ones are made smaller."""

PHOTOGRAPH_SHARE = 0.6
"""The rest is painted, mostly nearly plain, as walls and tables are."""


class TextureBank:
    """Draws random textures; photographs where there are any, procedural ones beside them.

    Args:
        photographs: (H, W, 3) uint8 RGB images, sharp, of any size.
    """

    def __init__(self, photographs: Sequence[NDArray[np.uint8]] = ()) -> None:
        self.pyramids = [_pyramid(photograph) for photograph in photographs]
        self.photograph_share = PHOTOGRAPH_SHARE if photographs else 0.0
        """How often a photograph is drawn rather than a procedural texture."""
        self.detailed = False

    def rich_in_detail(self) -> TextureBank:
        """The same photographs, none magnified or faint, and few plain surfaces: blur can be read everywhere."""
        bank = copy(self)
        bank.detailed, bank.photograph_share = True, 0.5 if self.pyramids else 0.0
        return bank

    @classmethod
    def from_folder(cls, folder: Path) -> TextureBank:
        """Every image below `folder`.

        Raises:
            DatasetError: the folder holds no readable image.
        """
        photographs = []
        for path in sorted(filter(is_image, folder.rglob("*"))):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None or min(image.shape[:2]) < 64:
                continue
            scale = LONGEST_SIDE_PX / max(image.shape[:2])
            if scale < 1:
                image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            photographs.append(np.ascontiguousarray(image[..., ::-1]))
        if not photographs:
            raise DatasetError(f"{folder}: no image of 64 px or more found; expected {', '.join(IMAGE_SUFFIXES)}")
        return cls(photographs)

    def random(self, rng: np.random.Generator, size_px: int) -> FloatImage:
        """A (size, size, 3) texture in [0, 1]."""
        draw = rng.random()
        if draw < self.photograph_share:
            texture = self._photograph(rng, size_px)
        elif rng.random() < 0.6 and not self.detailed:
            texture = plain(rng, size_px)
        else:
            texture = pattern(rng, size_px, DETAILED_KINDS if self.detailed else KINDS)
        gain = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.06, 3))
        # Down to a tenth: tables, walls and floors show a faint grain at most.
        contrast = np.exp(rng.uniform(np.log(0.5 if self.detailed else 0.1), np.log(1.3)))
        mean = texture.mean((0, 1))
        return np.clip(gain * (mean + contrast * (texture - mean)), 0, 1).astype(np.float32)

    def on_plane(self, rng: np.random.Generator, x: FloatImage, y: FloatImage, inverse_depth: FloatImage) -> FloatImage:
        """A texture painted on a plane, as a pinhole camera sees it: detail shrinks with distance.

        Args:
            rng: draws the texture and how it lies.
            x, y: (H, W) image coordinates, -1 to 1.
            inverse_depth: (H, W) of the plane, positive, in any unit.
        """
        size_px = 2 * x.shape[0]
        texture = self.random(rng, size_px)
        # A point of the plane is its ray times its depth; any two directions across it span the texture.
        depth = inverse_depth.mean() / inverse_depth
        angle, zoom = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(np.log(0.6), np.log(1.4)))
        along, across = x * depth, y * depth + rng.normal(0, 0.5) * (depth - 1)
        u = (np.cos(angle) * along + np.sin(angle) * across) * zoom * size_px / 2 + size_px / 2
        v = (np.cos(angle) * across - np.sin(angle) * along) * zoom * size_px / 2 + size_px / 2
        return cv2.remap(
            texture, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )

    def _photograph(self, rng: np.random.Generator, size_px: int) -> FloatImage:
        pyramid = self.pyramids[rng.integers(len(self.pyramids))]
        level = pyramid[rng.integers(len(pyramid))].astype(np.float32) / 255
        height, width = level.shape[:2]
        # A few are magnified, as surfaces near the camera are: without fine detail, and not blurred by a lens. Only
        # their outlines tell. Many would teach that what is soft is in focus: with half of them, the reading stayed at
        # 4 px for every blur below 8.
        magnified = not self.detailed and rng.random() < 0.15
        zoom = float(np.exp(rng.uniform(0, np.log(4)))) if magnified else rng.uniform(0.45, 0.9)
        angle, shear = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.15, (2, 2))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        to_source = (turn + shear) / zoom
        centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        offset = centre - to_source @ np.full(2, size_px / 2)
        matrix = np.column_stack([to_source, offset])
        return cv2.warpAffine(
            level,
            matrix,
            (size_px, size_px),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )


def _pyramid(photograph: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    levels = [photograph]
    while min(levels[-1].shape[:2]) >= 160 and len(levels) < 4:
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return levels
