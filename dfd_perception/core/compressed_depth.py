# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth as image_transport's compressed_depth_image_transport packs it: 12 bytes of header, then PNG or RVL.

The header is an int32 format and two float32 (depthQuantA, depthQuantB). Depth of 16UC1 is stored as it is; of 32FC1 as
16-bit inverse depth, depth = A / (code - B), 0 for none. RVL is run lengths of zeros and non-zeros with zigzag
differences in groups of three bits (A. D. Wilson, "Fast Lossless Depth Image Compression", ISS 2017), after two uint32
of columns and rows.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.depth_encoding import MILLIMETRES, depth_m_from_counts, uint16_mm_from_depth_m
from dfd_perception.core.image_bytes import decoded_pixels, png_bytes
from dfd_perception.core.image_header import PNG_START, require_area
from dfd_perception.errors import ImageError

HEADER_BYTES = 12
DEPTH_WORDS = ("16uc1", "32fc1")


def holds_depth(described: str) -> bool:
    """Whether the `format` of a CompressedImage says that it is depth, not an image to look at."""
    return "compresseddepth" in described.lower() or _first_word(described) in DEPTH_WORDS


def depth_m_from_compressed(data: Any, described: str, metres_per_count: float = MILLIMETRES) -> NDArray[np.float32]:
    """(H, W) depth [m], NaN where there is none, of a CompressedImage of depth.

    Args:
        data: its `data`.
        described: its `format`, such as "16UC1; compressedDepth png", "32FC1; compressedDepth rvl", or "16UC1; png
            compressed " of the transport for images, which keeps 16 bits as PNG.
        metres_per_count: unit of the stored integers; 32FC1 brings its own.

    Raises:
        ImageError: not depth, damaged, or JPEG, which loses the metres.
    """
    content = bytes(memoryview(data))
    if not holds_depth(described):
        raise ImageError(f"compressed format is {described!r}; expected 16UC1 or 32FC1, compressedDepth")
    packed = content if content[:8] == PNG_START else content[HEADER_BYTES:]
    if len(packed) < 8:
        raise ImageError(f"compressed depth holds {len(content)} bytes; expected a header of 12 and PNG or RVL")
    codes = _codes(packed, described)
    if codes.dtype != np.uint16 or codes.ndim != 2:
        raise ImageError(f"compressed depth is {codes.dtype} {codes.shape}; expected one channel of 16 bits")
    if _first_word(described) != "32fc1":
        return depth_m_from_counts(codes, metres_per_count)
    if packed is content:
        raise ImageError(f"compressed format is {described!r} without its header: the scale of the depth is lost")
    _, quant_a, quant_b = struct.unpack_from("<iff", content)
    if not (np.isfinite([quant_a, quant_b]).all() and quant_a > 0):
        raise ImageError(f"compressed depth has quantisation {quant_a:g}, {quant_b:g}; expected positive numbers")
    with np.errstate(divide="ignore", invalid="ignore"):
        depth_m = np.float32(quant_a) / (codes.astype(np.float32) - np.float32(quant_b))
    return np.where((codes > 0) & np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(np.nan))


def compressed_from_depth_m(depth_m: NDArray[np.float32]) -> tuple[str, bytes]:
    """`format` and `data` of a CompressedImage: (H, W) depth [m] as PNG of whole millimetres, 0 for none."""
    packed = png_bytes(uint16_mm_from_depth_m(depth_m), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return "16UC1; compressedDepth png", bytes(HEADER_BYTES) + packed


def _first_word(described: str) -> str:
    return described.partition(";")[0].strip().lower()


def _codes(packed: bytes, described: str) -> NDArray[Any]:
    if packed[:8] == PNG_START:
        return decoded_pixels(packed)
    if "rvl" in described.lower():
        return _rvl_codes(packed)
    raise ImageError(f"compressed depth of format {described!r} is neither PNG nor RVL; depth as JPEG has no metres")


def _rvl_codes(packed: bytes) -> NDArray[np.uint16]:
    """(H, W) uint16 of columns, rows and an RVL stream."""
    width, height = struct.unpack_from("<II", packed)
    require_area(width, height)
    runs, differences = _rvl_runs(_rvl_numbers(packed[8:]), width * height)
    codes = np.zeros(width * height, np.uint16)
    # Each difference is to the last value that was not zero, across runs: one sum over the whole image.
    codes[runs] = np.cumsum(differences, dtype=np.int64).astype(np.uint16)
    return codes.reshape(height, width)


def _rvl_numbers(stream: bytes) -> NDArray[np.int64]:
    """The numbers of a stream of 4-bit groups: three bits of the number, lowest first, and "more follow"."""
    words = np.frombuffer(stream[: len(stream) // 4 * 4], "<u4")
    nibbles = ((words[:, None] >> np.arange(28, -1, -4, dtype=np.uint32)) & 0xF).astype(np.int64).reshape(-1)
    last = (nibbles & 8) == 0
    ends = np.flatnonzero(last)
    if not ends.size:
        return np.zeros(0, np.int64)
    nibbles = nibbles[: ends[-1] + 1]
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(nibbles.size) - np.repeat(starts, ends - starts + 1)
    if place.max() > 20:
        raise ImageError("compressed depth is damaged: a number of its RVL stream does not end")
    return np.add.reduceat((nibbles & 7) << (3 * place), starts)


def _rvl_runs(numbers: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the non-zero pixels are, and the differences of their values."""
    places, codes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    position = pixel = 0
    while pixel < count:
        if position + 2 > numbers.size:
            raise ImageError("compressed depth is cut short: its RVL stream ends before its last pixel")
        zeros, others = int(numbers[position]), int(numbers[position + 1])
        position += 2
        pixel += zeros
        if pixel + others > count or position + others > numbers.size or zeros + others == 0:
            raise ImageError("compressed depth is damaged: its RVL stream does not fit its size")
        places.append(np.arange(pixel, pixel + others))
        codes.append(numbers[position : position + others])
        position += others
        pixel += others
    zigzag = np.concatenate(codes)
    return np.concatenate(places), (zigzag >> 1) ^ -(zigzag & 1)
