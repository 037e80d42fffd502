"""The pixel layouts of sensor_msgs, as one table, and what turns each of them into RGB or metric depth.

Works on anything with the fields of a sensor_msgs/Image (a ROS message, a record of a bag), so that a node and an
offline evaluation read a picture alike. Results are those of cv_bridge, byte for byte, without needing it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.depth_encoding import depth_m_from_uint16_mm
from dfd_perception.core.preprocessing import LARGEST_SIDE_PX
from dfd_perception.errors import ImageError

Pixels = NDArray[Any]


class ImageFields(Protocol):
    """The fields of a sensor_msgs/Image that describe its pixels."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class Encoding(NamedTuple):
    """Memory layout of one pixel, and its conversion to 8-bit RGB."""

    dtype: str
    channels: int
    to_rgb: Callable[[Pixels], Pixels]
    even_width: bool = False


def _by(code: int) -> Callable[[Pixels], Pixels]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _rgb_from_mono16(pixels: Pixels) -> Pixels:
    # The whole 16-bit range onto 8 bits, as cv_bridge does.
    return cv2.cvtColor(cv2.convertScaleAbs(pixels, alpha=255 / 65535), cv2.COLOR_GRAY2RGB)


_UYVY = Encoding("u1", 2, _by(cv2.COLOR_YUV2RGB_UYVY), even_width=True)
_YUYV = Encoding("u1", 2, _by(cv2.COLOR_YUV2RGB_YUY2), even_width=True)

ENCODINGS: dict[str, Encoding] = {
    "mono8": Encoding("u1", 1, _by(cv2.COLOR_GRAY2RGB)),
    "mono16": Encoding("u2", 1, _rgb_from_mono16),
    "rgb8": Encoding("u1", 3, lambda pixels: pixels),
    "bgr8": Encoding("u1", 3, _by(cv2.COLOR_BGR2RGB)),
    "rgba8": Encoding("u1", 4, _by(cv2.COLOR_RGBA2RGB)),
    "bgra8": Encoding("u1", 4, _by(cv2.COLOR_BGRA2RGB)),
    # OpenCV names a mosaic by the second row's second and third pixel, ROS by the first row's first two.
    "bayer_rggb8": Encoding("u1", 1, _by(cv2.COLOR_BayerBG2RGB)),
    "bayer_bggr8": Encoding("u1", 1, _by(cv2.COLOR_BayerRG2RGB)),
    "bayer_gbrg8": Encoding("u1", 1, _by(cv2.COLOR_BayerGR2RGB)),
    "bayer_grbg8": Encoding("u1", 1, _by(cv2.COLOR_BayerGB2RGB)),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
}
"""Colour and grey encodings; uyvy and yuyv are the names that Iron gave to yuv422 and yuv422_yuy2."""

DEPTH_ENCODINGS = {"32FC1": "f4", "16UC1": "u2"}


def rgb_from_image(image: ImageFields) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a colour or grey image; of rgb8 a view.

    Raises:
        ImageError: an encoding that is not a picture's, or fields that contradict each other.
    """
    encoding = ENCODINGS.get(image.encoding)
    if encoding is None:
        hint = "; this is depth, not a picture" if image.encoding in DEPTH_ENCODINGS else ""
        raise ImageError(f"encoding is {image.encoding!r}{hint}; expected one of {', '.join(ENCODINGS)}")
    if encoding.even_width and image.width % 2:
        raise ImageError(f"{image.encoding} image is {image.width} pixels wide; it must be even, pairs share a colour")
    return encoding.to_rgb(_pixels(image, encoding.dtype, encoding.channels))


def depth_m_from_image(image: ImageFields) -> NDArray[np.float32]:
    """(H, W) depth [m], NaN where invalid, of a 32FC1 [m] or 16UC1 [mm] image.

    Raises:
        ImageError: another encoding, or fields that contradict each other.
    """
    dtype = DEPTH_ENCODINGS.get(image.encoding)
    if dtype is None:
        raise ImageError(f"depth encoding is {image.encoding!r}; expected 32FC1 (metres) or 16UC1 (millimetres)")
    pixels = _pixels(image, dtype, 1)
    if dtype == "u2":
        return depth_m_from_uint16_mm(pixels)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(pixels) & (pixels > 0), pixels, np.float32(np.nan))


def rgb_from_compressed(data: Any, described: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a sensor_msgs/CompressedImage.

    Args:
        data: its `data`.
        described: its `format`, such as "jpeg" or "rgb8; jpeg compressed bgr8".

    Raises:
        ImageError: not a JPEG or PNG picture, or one that is cut short.
    """
    content = np.frombuffer(data, np.uint8)
    if "compressedDepth" in described:
        raise ImageError(f"compressed format is {described!r}: depth, not a picture; expected jpeg or png")
    end = content[-1024:].tobytes()
    if content[:2].tobytes() == b"\xff\xd8":
        whole = b"\xff\xd9" in end
    elif content[:8].tobytes() == b"\x89PNG\r\n\x1a\n":
        whole = b"IEND" in end
    else:
        raise ImageError(f"compressed image of format {described!r} is neither JPEG nor PNG ({content.size} bytes)")
    # OpenCV fills what is missing with grey: never take that for a picture.
    if not whole:
        raise ImageError(f"compressed image is cut short after {content.size} bytes; its end mark is missing")
    image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ImageError(f"compressed image of format {described!r} cannot be decoded ({content.size} bytes)")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _pixels(image: ImageFields, dtype: str, channels: int) -> Pixels:
    """The pixels in the machine's byte order, (H, W) or (H, W, C), row padding cut off; a view where that can be."""
    height, width, step = image.height, image.width, image.step
    if not (1 <= height <= LARGEST_SIDE_PX and 1 <= width <= LARGEST_SIDE_PX):
        raise ImageError(f"image is {width}x{height}; expected 1 to {LARGEST_SIDE_PX} pixels a side")
    item = np.dtype(dtype)
    row = width * channels * item.itemsize
    if step < row:
        raise ImageError(f"step is {step}; a row of {width} {image.encoding} pixels takes {row} bytes")
    content = np.frombuffer(image.data, np.uint8)
    if content.size < step * height:
        raise ImageError(f"data holds {content.size} bytes; {height} rows of step {step} need {step * height}")
    rows = content[: step * height].reshape(height, step)[:, :row]
    pixels = np.ascontiguousarray(rows).view(item.newbyteorder(">" if image.is_bigendian else "<"))
    pixels = pixels.astype(item, copy=False)
    return pixels if channels == 1 else pixels.reshape(height, width, channels)
