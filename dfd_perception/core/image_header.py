# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a JPEG or PNG says of itself before anything is decoded: its size, its end, and which way up it is.

A file of 48 kB can ask for gigabytes, and half a JPEG decodes to half an image of grey without an error. Both are told
from the headers alone, in the time that it takes to walk over the segments (PNG: RFC 2083 section 3; JPEG: ITU-T T.81
annex B; orientation: Exif 2.32, tag 0x0112).
"""

from __future__ import annotations

import re
import struct
from typing import Literal, NamedTuple

from dfd_perception.errors import ImageError

JPEG_START, PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"

LARGEST_IMAGE_PX = 1 << 26
"""67 million: more than any ordinary camera takes, and 200 MB once decoded."""

UPRIGHT = 1

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_END_OF_IMAGE, _START_OF_SCAN, _EXIF = 0xD9, 0xDA, 0xE1
# In a scan FF 00 is a data byte, FF D0 to FF D7 are restarts, FF FF is filling; anything else begins a segment.
_NEXT_SEGMENT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_ORIENTATION_TAG = 0x0112


class ImageHeader(NamedTuple):
    """What the header of a JPEG or PNG tells."""

    kind: Literal["jpeg", "png"]
    width: int
    height: int
    bits: int
    """Per channel as stored."""
    length: int | None
    """Bytes from the start to the end mark, which padding may follow; None: the end is missing."""
    orientation: int
    """Exif: 1 upright, 2 to 8 mirrored or turned for display."""
    progressive: bool = False
    """A JPEG of several scans, each of which adds detail to the whole image."""


def is_jpeg_or_png(content: bytes) -> bool:
    """Whether the first bytes are those of one of the two."""
    return content[:2] == JPEG_START or content[:8] == PNG_START


def read_header(content: bytes) -> ImageHeader:
    """Read the header of a JPEG or PNG, whatever follows its end.

    Raises:
        ImageError: neither of the two, or no size in it.
    """
    try:
        if content[:2] == JPEG_START:
            header = _jpeg_header(content)
        elif content[:8] == PNG_START:
            header = _png_header(content)
        else:
            raise ImageError(f"neither JPEG nor PNG ({len(content)} bytes)")
    except (struct.error, IndexError) as error:
        raise ImageError(f"cut short after {len(content)} bytes, within its header") from error
    if header.width < 1 or header.height < 1:
        raise ImageError(f"a {header.kind.upper()} without a size ({len(content)} bytes)")
    return header


def require_decodable(header: ImageHeader, size_bytes: int) -> None:
    """Check that an image is whole and of a size that memory can hold.

    Raises:
        ImageError: it is cut short, or larger than any camera's.
    """
    require_area(header.width, header.height)
    if header.length is None:
        raise ImageError(f"{header.kind.upper()} is cut short after {size_bytes} bytes: its end mark is missing")


def require_area(width: int, height: int) -> None:
    """Check the size of an image.

    Raises:
        ImageError: without pixels, or with more than LARGEST_IMAGE_PX.
    """
    if width < 1 or height < 1 or width * height > LARGEST_IMAGE_PX:
        raise ImageError(
            f"image is {width}x{height}; expected 1 to {LARGEST_IMAGE_PX / 1e6:.0f} million pixels; resize it"
        )


def _jpeg_header(content: bytes) -> ImageHeader:
    width = height = bits = 0
    orientation = UPRIGHT
    progressive = False
    length = None
    position = 2
    while position + 1 < len(content):
        if content[position] != 0xFF:
            break  # no segment where one must begin: damaged
        marker = content[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker == _END_OF_IMAGE:
            length = position + 2
            break
        elif marker in _WITHOUT_LENGTH or marker == 0xD8:
            position += 2
        else:
            (size,) = struct.unpack_from(">H", content, position + 2)
            body = position + 4
            if marker in _START_OF_FRAME:
                bits, height, width = struct.unpack_from(">BHH", content, body)
                progressive = marker in _PROGRESSIVE
            elif marker == _EXIF and content[body : body + 6] == b"Exif\0\0":
                orientation = _orientation(content[body + 6 : position + 2 + size])
            position += 2 + max(2, size)
            if marker == _START_OF_SCAN:
                match = _NEXT_SEGMENT.search(content, position)
                if match is None:
                    break
                position = match.start()
    return ImageHeader("jpeg", width, height, bits, length, orientation, progressive)


def _png_header(content: bytes) -> ImageHeader:
    width, height, bits = struct.unpack_from(">IIB", content, 16)
    orientation = UPRIGHT
    position = len(PNG_START)
    while position + 8 <= len(content):
        (size,) = struct.unpack_from(">I", content, position)
        kind = content[position + 4 : position + 8]
        end = position + 12 + size
        if end > len(content):
            break
        if kind == b"eXIf":
            orientation = _orientation(content[position + 8 : end - 4])
        if kind == b"IEND":
            return ImageHeader("png", width, height, bits, end, orientation)
        position = end
    return ImageHeader("png", width, height, bits, None, orientation)


def _orientation(tiff: bytes) -> int:
    """The orientation tag of an Exif block; 1 where it has none or is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, first)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG:
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT
