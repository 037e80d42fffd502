# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""An Azure Kinect recording (.mkv of k4arecorder, pyk4a or the SDK) as a source, without the SDK."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.clock import FrameStamps
from dfd_perception.core.image_header import read_header
from dfd_perception.errors import DatasetError, ImageError, reading
from dfd_perception.groundtruth.sensors.factory_calibration import calibration_of_modes
from dfd_perception.groundtruth.sensors.matroska import EXPECTED, Block, MatroskaFile, Track
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration, RgbdFrame

SHORTEST_PERIOD_NS = 33_333_333
"""At 30 frames/s. Depth and colour of one capture lie less than half of it apart, once the set delay is taken off."""

DEPTH_FOURCC = "b16g"
"""16 bits, big endian."""


class AzureKinectRecording:
    """Captures of a recording in their order. Depth without colour within half a period is given alone and counted.

    Raises:
        DatasetError: (on opening) not an Azure Kinect recording, or one without depth.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"azure_kinect recording {path.name}"
        self.path = path
        self.depth_without_colour = 0
        self.damaged = 0
        self._exhausted = False

    def __enter__(self) -> AzureKinectRecording:
        self._file = MatroskaFile(self.path)
        try:
            with reading(self.path, DatasetError, EXPECTED):
                self._start()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._frames.close()
        self._file.close()

    def _start(self) -> None:
        tags, tracks = self._file.tags, self._file.tracks
        if "DEPTH" not in tracks or "K4A_DEPTH_MODE" not in tags:
            raise DatasetError(
                f"{self.path} has tracks {sorted(tracks) or 'none'} and no depth of an Azure Kinect; "
                "record with a depth mode other than OFF or PASSIVE_IR"
            )
        if tracks["DEPTH"].fourcc != DEPTH_FOURCC:
            raise DatasetError(f"{self.path} stores depth as {tracks['DEPTH'].fourcc!r}; expected {DEPTH_FOURCC!r}")
        factory = self._file.attachments.get(tags.get("K4A_CALIBRATION_FILE", "calibration.json"))
        if factory is None:
            raise DatasetError(f"{self.path} holds no calibration; only recordings of a real device have one")
        self.factory_calibration = factory.rstrip(b"\0").decode("utf-8")
        self.serial_number = tags.get("K4A_DEVICE_SERIAL_NUMBER", "")
        colour_mode = tags.get("K4A_COLOR_MODE", "OFF").rpartition("_")[2] if "COLOR" in tracks else None
        self._calibration = calibration_of_modes(self.factory_calibration, tags["K4A_DEPTH_MODE"], colour_mode)
        self._start_ns = int(tags.get("K4A_START_OFFSET_NS", "0"))
        self._delay_ns = int(tags.get("K4A_DEPTH_DELAY_NS", "0"))
        self._frames = self._captures()

    @property
    def calibration(self) -> RgbdCalibration:
        """Both cameras in the recording's modes."""
        return self._calibration

    @property
    def exhausted(self) -> bool:
        """The end was reached."""
        return self._exhausted

    def facts(self) -> dict[str, str]:
        """Captures that were not whole."""
        return {"depth without colour": str(self.depth_without_colour), "damaged": str(self.damaged)}

    def read(self, timeout_s: float) -> RgbdFrame | None:
        """The next capture; None at the end. A file never keeps anyone waiting."""
        with reading(self.path, DatasetError, "what came before it was read"):
            frame = next(self._frames, None)
        self._exhausted = frame is None
        return frame

    def _captures(self) -> Generator[RgbdFrame, None, None]:
        depth: Block | None = None
        colour: Block | None = None
        for block in self._file.blocks({"DEPTH", "COLOR"}):
            if block.track == "DEPTH":
                if depth is not None:
                    yield from self._frame(depth, None)
                depth = block
            else:
                colour = block
            if depth is None or colour is None:
                continue
            late_ns = colour.time_ns - (depth.time_ns - self._delay_ns)
            if abs(late_ns) < SHORTEST_PERIOD_NS // 2:
                yield from self._frame(depth, colour)
                depth = colour = None
            elif late_ns > 0:  # colour of a later capture: this depth has none
                yield from self._frame(depth, None)
                depth = None
            else:
                colour = None
        if depth is not None:
            yield from self._frame(depth, None)

    def _frame(self, depth: Block, colour: Block | None) -> Iterator[RgbdFrame]:
        """One frame, or none when the depth is damaged."""
        track = self._file.tracks["DEPTH"]
        if len(depth.payload) != 2 * track.width * track.height:
            self.damaged += 1
            return
        if colour is not None and not _is_complete(colour.payload, self._file.tracks["COLOR"]):
            self.damaged += 1
            colour = None
        self.depth_without_colour += colour is None
        depth_mm = np.frombuffer(depth.payload, ">u2").reshape(track.height, track.width).astype(np.uint16)
        stamps = FrameStamps(device_ns=depth.time_ns + self._start_ns)
        if colour is not None and self._file.tracks["COLOR"].fourcc == "MJPG":
            yield RgbdFrame(depth_mm=depth_mm, stamps=stamps, colour_jpeg=colour.payload)
        elif colour is not None:
            image = _colour_rgb(colour.payload, self._file.tracks["COLOR"])
            yield RgbdFrame(depth_mm=depth_mm, stamps=stamps, colour_rgb=image)
        else:
            yield RgbdFrame(depth_mm=depth_mm, stamps=stamps)


FORMATS: dict[str, tuple[float, int]] = {
    "NV12": (1.5, cv2.COLOR_YUV2RGB_NV12),
    "YUY2": (2.0, cv2.COLOR_YUV2RGB_YUY2),
    "BGRA": (4.0, cv2.COLOR_BGRA2RGB),
}
"""Unpacked colour: bytes a pixel, and OpenCV's conversion to RGB."""


def _is_complete(payload: bytes, track: Track) -> bool:
    """Whether a colour image is all there; the SDK pads none, cameras pad JPEG."""
    if track.fourcc == "MJPG":
        try:
            return read_header(payload).length is not None
        except ImageError:
            return False
    return track.fourcc not in FORMATS or len(payload) == round(FORMATS[track.fourcc][0] * track.width * track.height)


def _colour_rgb(payload: bytes, track: Track) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of an unpacked colour image."""
    if track.fourcc not in FORMATS:
        raise DatasetError(f"colour is stored as {track.fourcc!r}; expected MJPG, {', '.join(FORMATS)}")
    bytes_a_pixel, conversion = FORMATS[track.fourcc]
    raw = np.frombuffer(payload, np.uint8)
    shape = (track.height * 3 // 2, track.width) if track.fourcc == "NV12" else (
        track.height, track.width, int(bytes_a_pixel)
    )  # fmt: skip
    return cv2.cvtColor(raw.reshape(shape), conversion)
