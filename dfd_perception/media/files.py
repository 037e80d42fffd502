# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Image files: named one by one, by a pattern, or as a folder."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from dfd_perception.errors import ImageError
from dfd_perception.files.images import IMAGE_SUFFIXES, images_in, in_natural_order, is_image, read_image
from dfd_perception.media.source_image import SourceImage

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
        files = images_in(path)
        if not files:
            raise ImageError(f"{path}: a folder without images ({', '.join(IMAGE_SUFFIXES[:4])}, ...)")
        return files
    if path.exists():
        return [path]
    if any(sign in word for sign in PATTERN_SIGNS):
        files = in_natural_order(filter(is_image, map(Path, glob.glob(word, recursive=True))))
        if not files:
            raise ImageError(f"{word}: no image file fits this pattern")
        return files
    return None
