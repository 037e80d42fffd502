"""Images and depth maps on disk. Every failure names the file; files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.depth_encoding import depth_m_from_uint16_mm
from dfd_perception.core.image_decoding import decoded_rgb
from dfd_perception.errors import DatasetError, ImageError, RecordingError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a PNG or JPEG; grey images are repeated in the three channels.

    Raises:
        DatasetError: missing, unreadable, or not 8-bit.
    """
    image = _decoded(path)
    if image.dtype != np.uint8:
        raise DatasetError(f"{path}: image is {image.dtype}; expected 8 bits a channel")
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., 2::-1])


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of an image file for people and programs: any format and depth, turned as Exif says.

    Raises:
        ImageError: missing, a folder, cut short, or no image.
    """
    if not path.is_file():
        raise ImageError(f"{path}: {'a folder; expected an image file' if path.is_dir() else 'no such image'}")
    try:
        return decoded_rgb(path.read_bytes(), upright=True)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error


def read_depth_m(path: Path, size: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """(H, W) float32 metres of a 16-bit PNG in millimetres, NaN where it holds 0.

    Args:
        path: the file.
        size: expected (height, width) [px].

    Raises:
        DatasetError: missing, unreadable, not 16-bit single-channel, of another size, or without any valid pixel.
    """
    depth_mm = _decoded(path)
    if depth_mm.dtype != np.uint16 or depth_mm.ndim != 2:
        channels = 1 if depth_mm.ndim == 2 else depth_mm.shape[2]
        raise DatasetError(
            f"{path}: depth has {8 * depth_mm.itemsize} bits and {channels} channel(s); expected a 16-bit PNG of one "
            "channel in millimetres (8 bits have lost the unit: export it again)"
        )
    if size is not None and depth_mm.shape != size:
        raise DatasetError(
            f"{path}: depth is {depth_mm.shape[1]} x {depth_mm.shape[0]} px, its image {size[1]} x {size[0]}; "
            "register the depth to the image"
        )
    if not depth_mm.any():
        raise DatasetError(f"{path}: no valid depth at all (every pixel is 0); remove this frame")
    return depth_m_from_uint16_mm(depth_mm)


def write_png(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write (H, W, 3) uint8 RGB or (H, W) uint8 or uint16 as PNG, atomically.

    Raises:
        RecordingError: the disk is full or not writable; what was there before stays.
    """
    stored = image[..., ::-1] if image.ndim == 3 else image
    packed = cv2.imencode(".png", stored)[1]
    write_bytes(path, packed.tobytes())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole: to a neighbour first, flushed, then renamed.

    Raises:
        RecordingError: the disk is full or not writable; what was there before stays.
    """
    # The process in its name: two that write the same file must not take each other's half.
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # there may be no folder to hold it
            partial.unlink()
        raise RecordingError(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another folder"
        ) from error


def _decoded(path: Path) -> NDArray:
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    # Orientation tags are ignored: depth and K belong to the pixels as stored.
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(content, flags) if content.size else None
    if image is None:
        raise DatasetError(f"{path}: not a readable image ({content.size} bytes); replace or remove it")
    return image
