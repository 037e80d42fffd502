# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sessions of the recorder: start and stop, pairs of image and depth, static pairs. No messages, no rclpy.

Every frame that comes in while a session runs is accounted for: written, waiting, dropped, failed, without partner, or
without colour.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dfd_perception.core.stamp_pairing import PairingCounts, StampPairing
from dfd_perception.errors import ImageError, RecordingError
from dfd_perception.groundtruth.recorder import GapCounter, RecordingProgress, SessionRecorder
from dfd_perception.groundtruth.rig.rig_calibration import FILE_NAME, RigCalibration
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdFrame
from dfd_perception.groundtruth.session import RecordedMoment, SessionDescription, SessionWriter, StoredImage
from dfd_perception.groundtruth.static_pairs import CameraImage, StaticPairs

STATIC_SUFFIX = "_static"

SENSOR_SILENT = "the depth sensor has not answered yet, so that its calibration is not known; see /diagnostics"


class RecordingSettings(Protocol):
    """What recording needs to know; the node's parameters answer it."""

    @property
    def source(self) -> str: ...

    @property
    def input_transport(self) -> str:
        """raw, compressed, or none where the sensor is recorded alone."""

    @property
    def record_colour(self) -> bool: ...

    @property
    def lossless(self) -> bool: ...

    @property
    def least_free_mb(self) -> float: ...

    @property
    def pairing_bound_ms(self) -> float: ...

    @property
    def queue_size(self) -> int: ...

    @property
    def capture_frames(self) -> int: ...

    @property
    def capture_max_movement_px(self) -> float: ...

    def session_folder(self, default_name: str) -> Path:
        """Where the next session goes."""


