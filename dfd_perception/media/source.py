# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Which source a word on the command line names: files, a folder, a pattern, a video, a camera's number, a URL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dfd_perception.errors import ImageError
from dfd_perception.media.capture import CaptureRequest, LiveCapture, Video, is_address, is_video, open_address
from dfd_perception.media.files import ImageFiles, files_of
from dfd_perception.media.source_image import ImageSource

EXPECTED = "expected image files, a folder, a pattern in quotes, a video file, a camera's number or a URL"


def open_source(words: str | Sequence[str], request: CaptureRequest | None = None) -> ImageSource:
    """Open the one source that words name; several words can only be image files.

    Raises:
        ImageError: nothing there, several sources at once, or one that cannot be opened; what was open is released.
    """
    words = [words] if isinstance(words, str) else words
    paths: list[Path] = []
    moving: list[ImageSource] = []
    try:
        for word in words:
            if (source := open_moving(word, request)) is not None:
                moving.append(source)
                continue
            files = files_of(word)
            if files is None:
                raise ImageError(f"{word}: nothing there; {EXPECTED}")
            paths += files
        name = Path(words[0]).resolve().name if len(words) == 1 and Path(words[0]).is_dir() else "images"
        sources = [*([ImageFiles(paths, name)] if paths else []), *moving]
        if len(sources) != 1:
            names = ", ".join(source.name for source in sources)
            raise ImageError(f"{names}: {len(sources)} sources; give one video, camera or URL, or any number of images")
    except BaseException:
        for source in moving:
            source.close()
        raise
    return sources[0]


def open_moving(word: str, request: CaptureRequest | None = None) -> ImageSource | None:
    """Open a camera, stream or video; None for a word that names none of them.

    Raises:
        ImageError: it cannot be opened.
    """
    path = Path(word)
    if word.isdigit() and not path.exists():
        return LiveCapture(int(word), request)
    if is_address(word):
        return open_address(word, request)
    return Video(word) if is_video(path) and path.is_file() else None
