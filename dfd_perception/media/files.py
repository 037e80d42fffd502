# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Image files: named one by one, by a pattern, or as a folder."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dfd_perception.errors import ImageError
from dfd_perception.files.images import read_image
from dfd_perception.media.source_image import SourceImage

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm")
PATTERN_SIGNS = "*?["


class ImageFiles:
    """Image files in the given order."""

    live = False
    rate_hz: float | None = None

    def __init__(self, paths: Sequence[Path], name: str = "images") -> None:
        self.paths = list(paths)
        self.name = name

    def __len__(self) -> int:
        return len(self.paths)

    def images(self) -> Iterator[SourceImage]:
        """The images; reading stops at the first that cannot be read.

        Raises:
            ImageError: a file that is missing, damaged or no image.
        """
        return map(self.read, range(len(self.paths)))

    def read(self, index: int) -> SourceImage:
        """One of the images.

        Raises:
            ImageError: as `images`.
        """
        path = self.paths[index]
        return SourceImage(name=path.stem, image_rgb=read_image(path), time_s=0.0, path=path)

    def close(self) -> None:
        """Nothing stays open."""


def files_of(word: str) -> list[Path] | None:
    """The image files that a word names: a folder's, a pattern's, or itself; None where it names none of them.

    Raises:
        ImageError: a folder or a pattern without any image.
    """
    path = Path(word)
    if path.is_dir():
        files = sorted((p for p in path.iterdir() if _is_image(p)), key=_natural)
        if not files:
            raise ImageError(f"{path}: a folder without images ({', '.join(IMAGE_SUFFIXES[:4])}, ...)")
        return files
    if path.exists():
        return [path]
    if any(sign in word for sign in PATTERN_SIGNS):
        files = sorted((p for p in map(Path, glob.glob(word, recursive=True)) if _is_image(p)), key=_natural)
        if not files:
            raise ImageError(f"{word}: no image file fits this pattern")
        return files
    return None


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Order in which frame_9 comes before frame_10."""
    parts = re.split(r"(\d+)", str(path))
    return [(1, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in parts]
