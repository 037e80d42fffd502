# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Headers of JPEG and PNG: size, end and orientation, of ordinary, padded, cut and hostile files."""

from __future__ import annotations

import contextlib
import resource
import struct
import time
import zlib

import cv2
import numpy as np
import pytest

from dfd_perception.core.image_bytes import decoded_rgb
from dfd_perception.core.image_header import read_header
from dfd_perception.errors import ImageError


def image() -> np.ndarray:
    rng = np.random.default_rng(2)
    return cv2.GaussianBlur(rng.integers(0, 256, (64, 96, 3), np.uint8), (0, 0), 4)


def packed(kind: str, *options: int) -> bytes:
    return cv2.imencode(f".{kind}", image()[..., ::-1], list(options))[1].tobytes()


def with_exif(jpeg: bytes, orientation: int, order: str = ">") -> bytes:
    mark = b"MM" if order == ">" else b"II"
    tiff = mark + struct.pack(order + "HIH", 42, 8, 1) + struct.pack(order + "HHIHHI", 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def png_bomb(side: int) -> bytes:
    """The header of a black image of side x side, and its first row."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1 + 3 * side)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize(
    "tail",
    [b"", bytes(4096), bytes(500_000), b"\xff\xd9", b"\xff\xd8stale bytes of another one"],
    ids=["nothing", "4 kB", "500 kB", "second end", "stale"],
)
def test_what_follows_the_end_does_no_harm(kind, tail):
    whole = packed(kind)
    header = read_header(whole + tail)
    assert (header.width, header.height, header.bits, header.length) == (96, 64, 8, len(whole))
    assert np.array_equal(decoded_rgb(whole + tail), decoded_rgb(whole))


def test_progressive_and_restarted_jpegs_end_where_they_end():
    for options in ((cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)):
        whole = packed("jpg", *options)
        assert read_header(whole + bytes(64)).length == len(whole)


def test_the_end_of_a_thumbnail_is_not_the_end():
    whole = packed("jpg")
    body = b"Exif\0\0" + b"\xff\xd8 a small image \xff\xd9"
    with_thumbnail = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:]
    cut = with_thumbnail[: len(with_thumbnail) // 2]
    assert read_header(cut).length is None
    with pytest.raises(ImageError, match="cut short"):
        decoded_rgb(cut)


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_no_cut_file_is_taken_for_an_image(kind):
    whole = packed(kind)
    for length in [*range(0, 60), *range(60, len(whole), 97), len(whole) - 1]:
        with pytest.raises(ImageError):
            decoded_rgb(whole[:length])
        if length < len(whole) - 8:  # past the name of the last chunk all pixels are there
            with pytest.raises(ImageError):
                decoded_rgb(whole[:length] + bytes(4096))


BASELINE, PROGRESSIVE, RESTARTED = (), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 3)


@pytest.mark.parametrize("pixels", [image(), image()[:53, :81], image()[..., 0], np.full((70, 90, 3), 200, np.uint8)])
@pytest.mark.parametrize("options", [BASELINE, PROGRESSIVE, RESTARTED])
def test_a_jpeg_that_lacks_data_before_its_end_mark_is_cut_short_too(pixels, options):
    whole = cv2.imencode(".jpg", pixels, list(options))[1].tobytes()
    first_scan = whole.index(b"\xff\xda")
    scan = first_scan + 2 + struct.unpack_from(">H", whole, first_scan + 2)[0]
    for share in (0.05, 0.3, 0.5, 0.8):
        cut = whole[: scan + int(share * (len(whole) - 2 - scan))].rstrip(b"\xff")
        try:
            read = decoded_rgb(cut + b"\xff\xd9")
        except ImageError:
            continue
        assert np.array_equal(read, decoded_rgb(whole)), "flat: there was no detail to lack"


def test_a_jpeg_that_lost_data_on_its_way_is_refused():
    whole = packed("jpg")
    scan = whole.index(b"\xff\xda") + 14
    start, end = scan + (len(whole) - scan) // 3, scan + (len(whole) - scan) // 2
    with pytest.raises(ImageError, match="lacks data"):
        decoded_rgb(whole[:start].rstrip(b"\xff") + whole[end:])


@pytest.mark.parametrize("options", [BASELINE, PROGRESSIVE, RESTARTED])
def test_a_whole_jpeg_of_that_same_grey_is_read(options):
    grey = np.full((70, 90, 3), 128, np.uint8)
    assert (decoded_rgb(cv2.imencode(".jpg", grey, list(options))[1].tobytes()) == 128).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_turned_photograph_keeps_its_stored_pixels_unless_asked(order):
    stored = decoded_rgb(packed("jpg"))
    expected = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored, 1),
    }
    for orientation, upright in expected.items():
        file = with_exif(packed("jpg"), orientation, order)
        assert read_header(file).orientation == orientation
        assert np.array_equal(decoded_rgb(file), stored)
        assert np.array_equal(decoded_rgb(file, upright=True), upright), orientation
        # OpenCV turns alike.
        turned = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.array_equal(turned, upright), orientation


def test_a_bomb_is_refused_by_its_header():
    bomb = png_bomb(9000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with pytest.raises(ImageError, match="image is 9000x9000; expected 1 to 67 million pixels"):
        decoded_rgb(bomb)
    assert time.perf_counter() - started < 0.1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB; decoded it takes 243 MB


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0, 65535, 257]], np.uint16), [0, 255, 1]),
        (np.array([[0, 4095, 2048]], np.uint16), [0, 255, 128]),  # 12 bits in 16
        (np.array([[0, 255, 7]], np.uint8), [0, 255, 7]),
    ],
)
def test_grey_of_every_depth_of_bits(pixels, expected):
    file = cv2.imencode(".png", pixels)[1].tobytes()
    assert decoded_rgb(file)[0].tolist() == [[v] * 3 for v in expected]


def test_ordinary_kinds_come_out_alike():
    rgb = image()
    alpha = np.full(rgb.shape[:2], 128, np.uint8)
    bgr = rgb[..., ::-1]
    for kind, pixels in (
        ("png", bgr),
        ("png", np.dstack([bgr, alpha])),
        ("png", bgr.astype(np.uint16) * 257),
        ("tiff", bgr),
        ("bmp", bgr),
    ):
        assert np.array_equal(decoded_rgb(cv2.imencode(f".{kind}", pixels)[1].tobytes()), rgb), kind


def test_rubbish_is_refused_or_read():
    rng = np.random.default_rng(4)
    whole = packed("jpg"), packed("png")
    for _ in range(300):
        start = bytearray(whole[int(rng.integers(2))])
        for _ in range(int(rng.integers(1, 8))):
            start[int(rng.integers(len(start)))] = int(rng.integers(256))
        with contextlib.suppress(ImageError):
            decoded_rgb(bytes(start))
