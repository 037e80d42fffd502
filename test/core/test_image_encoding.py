# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Every pixel layout against values worked out by hand, and every way in which a message can be wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest

from dfd_perception.core.image_encoding import (
    ENCODINGS,
    depth_m_from_image,
    encoding_named,
    rgb_from_compressed,
    rgb_from_image,
)
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


@pytest.mark.parametrize(("name", "same"), [("BayerRG8", "rggb"), ("BayerBG8", "bggr"), ("BayerGB8", "gbrg"),
                                           ("bayer_gr8", None), ("BayerGR8", "grbg")])  # fmt: skip
def test_mosaics_by_the_names_of_genicam(name, same):
    assert encoding_named(name) is (None if same is None else ENCODINGS[f"bayer_{same}8"])


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_mosaic_that_was_packed_as_one_channel_is_still_a_mosaic(suffix):
    tile = np.array([[200, 120], [120, 40]], np.uint8)
    packed = cv2.imencode(suffix, np.tile(tile, (16, 16)))[1].tobytes()
    rgb = rgb_from_compressed(packed, f"bayer_rggb8; {suffix[1:]} compressed ")
    bound = 0 if suffix == ".png" else 12
    assert np.abs(rgb[4:-4, 4:-4].astype(int) - [200, 120, 40]).max() <= bound
    colour = cv2.imencode(".png", np.full((8, 8, 3), (40, 120, 200), np.uint8))[1].tobytes()
    rgb = rgb_from_compressed(colour, "bayer_rggb8; png compressed bgr8")
    assert (rgb == [200, 120, 40]).all()


@pytest.mark.parametrize(("encoding", "order"), [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"),
                                                ("yuyv", "yuyv"), ("yvyu", "yvyu")])  # fmt: skip
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
    for name, layout in ENCODINGS.items():
        if layout.rows != (1, 1) or name.startswith("16uc"):
            continue  # cv_bridge does not convert these
        encoding = name.upper() if "uc" in name else name
        pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH * layout.channels), np.uint8)
        pixels = pixels.repeat(np.dtype(layout.dtype).itemsize, 1)
        ros = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=pixels.shape[1], data=pixels.tobytes())
        assert np.array_equal(rgb_from_image(ros), bridge.imgmsg_to_cv2(ros, "rgb8")), encoding


def test_depth_in_metres_and_in_millimetres():
    metres = np.array([[0.5, np.nan, np.inf], [0.0, -1.0, 65.0]], np.float32)
    read = depth_m_from_image(message(metres, "32FC1", padding=4))
    assert np.array_equal(read, [[0.5, np.nan, np.nan], [np.nan, np.nan, 65.0]], equal_nan=True)
    millimetres = np.array([[500, 0, 65535, 65534]], ">u2")
    read = depth_m_from_image(message(millimetres, "16UC1", is_bigendian=1))
    assert np.allclose(read, [[0.5, np.nan, np.nan, 65.534]], equal_nan=True)
    # An SR300 counts in eighths of a millimetre.
    read = depth_m_from_image(message(millimetres, "16UC1", is_bigendian=1), 0.000125)
    assert np.allclose(read, [[0.0625, np.nan, np.nan, 8.19175]], equal_nan=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"encoding": "8UC2"}, r"encoding is '8UC2'; expected one of mono8"),
        ({"encoding": "x" * 100_000}, r"encoding is 'x{40}\.\.\.'; expected"),
        ({"encoding": ""}, r"encoding is ''"),
        ({"encoding": "32FC1"}, "this is depth"),
        ({"step": WIDTH * 3 - 1}, "step is 23; a row of 8 rgb8 pixels takes 24 bytes"),
        ({"data": bytes(10)}, "data holds 10 bytes; 6 rows of step 24 need 144"),
        ({"data": b""}, "data holds 0 bytes"),
        ({"height": 0}, "image is 8x0"),
        ({"width": 100_000_000}, "image is 100000000x6; expected 1 to 67 million pixels"),
        ({"encoding": "yuv422", "width": 7, "step": 14}, "it must be even"),
    ],
)
def test_wrong_messages_are_refused_in_one_line(change, says):
    with pytest.raises(ImageError, match=says) as caught:
        rgb_from_image(replace(message(colours(), "rgb8"), **change))
    assert "\n" not in str(caught.value)


def test_depth_refuses_images():
    with pytest.raises(ImageError, match="depth encoding is 'rgb8'; expected 32FC1"):
        depth_m_from_image(message(colours(), "rgb8"))


def compressed(kind: str) -> bytes:
    smooth = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (64, 96, 3), np.uint8), (0, 0), 6)
    return cv2.imencode(f".{kind}", smooth)[1].tobytes()


