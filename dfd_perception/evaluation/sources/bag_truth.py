# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images and truth out of messages, and what truth has to be before it is believed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.bags.reader import BagMessage
from dfd_perception.core.camera_info import Rectified, image_camera
from dfd_perception.core.camera_window import stated_size
from dfd_perception.core.compressed_depth import depth_m_from_compressed
from dfd_perception.core.depth_encoding import MILLIMETRES
from dfd_perception.core.image_encoding import COMPRESSED_IMAGE_TYPE, depth_m_from_image, rgb_of
from dfd_perception.core.lens import LensDescription, ResolvedLens
from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError, DatasetError, ImageError

ASPECT_TOLERANCE = 0.02


class _ReadAs:
    """An image record read under another encoding."""

    def __init__(self, message: Any, encoding: str) -> None:
        self.height, self.width, self.step, self.data = message.height, message.width, message.step, message.data
        self.is_bigendian, self.encoding = message.is_bigendian, encoding


def image_of(record: BagMessage) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of an Image or a CompressedImage.

    Raises:
        ImageError: it cannot be decoded; names the topic.
    """
    try:
        return rgb_of(record.message)
    except ImageError as error:
        raise ImageError(f"topic {record.topic}: {error}") from error


def depth_m_of(record: BagMessage, unit_m: float | None) -> NDArray[np.float32]:
    """(H, W) depth [m], NaN where there is none, of an Image or of a CompressedImage of compressedDepth.

    Args:
        record: the message.
        unit_m: metres per count; None: millimetres for 16UC1, whose unit REP 118 gives. Floats are metres.

    Raises:
        ImageError: not depth, damaged, or mono16 without its unit.
    """
    message = record.message
    try:
        packed = record.msgtype == COMPRESSED_IMAGE_TYPE
        described = message.format if packed else message.encoding
        named, semicolon, rest = described.partition(";")
        if named.strip().lower() == "mono16":
            if unit_m is None:
                raise ImageError("mono16 has no unit; say which: --depth-unit mm, or metres per count such as 0.001")
            described = f"16UC1{semicolon}{rest}"
        unit_m = MILLIMETRES if unit_m is None else unit_m
        if packed:
            return depth_m_from_compressed(message.data, described, unit_m)
        return depth_m_from_image(_ReadAs(message, described), unit_m)
    except ImageError as error:
        raise ImageError(f"topic {record.topic}: {error}") from error


def require_registered(image: BagMessage, depth: BagMessage, any_frame: bool) -> None:
    """Compare the frames of an image and its depth.

    Raises:
        DatasetError: the depth is that of another camera.
    """
    of_image, of_depth = image.message.header.frame_id, depth.message.header.frame_id
    if of_image != of_depth and of_image and of_depth and not any_frame:
        raise DatasetError(
            f"depth {depth.topic} is in the frame {of_depth}, the image in {of_image}; register it first "
            "(dfd register), or --any-frame if it is registered and only named otherwise"
        )


def require_same_view(truth: NDArray[Any], image: NDArray[np.uint8], topic: str) -> None:
    """Truth may have another resolution, not another shape.

    Raises:
        DatasetError: it does not show what the image shows.
    """
    (h, w), (height, width) = truth.shape[:2], image.shape[:2]
    if abs(w / h / (width / height) - 1) > ASPECT_TOLERANCE:
        raise DatasetError(
            f"{topic} is {w} x {h} px, the image {width} x {height}: not the same field of view; truth must be "
            "registered to the image (dfd register)"
        )


def board(size: tuple[int, ...], distance_m: float, region: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """Truth of a flat board square to the camera: its distance [m] in a region (fractions), NaN around it."""
    depth = np.full(size, np.nan, np.float32)
    top, bottom, left, right = region
    depth[round(top * size[0]) : round(bottom * size[0]), round(left * size[1]) : round(right * size[1])] = distance_m
    return depth


def lens_on_camera(
    lens: LensDescription,
    info: Any,
    image_size: Size,
    topic: str,
    rectified: Rectified = "auto",
    fx_px: float | None = None,
) -> ResolvedLens | None:
    """A lens on the camera of images of (height, width).

    Args:
        info: camera_info of the image, or None.
        topic: of the image.
        rectified: see core.camera_info.image_camera.
        fx_px: instead of that of camera_info.

    Returns:
        None where neither fx nor a pixel pitch is known.
    """
    notes: tuple[str, ...] = ()
    if fx_px is None and info is not None:
        try:
            camera = image_camera(info, stated_size(info), topic, rectified)
        except CalibrationError as error:
            notes = (f"camera_info is not used: {error}",)
        else:
            # A recorded image may be smaller than what camera_info describes.
            fx_px, notes = camera.scaled(image_size).intrinsics.fx, camera.notes
    if fx_px is None and lens.data_sheet_fx_px is None:
        return None
    resolved = lens.resolved(fx_px)
    return resolved._replace(notes=(*notes, *resolved.notes))