class RecordingControl:
    """One recorder: at most one running session, and one of static pairs beside it."""

    def __init__(self, parameters: RecordingSettings, log: Callable[[str, str], None]) -> None:
        self._parameters, self._log = parameters, log
        self._lock = threading.RLock()
        self._rig: RigCalibration | None = None
        self.missing: Callable[[], str] = lambda: SENSOR_SILENT
        """Says what the rig is not known for."""
        self._recorder: SessionRecorder | None = None
        self._static = StaticPairs(
            parameters.capture_frames, parameters.capture_max_movement_px, self._open_static_session
        )
        self._parts: tuple[str, ...] = ()
        self._pairing: StampPairing[CameraImage, RgbdFrame] | None = None
        self._latest: CameraImage | None = None
        self.without_colour = 0
        self.unreadable = 0
        """Pairs whose image was damaged."""
        self.image_gaps, self.depth_gaps = GapCounter(), GapCounter()
        self.last: RecordingProgress | None = None
        """Counts of the session that ended last."""
        self.session: Path | None = None

    @property
    def running(self) -> bool:
        """A session is being recorded."""
        return self._recorder is not None

    @property
    def pairing(self) -> PairingCounts | None:
        """Counts of the pairing, while or after a session with a robot camera."""
        return None if self._pairing is None else self._pairing.counts

    def progress(self) -> RecordingProgress | None:
        """Counts of the running session, or of the last."""
        recorder = self._recorder
        return self.last if recorder is None else recorder.progress()

    def set_rig(self, rig: RigCalibration | None) -> None:
        """What is known of the rig: the sensor's calibration, and the robot camera's; None to forget it."""
        with self._lock:
            self._rig = rig

    @property
    def ready(self) -> bool:
        """The rig is known, so that a session can begin."""
        return self._rig is not None

    def start(self) -> Path:
        """Begin a session; returns its folder.

        Raises:
            RecordingError: one is running, or the rig is not known yet.
            DatasetError: a session of this name exists.
        """
        with self._lock:
            if self._recorder is not None:
                raise RecordingError(f"recording to {self.session} already; stop it first (~/stop)")
            rig = self._known_rig()
            self._parts = self._wanted_parts(rig)
            folder = self._session_folder()
            writer = self._open(folder, self._parts, rig)
            self._pairing = StampPairing(self._parameters.pairing_bound_ms) if "image" in self._parts else None
            self.without_colour = self.unreadable = 0
            self.image_gaps, self.depth_gaps = GapCounter(), GapCounter()
            self._recorder = SessionRecorder(writer, self._parameters.queue_size)
            self.session = folder
            return folder

    def stop(self) -> RecordingProgress | None:
        """End the session that runs, if any, and that of static pairs; returns the counts."""
        with self._lock:
            self._static.close()
            recorder = self._recorder
            if recorder is None:
                return None
            if self._pairing is not None:
                for pair in self._pairing.finish():
                    self._record(pair.right, pair.left)
            counts: dict[str, object] = {
                "without_colour": self.without_colour,
                "unreadable": self.unreadable,
                "image_gaps": self.image_gaps.missing,
                "depth_gaps": self.depth_gaps.missing,
            }
            if self._pairing is not None:
                counts |= vars(self._pairing.counts)
            self._recorder = None
            self.last = recorder.stop(counts)
            return self.last

    def add_image(self, image: CameraImage) -> None:
        """An image of the robot camera."""
        with self._lock:
            self._latest = image
            if self._recorder is None or self._pairing is None:
                return
            self.image_gaps.add(image.stamp_ns)
            for pair in self._pairing.add_left(image.stamp_ns, image):
                self._record(pair.right, pair.left)

    def add_depth(self, frame: RgbdFrame, patiently: bool = False) -> None:
        """A frame of the depth sensor; `patiently` for one that can wait until there is room."""
        with self._lock:
            self._static.add_depth(frame.depth_mm)
            if self._recorder is None:
                return
            stamp_ns = frame.stamps.ros_ns
            if stamp_ns is not None:
                self.depth_gaps.add(stamp_ns)
            if "colour" in self._parts and not frame.has_colour:
                self.without_colour += 1
            elif self._pairing is None:
                self._record(frame, None, patiently)
            elif stamp_ns is not None:
                for pair in self._pairing.add_right(stamp_ns, frame):
                    self._record(pair.right, pair.left)

    def capture(self) -> str:
        """One of the two calls that make a static pair; says what to do next.

        Raises:
            RecordingError: no image or too little depth yet, or the camera moved between the two images.
        """
        with self._lock:
            image = self._latest
            if self._parameters.input_transport == "none" or image is None:
                raise RecordingError("no image of the robot camera has arrived on topic image; a static pair needs it")
            self._known_rig()
            return self._static.capture(image)

    def _open_static_session(self) -> SessionWriter:
        folder = self._session_folder()
        return self._open(folder.with_name(folder.name + STATIC_SUFFIX), ("depth", "image", "aif"), self._known_rig())

    def _session_folder(self) -> Path:
        return self._parameters.session_folder(time.strftime("%Y-%m-%d_%H-%M-%S"))

    def _known_rig(self) -> RigCalibration:
        if self._rig is None:
            raise RecordingError(self.missing())
        return self._rig

    def _wanted_parts(self, rig: RigCalibration) -> tuple[str, ...]:
        image = ("image",) if self._parameters.input_transport != "none" else ()
        colour = ("colour",) if self._parameters.record_colour and rig.sensor.colour is not None else ()
        return ("depth", *image, *colour)

    def _open(self, folder: Path, parts: tuple[str, ...], rig: RigCalibration) -> SessionWriter:
        description = SessionDescription(
            source=self._parameters.source,
            parts=parts,
            notes={"pairing_bound_ms": self._parameters.pairing_bound_ms, "lossless": self._parameters.lossless},
        )
        return SessionWriter(
            folder, description, {FILE_NAME: rig.text()}, self._parameters.lossless, self._parameters.least_free_mb
        )

    def _record(self, frame: RgbdFrame, image: CameraImage | None, patiently: bool = False) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        parts: dict[str, StoredImage] = {"depth": frame.depth_mm}
        try:
            if image is not None:
                parts["image"] = image.stored()
        except ImageError as error:  # one damaged image must not end the session
            self.unreadable += 1
            self._log("error", str(error))
            return
        colour = frame.colour_jpeg if frame.colour_jpeg is not None else frame.colour_rgb
        if "colour" in self._parts and colour is not None:
            parts["colour"] = colour
        moment = RecordedMoment(parts=parts, stamps=frame.stamps, image_ns=None if image is None else image.stamp_ns)
        recorder.offer(moment, patiently)