@pytest.mark.parametrize(
    ("kind", "described"), [("jpg", "jpeg"), ("jpg", "rgb8; jpeg compressed bgr8"), ("png", "png")]
)
def test_compressed_images(kind, described):
    packed = compressed(kind)
    expected = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(rgb_from_compressed(packed, described), expected)
    # Some cameras pad to a fixed size.
    assert np.array_equal(rgb_from_compressed(packed + bytes(100), described), expected)


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_cut_image_is_refused(kind):
    packed = compressed(kind)
    with pytest.raises(ImageError, match="cut short"):
        rgb_from_compressed(packed[: len(packed) // 2], kind)


@pytest.mark.parametrize(
    ("data", "described", "says"),
    [
        (b"", "jpeg", "neither JPEG nor PNG"),
        (b"GIF89a....", "gif", "neither JPEG nor PNG"),
        (b"\xff\xd8" + bytes(50) + b"\xff\xd9", "jpeg", "without a size"),
        (b"\0" * 40, "16UC1; compressedDepth", "this is depth"),
    ],
)
def test_compressed_messages_that_are_no_images(data, described, says):
    with pytest.raises(ImageError, match=says):
        rgb_from_compressed(data, described)


def flat(rgb: tuple[int, int, int]) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, np.uint8), (HEIGHT, WIDTH, 3)).copy()


def bt601(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """Y, Cb, Cr in video range (ITU-R BT.601)."""
    r, g, b = (value / 255 for value in rgb)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return round(16 + 219 * y), round(128 + 112 * (b - y) / 0.886), round(128 + 112 * (r - y) / 0.701)


def test_layouts_with_the_colour_below_the_luminance():
    """Luminance with a ramp, one colour: what libcamera (nv21) and OAK cameras (nv12) send."""
    for colour in ((255, 0, 0), (0, 255, 0), (20, 60, 200), (128, 128, 128)):
        y, cb, cr = bt601(colour)
        luminance = np.full((HEIGHT, WIDTH), y, np.uint8)

        def pairs(first: int, second: int, rows: int) -> np.ndarray:
            return np.tile(np.array([first, second], np.uint8), (rows, WIDTH // 2))

        layouts = {
            "nv12": np.vstack([luminance, pairs(cb, cr, HEIGHT // 2)]),
            "NV21": np.vstack([luminance, pairs(cr, cb, HEIGHT // 2)]),
            "nv24": np.vstack([luminance, pairs(cb, cr, 2 * HEIGHT)]),
        }
        planes = np.repeat(np.array([cb, cr], np.uint8), HEIGHT * WIDTH // 4).reshape(-1, WIDTH)
        three_planes = replace(message(np.vstack([luminance, planes]), "yuv420p"), height=HEIGHT)
        assert np.abs(rgb_from_image(three_planes).astype(int) - flat(colour)).max() <= 3, colour
        for encoding, pixels in layouts.items():
            for padding in (0, 6):
                packed = replace(message(pixels, encoding, padding), height=HEIGHT)
                rgb = rgb_from_image(packed)
                assert rgb.shape == (HEIGHT, WIDTH, 3), encoding
                assert np.abs(rgb.astype(int) - flat(colour)).max() <= 3, (encoding, colour)


@pytest.mark.parametrize("spelling", ["RGB8", " rgb8 ", "rgb888", "RGB", "rgb8\0"])
def test_other_spellings(spelling):
    rgb = colours()
    assert np.array_equal(rgb_from_image(message(rgb, spelling)), rgb)


def test_sixteen_bits_a_channel():
    rgb = colours()
    rgb[0, 0] = 255
    wide = rgb.astype(np.uint16) * 257
    alpha = np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)
    layouts = {
        "rgb16": wide,
        "bgr16": wide[..., ::-1],
        "16UC3": wide[..., ::-1],
        "rgba16": np.concatenate([wide, alpha], 2),
        "bgra16": np.concatenate([wide[..., ::-1], alpha], 2),
    }
    for encoding, pixels in layouts.items():
        assert np.array_equal(rgb_from_image(message(pixels, encoding)), rgb), encoding
        big = message(pixels.astype(">u2"), encoding, is_bigendian=1)
        assert np.array_equal(rgb_from_image(big), rgb), encoding


def test_opencv_names_are_blue_green_red():
    rgb = colours()
    bgr, grey = rgb[..., ::-1], rgb[..., 0]
    assert np.array_equal(rgb_from_image(message(bgr, "8UC3")), rgb)
    assert np.array_equal(rgb_from_image(message(np.dstack([bgr, grey]), "8UC4")), rgb)
    assert np.array_equal(rgb_from_image(message(grey, "8UC1")), np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize("white", [65535, 4095])
def test_bayer_of_sixteen_and_of_twelve_bits(white):
    tile = np.array([[white, white // 2], [white // 2, white // 4]], np.uint16)
    rgb = rgb_from_image(message(np.tile(tile, (4, 4)), "bayer_rggb16"))
    assert np.abs(rgb[2:-2, 2:-2].astype(int) - [255, 127, 64]).max() <= 1


def test_twelve_bits_in_sixteen_are_not_black():
    grey = np.array([[0, 4095, 2048, 1024]], np.uint16)
    assert rgb_from_image(message(grey, "mono16"))[0, :, 0].tolist() == [0, 255, 128, 64]


def test_a_last_row_without_its_padding():
    rgb = colours()
    whole = message(rgb, "rgb8", padding=8)
    assert np.array_equal(rgb_from_image(replace(whole, data=whole.data[:-8])), rgb)
    with pytest.raises(ImageError, match="data holds"):
        rgb_from_image(replace(whole, data=whole.data[:-9]))


def test_an_odd_height_of_nv12_is_refused():
    with pytest.raises(ImageError, match="nv12 image is 5 pixels high; it must be even"):
        rgb_from_image(Message(5, WIDTH, "nv12", 0, WIDTH, bytes(WIDTH * 8)))
