# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The pixel layouts of sensor_msgs, as one table, and what turns each of them into RGB or metric depth.

Works on anything with the fields of a sensor_msgs/Image (a ROS message, a record of a bag), so that a node and an
offline evaluation read an image alike. Results are those of cv_bridge, byte for byte, without needing it; only 12 bits
in 16 come out brighter than its black.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.compressed_depth import depth_m_from_compressed, holds_depth
from dfd_perception.core.depth_encoding import MILLIMETRES, depth_m_from_counts, depth_m_from_float
from dfd_perception.core.image_bytes import decoded_pixels, eight_bits, rgb_of_decoded
from dfd_perception.core.image_header import is_jpeg_or_png, require_area
from dfd_perception.errors import ImageError, counted

Pixels = NDArray[Any]


IMAGE_TYPE, COMPRESSED_IMAGE_TYPE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
"""Names of the message types that hold images."""


class ImageFields(Protocol):
    """The fields of a sensor_msgs/Image that describe its pixels."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class CompressedFields(Protocol):
    """The fields of a sensor_msgs/CompressedImage."""

    format: str
    data: Any


class Encoding(NamedTuple):
    """Memory layout of an image, and its conversion to 8-bit RGB."""

    dtype: str
    channels: int
    to_rgb: Callable[[Pixels], Pixels]
    even_width: bool = False
    even_height: bool = False
    rows: tuple[int, int] = (1, 1)
    """Rows in memory per row of the image, as a fraction: chroma planes lie below the luminance."""


def _by(code: int) -> Callable[[Pixels], Pixels]:
    return lambda pixels: cv2.cvtColor(eight_bits(pixels), code)


def _by_mosaic(code: int) -> Callable[[Pixels], Pixels]:
    # Interpolated at the bits that the sensor gave, then brought to 8.
    return lambda pixels: eight_bits(cv2.cvtColor(pixels, code))


# R, G, B of Y, Cb, Cr in video range (ITU-R BT.601), as OpenCV's conversions of the subsampled layouts have it.
_RGB_FROM_YCBCR = np.array(
    [[1.164, 0.0, 1.596, -222.912], [1.164, -0.391, -0.813, 135.488], [1.164, 2.018, 0.0, -276.928]], np.float32
)


def _rgb_from_nv24(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[0] // 3, pixels.shape[1]
    chroma = np.ascontiguousarray(pixels[height:]).reshape(height, width, 2)
    return cv2.transform(np.dstack([pixels[:height], chroma]), _RGB_FROM_YCBCR)


_GREY = Encoding("u1", 1, _by(cv2.COLOR_GRAY2RGB))
_BGR = Encoding("u1", 3, _by(cv2.COLOR_BGR2RGB))
_BGRA = Encoding("u1", 4, _by(cv2.COLOR_BGRA2RGB))
_BGR_16, _BGRA_16 = _BGR._replace(dtype="u2"), _BGRA._replace(dtype="u2")
_UYVY = Encoding("u1", 2, _by(cv2.COLOR_YUV2RGB_UYVY), even_width=True)
_YUYV = Encoding("u1", 2, _by(cv2.COLOR_YUV2RGB_YUY2), even_width=True)
_PLANAR = Encoding("u1", 1, _by(cv2.COLOR_YUV2RGB_NV12), even_width=True, even_height=True, rows=(3, 2))

# OpenCV names a mosaic by the second row's second and third pixel, ROS by the first row's first two.
_MOSAICS = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}

ENCODINGS: dict[str, Encoding] = {
    "mono8": _GREY,
    "mono16": _GREY._replace(dtype="u2"),
    "rgb8": Encoding("u1", 3, lambda pixels: pixels),
    "bgr8": _BGR,
    "rgba8": Encoding("u1", 4, _by(cv2.COLOR_RGBA2RGB)),
    "bgra8": _BGRA,
    "rgb16": Encoding("u2", 3, eight_bits),
    "bgr16": _BGR_16,
    "rgba16": Encoding("u2", 4, _by(cv2.COLOR_RGBA2RGB)),
    "bgra16": _BGRA_16,
    **{f"bayer_{name}8": Encoding("u1", 1, _by_mosaic(code)) for name, code in _MOSAICS.items()},
    **{f"bayer_{name}16": Encoding("u2", 1, _by_mosaic(code)) for name, code in _MOSAICS.items()},
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "yvyu": _YUYV._replace(to_rgb=_by(cv2.COLOR_YUV2RGB_YVYU)),
    "nv12": _PLANAR,
    "nv21": _PLANAR._replace(to_rgb=_by(cv2.COLOR_YUV2RGB_NV21)),
    "nv24": Encoding("u1", 1, _rgb_from_nv24, rows=(3, 1)),
    "i420": _PLANAR._replace(to_rgb=_by(cv2.COLOR_YUV2RGB_I420)),
    "yv12": _PLANAR._replace(to_rgb=_by(cv2.COLOR_YUV2RGB_YV12)),
    # OpenCV's own names, without an order of colours: cv_bridge takes them for blue, green, red.
    "8uc1": _GREY,
    "8uc3": _BGR,
    "8uc4": _BGRA,
    "16uc3": _BGR_16,
    "16uc4": _BGRA_16,
}
"""Colour and grey encodings in small letters; uyvy and yuyv are what Iron calls yuv422 and yuv422_yuy2."""

_MOSAIC_ENCODINGS = tuple(encoding for name, encoding in ENCODINGS.items() if name.startswith("bayer_"))
"""image_transport packs them as colour; what is packed with one channel still is the mosaic."""

SPELLINGS = {
    "rgb": "rgb8", "rgb888": "rgb8", "bgr": "bgr8", "bgr888": "bgr8", "rgba": "rgba8", "bgra": "bgra8",
    "mono": "mono8", "grey": "mono8", "gray": "mono8", "gray8": "mono8", "grey8": "mono8", "y8": "mono8",
    "y16": "mono16", "gray16": "mono16", "grey16": "mono16",
    "yuy2": "yuyv", "yuv422_uyvy": "uyvy", "yuv420": "i420", "yuv420p": "i420", "yuv_i420": "i420",
    **{f"bayer{name}{bits}": f"bayer_{pattern}{bits}" for bits in (8, 16) for name, pattern in
       {"rg": "rggb", "bg": "bggr", "gb": "gbrg", "gr": "grbg"}.items()},
}  # fmt: skip
"""What drivers also call them; BayerRG8 is GenICam's name, by the first row's first two pixels as in ROS."""

DEPTH_ENCODINGS = {"32FC1": "f4", "16UC1": "u2"}

LONGEST_NAME = 40
"""Of an encoding in a message for people; some fill the field with rubbish."""


def encoding_named(name: str) -> Encoding | None:
    """The layout of an encoding, however a driver spells it; None for one that is no image to look at."""
    # Microcontrollers send the byte that ends a text in C with it.
    plain = name.strip(" \t\r\n\0").lower().replace("-", "_")
    return ENCODINGS.get(SPELLINGS.get(plain, plain))


def is_depth_encoding(name: str) -> bool:
    """Whether the encoding is that of depth: 32FC1 or 16UC1."""
    return name.strip().upper() in DEPTH_ENCODINGS


def rgb_of(message: ImageFields | CompressedFields) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of an image message, raw or compressed.

    Raises:
        ImageError: one line that says what is wrong with the message.
    """
    if hasattr(message, "format"):
        return rgb_from_compressed(message.data, message.format)
    return rgb_from_image(message)


