# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Image files as bytes, read and written: 8-bit RGB or a 16-bit map. One way for messages, recordings and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.image_header import (
    LARGEST_IMAGE_PX,
    UPRIGHT,
    is_jpeg_or_png,
    read_header,
    require_area,
    require_decodable,
)
from dfd_perception.errors import ImageError

TWELVE_BITS = 4095
SIXTEEN_BITS = 65535
OPENCV_LIMIT = "CV_IO_MAX_IMAGE"
"""What OpenCV names when an image is larger than the variable OPENCV_IO_MAX_IMAGE_PIXELS lets it be."""
_JPEG_GREY = 128
_ANY_DATA = b"".join(bytes(range(0x11, 0x51)) + bytes((0xFF, 0xD0 + number)) for number in range(8))
"""With restart marks, since a scan that has them goes on at the one that it expects."""

_TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}
"""Exif orientation to what puts the stored pixels upright."""


def eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """8 bits a channel of 8 or 16: the whole range onto 0 to 255.

    Machine vision cameras store 12 bits in 16 without saying so. Values that never leave those 12 bits would come out
    black (at most 15 of 255), so that 4095 is their white.

    Raises:
        ImageError: another type.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype != np.uint16:
        raise ImageError(f"image is {pixels.dtype}; expected 8 or 16 bits a channel")
    white = TWELVE_BITS if pixels.size and int(pixels.max()) <= TWELVE_BITS else SIXTEEN_BITS
    return cv2.convertScaleAbs(np.ascontiguousarray(pixels), alpha=255 / white)


def decoded_rgb(content: bytes, upright: bool = False) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of the bytes of an image: colour, grey, palette or with alpha, of 8 or 16 bits.

    Args:
        content: a JPEG or PNG, which padding may follow, or another format that OpenCV reads.
        upright: turn as Exif says, for people. Without, pixels stay as stored: K and depth belong to those.

    Raises:
        ImageError: no image, cut short, or larger than any camera's.
    """
    rgb = rgb_of_decoded(decoded_pixels(content))
    turn = _TURNS.get(orientation_of(content)) if upright else None
    return rgb if turn is None else np.ascontiguousarray(turn(rgb))


def rgb_of_decoded(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of what `decoded_pixels` gives.

    Raises:
        ImageError: of another number of channels or bits.
    """
    if pixels.ndim == 2:
        return cv2.cvtColor(eight_bits(pixels), cv2.COLOR_GRAY2RGB)
    if pixels.shape[2] in (3, 4):
        code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB
        return cv2.cvtColor(eight_bits(pixels), code)
    raise ImageError(f"image has {pixels.shape[2]} channels; expected 1, 3 or 4")


def decoded_pixels(content: bytes) -> NDArray[Any]:
    """Pixels as stored, (H, W) or (H, W, C) in the order blue, green, red, alpha; their type tells the bits.

    Raises:
        ImageError: no image, cut short, or larger than any camera's.
    """
    header = read_header(content) if is_jpeg_or_png(content) else None
    if header is not None:
        require_decodable(header, len(content))
        content = content[: header.length]
    if not content:
        raise ImageError("no image: it is empty (0 bytes)")
    pixels = _decoded(content)
    require_area(pixels.shape[1], pixels.shape[0])
    if header is not None and header.kind == "jpeg" and _lacks_data(content, pixels, header.progressive):
        raise ImageError(f"JPEG of {len(content)} bytes lacks data: the rest of it would be grey; take it again")
    return pixels


def _decoded(content: bytes) -> NDArray[Any]:
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        if OPENCV_LIMIT in (error.err or ""):
            raise ImageError(
                f"image has more than {LARGEST_IMAGE_PX / 1e6:.0f} million pixels, the most that is taken; resize it"
            ) from error
        raise ImageError(f"cannot be decoded ({len(content)} bytes): {error.err or error}") from error
    if pixels is None:
        raise ImageError(f"cannot be decoded as an image ({len(content)} bytes)")
    return pixels


def _lacks_data(content: bytes, pixels: NDArray[Any], progressive: bool) -> bool:
    """Whether a JPEG with its end mark ran out of data before it: a camera that lost some, a file that was mended.

    libjpeg takes grey (of a progressive one: less detail) for what is missing, and says so on stderr alone. It does
    not read what stands between the last block and the end mark; where blocks lack, it does: then bytes put there
    change the image. Decoded twice only where the last pixel is that grey, or the scans may lack detail.
    """
    if not progressive and (pixels[-1, -1] != _JPEG_GREY).any():
        return False
    return not np.array_equal(_decoded(content[:-2] + _ANY_DATA + content[-2:]), pixels)


def png_bytes(image: NDArray[np.uint8] | NDArray[np.uint16], options: Sequence[int] = ()) -> bytes:
    """The PNG of (H, W, 3) uint8 RGB, or of (H, W) uint8 or uint16.

    Args:
        options: of OpenCV's encoder, as pairs.

    Raises:
        ImageError: not an image that PNG can hold.
    """
    return _encoded(".png", image, options)


def jpeg_bytes(image: NDArray[np.uint8], quality: int, full_colour: bool = False) -> bytes:
    """The JPEG of (H, W, 3) uint8 RGB or (H, W) uint8.

    Args:
        quality: 1 to 100.
        full_colour: keep the colour of each pixel (4:4:4); else 2 x 2 pixels share one, as in most photographs.

    Raises:
        ImageError: not an image that JPEG can hold.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if full_colour and hasattr(cv2, "IMWRITE_JPEG_SAMPLING_FACTOR"):  # from OpenCV 4.7; Ubuntu 24.04 has 4.6
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encoded(".jpg", image, options)


def _encoded(suffix: str, image: NDArray[Any], options: Sequence[int]) -> bytes:
    stored = image[..., ::-1] if image.ndim == 3 else image
    try:
        return cv2.imencode(suffix, stored, list(options))[1].tobytes()
    except cv2.error as error:
        kind = suffix[1:].upper()
        raise ImageError(f"an image {image.shape} of {image.dtype} cannot be written as {kind}") from error


def orientation_of(content: bytes) -> int:
    """Exif orientation of a JPEG or PNG; 1 (upright) of anything else."""
    return read_header(content).orientation if is_jpeg_or_png(content) else UPRIGHT
