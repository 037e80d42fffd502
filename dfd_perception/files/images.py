# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images and depth maps on disk. Every failure names the file; files appear whole or not at all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.depth_encoding import MILLIMETRES, depth_m_from_counts, depth_m_from_float
from dfd_perception.core.image_bytes import decoded_pixels, decoded_rgb, orientation_of, png_bytes
from dfd_perception.core.image_header import UPRIGHT, require_area
from dfd_perception.core.size import Size
from dfd_perception.errors import DatasetError, ImageError, reading
from dfd_perception.files.atomic import write_bytes

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm")
"""Of what people bring."""
STORED_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Of sessions and data sets."""
DEPTH_SUFFIXES = (".png", ".tif", ".tiff", ".npy")

LARGEST_FILE_BYTES = 1 << 30


def read_rgb(path: Path, beside_map: bool = False) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of an image file of 8 or 16 bits: colour, grey, palette or with alpha.

    Photographs come upright, as Exif says.

    Args:
        path: the file.
        beside_map: depth, blur or K belong to the stored pixels. A photograph that is stored turned is refused then:
            nobody can tell which way up its map is.

    Raises:
        DatasetError: missing, unreadable, cut short, too large, or turned beside a map.
    """
    with _named(path):
        content = _content(path)
        if beside_map and orientation_of(content) != UPRIGHT:
            raise ImageError(
                f"is stored turned (Exif orientation {orientation_of(content)}), and depth or K beside it belong to "
                "stored pixels; write it upright without the tag"
            )
        return decoded_rgb(content, upright=True)


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of an image file for people and programs: any format and depth, turned as Exif says.

    Raises:
        ImageError: missing, a folder, cut short, or no image.
    """
    if not path.is_file():
        raise ImageError(f"{path}: {'a folder; expected an image file' if path.is_dir() else 'no such image'}")
    try:
        return read_rgb(path)
    except DatasetError as error:
        raise ImageError(str(error)) from error


def is_image(path: Path) -> bool:
    """Whether a file's name is that of an image; hidden ones do not count."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder, frame_9 before frame_10."""
    return in_natural_order(filter(is_image, folder.iterdir()))


def in_natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sorted, numbers within names by their value."""

    def key(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", str(path))
        return [(1, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in parts]

    return sorted(paths, key=key)


def read_depth_m(path: Path, size: Size | None = None, metres_per_count: float = MILLIMETRES) -> NDArray[np.float32]:
    """(H, W) float32 metres of a depth map, NaN where there is none.

    16 bits (PNG, TIFF, NPY) are counts of a unit, 0 and 65535 none; floats (TIFF, NPY) are metres.

    Args:
        path: the file.
        size: expected (height, width) [px].
        metres_per_count: unit of integers.

    Raises:
        DatasetError: missing, unreadable, of another type, of another size, or without any valid pixel.
    """
    with _named(path):
        stored = _stored_map(path)
        if stored.ndim == 3 and stored.shape[2] == 1:
            stored = stored[..., 0]
        if stored.ndim != 2 or not (stored.dtype == np.uint16 or stored.dtype.kind == "f"):
            channels = 1 if stored.ndim == 2 else stored.shape[-1]
            raise ImageError(
                f"depth has {8 * stored.itemsize} bits ({stored.dtype}) and {channels} channel(s); expected one "
                "channel of 16 bits, or of floats in metres (8 bits have lost the unit: export it again)"
            )
        if size is not None and stored.shape != size:
            raise ImageError(
                f"depth is {stored.shape[1]} x {stored.shape[0]} px, its image {size[1]} x {size[0]}; register the "
                "depth to the image"
            )
        depth_m = (
            depth_m_from_float(stored) if stored.dtype.kind == "f" else depth_m_from_counts(stored, metres_per_count)
        )
        if not np.isfinite(depth_m).any():
            raise ImageError("no valid depth at all (every pixel is 0 or a sentinel); remove this frame")
        return depth_m


def holds_float(path: Path) -> bool:
    """Whether a depth map is float, in metres; False of counts and of what cannot be read."""
    if path.suffix.lower() == ".png":
        return False
    try:
        with _named(path):
            return _stored_map(path).dtype.kind == "f"
    except DatasetError:
        return False


def read_mask(path: Path, size: Size) -> NDArray[np.bool_]:
    """(H, W) of an 8-bit image: True where it is not 0.

    Raises:
        DatasetError: missing, unreadable, not 8 bits of one channel, or of another size.
    """
    with _named(path):
        mask = decoded_pixels(_content(path))
        if mask.dtype != np.uint8 or mask.shape != size:
            raise ImageError(f"mask is {mask.dtype} {mask.shape}; expected uint8 {size}, the size of its image")
        return mask > 0


def write_png(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write (H, W, 3) uint8 RGB or (H, W) uint8 or uint16 as PNG, whole or not at all.

    Raises:
        ImageError: not an image that PNG can hold.
        RecordingError: the disk is full or not writable; what was there before stays.
    """
    write_bytes(path, png_bytes(image))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of an image as those of the data set that it belongs to, with the file's name."""
    try:
        with reading(path, DatasetError):
            yield
    except ImageError as error:
        raise DatasetError(f"{path}: {error}") from error


def _content(path: Path) -> bytes:
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise ImageError(f"file holds {path.stat().st_size} bytes; no image does")
    return path.read_bytes()


def _stored_map(path: Path) -> NDArray[Any]:
    if path.suffix.lower() != ".npy":
        return decoded_pixels(_content(path))
    stored = np.load(path, mmap_mode="r", allow_pickle=False)
    require_area(stored.shape[1] if stored.ndim > 1 else 0, stored.shape[0] if stored.ndim else 0)
    return np.array(stored, stored.dtype.newbyteorder("="))