def depth_m_of(message: ImageFields | CompressedFields, metres_per_count: float = MILLIMETRES) -> NDArray[np.float32]:
    """(H, W) depth [m], NaN where there is none: integers are counts (REP 118: millimetres), floats metres.

    Raises:
        ImageError: not depth, damaged, or fewer bytes than stated.
    """
    if hasattr(message, "format"):
        return depth_m_from_compressed(message.data, message.format, metres_per_count)
    return depth_m_from_image(message, metres_per_count)


def rgb_from_image(image: ImageFields) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a colour or grey image; of rgb8 a view.

    Raises:
        ImageError: an encoding that is not an image's, or fields that contradict each other.
    """
    encoding = encoding_named(image.encoding)
    if encoding is None:
        hint = "; this is depth, not an image" if is_depth_encoding(image.encoding) else ""
        raise ImageError(f"encoding is {_shown(image.encoding)}{hint}; expected one of {', '.join(ENCODINGS)}")
    for even, side, length in (
        (encoding.even_width, "wide", image.width),
        (encoding.even_height, "high", image.height),
    ):
        if even and length % 2:
            raise ImageError(f"{image.encoding} image is {length} pixels {side}; it must be even, pairs share a colour")
    return encoding.to_rgb(_pixels(image, encoding))


def depth_m_from_image(image: ImageFields, metres_per_count: float = MILLIMETRES) -> NDArray[np.float32]:
    """(H, W) depth [m], NaN where invalid, of a 32FC1 [m] or 16UC1 image.

    Args:
        image: the message.
        metres_per_count: unit of 16UC1; millimetres by REP 118, others by some drivers.

    Raises:
        ImageError: another encoding, or fields that contradict each other.
    """
    dtype = DEPTH_ENCODINGS.get(image.encoding.strip().upper())
    if dtype is None:
        raise ImageError(f"depth encoding is {_shown(image.encoding)}; expected 32FC1 (metres) or 16UC1 (millimetres)")
    pixels = _pixels(image, Encoding(dtype, 1, eight_bits))
    return depth_m_from_counts(pixels, metres_per_count) if dtype == "u2" else depth_m_from_float(pixels)


def float_map_from_image(image: ImageFields) -> NDArray[np.float32]:
    """(H, W) float32 numbers of a 32FC1 image, as they are: blur [px] may be 0.

    Raises:
        ImageError: another encoding, or fields that contradict each other.
    """
    if image.encoding.strip().upper() != "32FC1":
        raise ImageError(f"encoding is {_shown(image.encoding)}; expected 32FC1")
    return _pixels(image, Encoding("f4", 1, eight_bits))


def rgb_from_compressed(data: Any, described: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a sensor_msgs/CompressedImage.

    Args:
        data: its `data`.
        described: its `format`, such as "jpeg" or "rgb8; jpeg compressed bgr8". What it says of the packing is not
            relied on: the content tells.

    Raises:
        ImageError: depth, not a JPEG or PNG, or one that is cut short or too large.
    """
    if holds_depth(described):
        raise ImageError(f"compressed format is {_shown(described)}: this is depth, not an image; expected jpeg or png")
    content = bytes(memoryview(data))
    if not is_jpeg_or_png(content):
        raise ImageError(
            f"compressed image of format {_shown(described)} is neither JPEG nor PNG ({len(content)} bytes)"
        )
    try:
        pixels = decoded_pixels(content)
        stored = encoding_named(described.partition(";")[0])
        if pixels.ndim == 2 and stored in _MOSAIC_ENCODINGS:
            return stored.to_rgb(pixels)
        return rgb_of_decoded(pixels)
    except ImageError as error:
        raise ImageError(f"compressed image of format {_shown(described)}: {error}") from error


