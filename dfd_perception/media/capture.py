# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Video files, cameras and network streams: what OpenCV's VideoCapture opens."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.size import Size
from dfd_perception.errors import ImageError
from dfd_perception.media.source_image import SourceImage

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts", ".mjpeg", ".mjpg")
SILENCE_S = 5.0
DEVICES = "/dev"


@dataclass(frozen=True, kw_only=True)
class CaptureRequest:
    """What to ask of a camera; None leaves it as it is. A camera that cannot do it gives what is nearest."""

    size: Size | None = None
    """(height, width)."""
    rate_hz: float | None = None


class Video:
    """A video with an end, a file or by its URL; every frame is given, as fast as it is taken."""

    live = False

    def __init__(self, address: str) -> None:
        """Open the video to learn its rate.

        Raises:
            ImageError: OpenCV cannot read it.
        """
        self.address = address
        self.name = stream_name(address) if is_address(address) else Path(address).stem
        capture = _opened(address, _cannot_open(address))
        rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
        self.rate_hz: float | None = rate_hz if 0.1 < rate_hz < 1000 else 30.0
        self._count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()

    def __len__(self) -> int:
        return self._count

    def images(self) -> Iterator[SourceImage]:
        """All frames.

        Raises:
            ImageError: the first frame cannot be decoded.
        """
        capture = _opened(self.address, _cannot_open(self.address))
        number = 0
        try:
            while True:
                more, image = capture.read()
                if not more:
                    break
                assert self.rate_hz is not None
                yield SourceImage(name=f"{self.name}_{number:06d}", image_rgb=_rgb(image), time_s=number / self.rate_hz)
                number += 1
        finally:
            capture.release()
        if number == 0:
            raise ImageError(f"{shown_address(self.address)}: no frame of this video can be decoded")

    def close(self) -> None:
        """Nothing stays open between passes."""


class LiveCapture:
    """A camera or a stream: a thread takes every frame, the newest is given, those not taken in time are dropped."""

    live = True

    def __init__(self, address: int | str, request: CaptureRequest | None = None) -> None:
        """Open the camera or stream.

        Raises:
            ImageError: nothing there that OpenCV opens.
        """
        self.address = address
        self.name = f"camera{address}" if isinstance(address, int) else stream_name(address)
        self._capture = _opened(address, _cannot_open(address))
        for key, value in _properties(request or CaptureRequest()):
            self._capture.set(key, value)
        rate_hz = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate_hz: float | None = rate_hz if 0.1 < rate_hz < 1000 else None
        self.dropped = 0
        self._newest: tuple[NDArray[Any], float] | None = None
        self._ended = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._grab, name="dfd-capture", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return 0

    def images(self) -> Iterator[SourceImage]:
        """The newest frame each time, until the stream ends.

        Raises:
            ImageError: nothing came for five seconds, or ever.
        """
        number, began_s = 0, None
        while (taken := self._take()) is not None:
            image, taken_s = taken
            began_s = taken_s if began_s is None else began_s
            yield SourceImage(name=f"{self.name}_{number:06d}", image_rgb=_rgb(image), time_s=taken_s - began_s)
            number += 1
        if number == 0:
            raise ImageError(f"{self._described()} opened, but gave no image")

    def close(self) -> None:
        """Release the camera."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()
        self._thread.join(SILENCE_S)
        self._capture.release()

    def _described(self) -> str:
        return f"camera {self.address}" if isinstance(self.address, int) else shown_address(str(self.address))

    def _take(self) -> tuple[NDArray[Any], float] | None:
        with self._condition:
            self._condition.wait_for(lambda: self._newest is not None or self._ended, SILENCE_S)
            taken, self._newest = self._newest, None
            if taken is None and not self._ended:
                raise ImageError(f"{self._described()} gave no image for {SILENCE_S:g} s; is it in use, or unplugged?")
            return taken

    def _grab(self) -> None:
        while not self._ended:
            more, image = self._capture.read()
            with self._condition:
                if more:
                    self.dropped += self._newest is not None
                    self._newest = image, time.monotonic()
                else:
                    self._ended = True
                self._condition.notify_all()


def open_address(address: str, request: CaptureRequest | None = None) -> Video | LiveCapture:
    """Open a URL: a video where it says how many frames it has, else a live stream.

    Raises:
        ImageError: OpenCV cannot open it.
    """
    capture = _opened(address, _cannot_open(address))
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return Video(address) if count > 0 else LiveCapture(address, request)


def is_address(word: str) -> bool:
    """Whether a word is a URL."""
    return "://" in word


def is_video(path: Path) -> bool:
    """Whether a file is named like a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def stream_name(address: str) -> str:
    """A name fit for files: of rtsp://camera.local/front it is camera.local_front."""
    parts = urlsplit(address)
    words = f"{parts.hostname or ''}_{Path(parts.path).stem}".strip("_/")
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in words) or "stream"


def shown_address(address: str) -> str:
    """The URL without its password, for messages."""
    parts = urlsplit(address)
    return address.replace(f"{parts.username}:{parts.password}@", "") if parts.password else address


def _opened(address: int | str, problem: str) -> Any:
    with _quiet():
        capture = cv2.VideoCapture(address)
    if not capture.isOpened():
        capture.release()
        raise ImageError(problem)
    return capture


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the complaints of OpenCV off the terminal: one line of ours says what is wrong."""
    opencv: Any = cv2  # the two functions moved between 4.6 and 4.14
    places = (opencv, getattr(getattr(opencv, "utils", None), "logging", None))
    log = next((place for place in places if hasattr(place, "setLogLevel")), None)
    if log is None:  # before OpenCV 4.5.5
        yield
        return
    level = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(level)


def _cannot_open(address: int | str) -> str:
    if isinstance(address, str):
        if is_address(address):
            return f"{shown_address(address)}: OpenCV cannot open this address; is it reachable, and a video stream?"
        return f"{address}: OpenCV cannot read this video (its container or its codec)"
    present = sorted(path.name.removeprefix("video") for path in Path(DEVICES).glob("video[0-9]*"))
    return f"camera {address} cannot be opened; cameras here: {', '.join(present) or 'none (no /dev/video*)'}"


def _properties(request: CaptureRequest) -> list[tuple[int, float]]:
    height, width = request.size or (None, None)
    wanted = [
        (cv2.CAP_PROP_FRAME_WIDTH, width),
        (cv2.CAP_PROP_FRAME_HEIGHT, height),
        (cv2.CAP_PROP_FPS, request.rate_hz),
    ]
    # One frame of delay instead of four; drivers that cannot ignore it.
    return [(key, float(value)) for key, value in wanted if value is not None] + [(cv2.CAP_PROP_BUFFERSIZE, 1.0)]


def _rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    code = cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB
    converted: NDArray[np.uint8] = cv2.cvtColor(image, code)
    return converted
