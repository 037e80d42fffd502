# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How a figure was measured. Published numbers differ by these choices more than by networks, so each has a name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.optics import DefocusCurve, resizing_softness_px
from dfd_perception.core.prediction import Prediction
from dfd_perception.core.size import Size
from dfd_perception.errors import ConfigError
from dfd_perception.evaluation.sources.frame import EvaluationFrame
from dfd_perception.files.configuration import plain


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which pixels count, and at which resolution."""

    name: str = "native"
    crop: tuple[float, float, float, float] | None = None
    """First row, end row, first column, end column of the part that counts, as fractions of height and width."""
    min_depth_m: float = 1e-3
    """Truth nearer than this does not count."""
    max_depth_m: float | None = None
    """Truth farther than this does not count; None: no cap."""
    clamp: bool = False
    """Move answers outside these bounds to them. Answers that are invalid stay so."""
    resolution: Size | None = None
    """Height and width that image and truth are resized to, the aspect ratio given up; None: their own."""
    edges: bool = True
    """Also measure the edge divergence (the slowest of the measures: most of a second at 640 x 480)."""
    headline: str = "pooled"
    """The mean that published figures of this protocol are: pooled, or mean_of_images."""

    def __post_init__(self) -> None:
        if self.crop is not None:
            top, bottom, left, right = self.crop
            if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
                raise ConfigError(f"crop is {self.crop}; expected top < bottom, left < right, fractions from 0 to 1")
        if self.clamp and self.max_depth_m is None:
            raise ConfigError("answers cannot be clamped to truth of any distance; give --max-depth too")
        if not self.min_depth_m >= 0 or (self.max_depth_m is not None and not self.max_depth_m > self.min_depth_m):
            raise ConfigError(
                f"depth from {self.min_depth_m} to {self.max_depth_m} m; expected 0 <= nearest < farthest"
            )

    def described(self) -> dict[str, Any]:
        """Plain values for the report."""
        return plain(self)

    def crop_mask(self, size: Size) -> NDArray[np.bool_]:
        """(H, W): the pixels that the crop leaves."""
        mask = np.ones(size, bool)
        if self.crop is not None:
            top, bottom, left, right = self.crop
            rows, columns = size
            mask[:] = False
            mask[round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)] = True
        return mask

    def applied(self, frame: EvaluationFrame) -> EvaluationFrame:
        """The frame at the protocol's resolution; blur in pixels and the lens scale with the width."""
        if self.resolution is None or frame.defocused.shape[:2] == self.resolution:
            return frame
        factor = self.resolution[1] / frame.defocused.shape[1]
        coc = None if frame.coc_px is None else sampled_at(frame.coc_px, self.resolution)
        if coc is not None:
            coc = np.hypot(coc * np.float32(factor), np.float32(resizing_softness_px(factor)))
        curve: DefocusCurve | None = frame.curve.scaled(factor) if frame.curve else None
        return replace(
            frame,
            defocused=image_at(frame.defocused, self.resolution),
            aif=None if frame.aif is None else image_at(frame.aif, self.resolution),
            seen=None if frame.seen is None else _resized_mask(frame.seen, self.resolution),
            depth_m=None if frame.depth_m is None else sampled_at(frame.depth_m, self.resolution),
            coc_px=coc,
            curve=curve,
            # Windows of a pair belong to the size that they were measured at.
            pair=None,
        )


EIGEN_CROP_NYU = (45 / 480, 471 / 480, 41 / 640, 601 / 640)
"""Rows 45 to 470 and columns 41 to 600 of 480 x 640: the part of NYU-Depth-V2 with valid projected depth."""

PROTOCOLS = {
    p.name: p
    for p in (
        Protocol(),
        Protocol(name="eigen-nyu", crop=EIGEN_CROP_NYU, max_depth_m=10.0, clamp=True, headline="mean_of_images"),
        Protocol(name="thesis-256", resolution=(256, 256), min_depth_m=0.0, headline="mean_of_images"),
    )
}
"""native: every pixel with truth, at the image's size, pooled. eigen-nyu: the field's for NYU-Depth-V2, answers
clamped. thesis-256: as the authors' code tests: resized to 256 x 256, no crop, no cap, the mean of per-image values."""


def protocol_named(name: str) -> Protocol:
    """One of PROTOCOLS.

    Raises:
        ConfigError: no such protocol.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"protocol is {name!r}; expected one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def image_at(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """An RGB image at (height, width)."""
    if image.shape[:2] == size:
        return image
    shrinking = size[0] < image.shape[0]
    # OpenCV takes (width, height)
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)


def sampled_at(values: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """A map at the pixels of an image of (height, width).

    Nearest: interpolation would invent distances between an object and what is behind it, and spread NaN.
    """
    return values if values.shape == size else cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def prediction_at(prediction: Prediction, size: Size) -> Prediction:
    """A prediction whose maps are those of an image of (height, width); a node's may be smaller."""
    depth, std, coc = prediction.depth_m, prediction.depth_std_m, prediction.coc_px
    return replace(
        prediction,
        depth_m=None if depth is None else sampled_at(depth, size),
        depth_std_m=None if std is None else sampled_at(std, size),
        coc_px=None if coc is None else sampled_at(coc, size) * np.float32(size[1] / coc.shape[1]),
        deblurred=None if prediction.deblurred is None else image_at(prediction.deblurred, size),
    )


def _resized_mask(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    # A pixel counts when all that it was made of does.
    return cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) > 1 - 1e-3
