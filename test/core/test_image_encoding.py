"""Every pixel layout against values worked out by hand, and every way in which a message can be wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest

from dfd_perception.core.image_encoding import ENCODINGS, depth_m_from_image, rgb_from_compressed, rgb_from_image
from dfd_perception.errors import ImageError

HEIGHT, WIDTH = 6, 8


@dataclass(frozen=True)
class Message:
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


def message(pixels: np.ndarray, encoding: str, padding: int = 0, is_bigendian: int = 0) -> Message:
    """Pack pixels as a driver would, each row followed by `padding` bytes of rubbish."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
    return Message(height, width, encoding, is_bigendian, rows.shape[1], rows.tobytes())


def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
def test_channel_orders(padding):
    rgb = colours()
    alpha = np.full((HEIGHT, WIDTH, 1), 7, np.uint8)
    layouts = {
        "rgb8": rgb,
        "bgr8": rgb[..., ::-1],
        "rgba8": np.concatenate([rgb, alpha], 2),
        "bgra8": np.concatenate([rgb[..., ::-1], alpha], 2),
    }
    for encoding, pixels in layouts.items():
        assert np.array_equal(rgb_from_image(message(pixels, encoding, padding)), rgb), encoding


def test_mono8_is_grey():
    grey = colours()[..., 0]
    assert np.array_equal(rgb_from_image(message(grey, "mono8")), np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize("is_bigendian", [0, 1])
def test_mono16_keeps_its_whole_range_in_either_byte_order(is_bigendian):
    grey = np.array([[0, 257, 65535, 128 * 257], [1000, 128, 129, 33000]], ">u2" if is_bigendian else "<u2")
    expected = np.rint(grey.astype(float) * 255 / 65535)
    rgb = rgb_from_image(message(grey, "mono16", is_bigendian=is_bigendian))
    assert np.array_equal(rgb[..., 1], expected)
    assert expected[0].tolist() == [0, 1, 255, 128]


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_mosaics_of_one_colour(pattern):
    colour = {"r": 200, "g": 120, "b": 40}
    tile = np.array([[colour[pattern[0]], colour[pattern[1]]], [colour[pattern[2]], colour[pattern[3]]]], np.uint8)
    rgb = rgb_from_image(message(np.tile(tile, (4, 4)), f"bayer_{pattern}8"))
    assert rgb.shape == (8, 8, 3)
    assert np.array_equal(rgb[2:-2, 2:-2], np.broadcast_to(np.array([200, 120, 40], np.uint8), (4, 4, 3)))


@pytest.mark.parametrize(("encoding", "order"), [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"),
                                                ("yuyv", "yuyv")])  # fmt: skip
def test_yuv422_red_is_red(encoding, order):
    # Red in BT.601, video range: Y 81, U 90, V 240.
    value = {"y": 81, "u": 90, "v": 240}
    pair = np.array([value[letter] for letter in order], np.uint8).reshape(1, 2, 2)
    rgb = rgb_from_image(message(np.tile(pair, (4, 3, 1)), encoding))
    assert rgb.shape == (4, 6, 3)
    assert np.abs(rgb.astype(int) - [255, 0, 0]).max() <= 2


def test_results_are_those_of_cv_bridge():
    cv_bridge = pytest.importorskip("cv_bridge", reason="no cv_bridge of a ROS installation", exc_type=ImportError)
    from sensor_msgs.msg import Image

    bridge = cv_bridge.CvBridge()
    for encoding, layout in ENCODINGS.items():
        pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH * layout.channels), np.uint8)
        pixels = pixels.repeat(np.dtype(layout.dtype).itemsize, 1)
        ros = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=pixels.shape[1], data=pixels.tobytes())
        assert np.array_equal(rgb_from_image(ros), bridge.imgmsg_to_cv2(ros, "rgb8")), encoding


def test_depth_in_metres_and_in_millimetres():
    metres = np.array([[0.5, np.nan, np.inf], [0.0, -1.0, 65.0]], np.float32)
    read = depth_m_from_image(message(metres, "32FC1", padding=4))
    assert np.array_equal(read, [[0.5, np.nan, np.nan], [np.nan, np.nan, 65.0]], equal_nan=True)
    millimetres = np.array([[500, 0, 65535]], ">u2")
    read = depth_m_from_image(message(millimetres, "16UC1", is_bigendian=1))
    assert np.allclose(read, [[0.5, np.nan, 65.535]], equal_nan=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"encoding": "8UC3"}, r"encoding is '8UC3'; expected one of mono8"),
        ({"encoding": ""}, r"encoding is ''"),
        ({"encoding": "32FC1"}, "this is depth"),
        ({"step": WIDTH * 3 - 1}, "step is 23; a row of 8 rgb8 pixels takes 24 bytes"),
        ({"data": bytes(10)}, "data holds 10 bytes; 6 rows of step 24 need 144"),
        ({"data": b""}, "data holds 0 bytes"),
        ({"height": 0}, "image is 8x0"),
        ({"width": 100_000}, "image is 100000x6"),
        ({"encoding": "yuv422", "width": 7, "step": 14}, "it must be even"),
    ],
)
def test_wrong_messages_are_refused_in_one_line(change, says):
    with pytest.raises(ImageError, match=says) as caught:
        rgb_from_image(replace(message(colours(), "rgb8"), **change))
    assert "\n" not in str(caught.value)


def test_depth_refuses_pictures():
    with pytest.raises(ImageError, match="depth encoding is 'rgb8'; expected 32FC1"):
        depth_m_from_image(message(colours(), "rgb8"))


def compressed(kind: str) -> bytes:
    smooth = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (64, 96, 3), np.uint8), (0, 0), 6)
    return cv2.imencode(f".{kind}", smooth)[1].tobytes()


@pytest.mark.parametrize(
    ("kind", "described"), [("jpg", "jpeg"), ("jpg", "rgb8; jpeg compressed bgr8"), ("png", "png")]
)
def test_compressed_pictures(kind, described):
    packed = compressed(kind)
    expected = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(rgb_from_compressed(packed, described), expected)
    # Some cameras pad to a fixed size.
    assert np.array_equal(rgb_from_compressed(packed + bytes(100), described), expected)


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_cut_picture_is_refused(kind):
    packed = compressed(kind)
    with pytest.raises(ImageError, match="cut short"):
        rgb_from_compressed(packed[: len(packed) // 2], kind)


@pytest.mark.parametrize(
    ("data", "described", "says"),
    [
        (b"", "jpeg", "neither JPEG nor PNG"),
        (b"GIF89a....", "gif", "neither JPEG nor PNG"),
        (b"\xff\xd8" + bytes(50) + b"\xff\xd9", "jpeg", "cannot be decoded"),
        (b"\0" * 40, "16UC1; compressedDepth", "depth, not a picture"),
    ],
)
def test_compressed_messages_that_are_no_pictures(data, described, says):
    with pytest.raises(ImageError, match=says):
        rgb_from_compressed(data, described)