def _shown(name: str) -> str:
    return repr(name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}...")


def _pixels(image: ImageFields, encoding: Encoding) -> Pixels:
    """The pixels in the machine's byte order, (H, W) or (H, W, C), row padding cut off; a view where that can be."""
    width, step, channels = image.width, image.step, encoding.channels
    require_area(width, image.height)
    height = image.height * encoding.rows[0] // encoding.rows[1]
    item = np.dtype(encoding.dtype)
    row = width * channels * item.itemsize
    if step < row:
        raise ImageError(f"step is {step}; a row of {width} {image.encoding} pixels takes {row} bytes")
    content = np.frombuffer(image.data, np.uint8)
    # The last row may come without its padding (GStreamer leaves it out).
    if content.size < step * (height - 1) + row:
        raise ImageError(
            f"data holds {content.size} bytes; {counted(height, 'row')} of step {step} need {step * height}"
        )
    if content.size < step * height:
        content = np.concatenate([content, np.zeros(step * height - content.size, np.uint8)])
    rows = content[: step * height].reshape(height, step)[:, :row]
    pixels = np.ascontiguousarray(rows).view(item.newbyteorder(">" if image.is_bigendian else "<"))
    pixels = pixels.astype(item, copy=False)
    return pixels if channels == 1 else pixels.reshape(height, width, channels)
