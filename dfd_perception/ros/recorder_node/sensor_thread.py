# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A depth sensor that is read, not subscribed to: opened, read and opened again by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from dfd_perception.errors import DfdPerceptionError, ImageError, UsageError
from dfd_perception.groundtruth.sensors.azure_kinect import AzureKinect, AzureKinectSettings
from dfd_perception.groundtruth.sensors.recording_file import AzureKinectRecording
from dfd_perception.groundtruth.sensors.rgbd_source import DepthSource, RgbdCalibration, RgbdFrame
from dfd_perception.ros.recorder_node.recorder_parameters import RecorderParameters
from dfd_perception.ros.shared.node_log import Log

READ_TIMEOUT_S = 0.5


def make_sensor(parameters: RecorderParameters) -> DepthSource:
    """The sensor of the parameters, not opened yet.

    Raises:
        ConfigError: its settings contradict each other.
    """
    if parameters.source == "recording":
        return AzureKinectRecording(Path(parameters.recording).expanduser())
    return AzureKinect(
        AzureKinectSettings(
            device=parameters.kinect_device,
            depth_mode=parameters.kinect_depth_mode,
            colour_mode=parameters.kinect_colour_mode,
            frames_per_second=parameters.kinect_frames_per_second,
        )
    )


class SensorThread:
    """Reads a sensor until it is stopped; a sensor that fails is reported and tried again.

    Args:
        make: a new, closed sensor for every try.
        on_open: called with the calibration, each time the sensor was opened.
        on_frame: called with every frame.
        on_end: called once when a recording has ended.
        wanted: frames are read only while this is true (a recording must wait for its session).
        retry_s: pause between tries.
    """

    def __init__(
        self,
        make: Callable[[], DepthSource],
        on_open: Callable[[RgbdCalibration], None],
        on_frame: Callable[[RgbdFrame], None],
        on_end: Callable[[], None],
        wanted: Callable[[], bool],
        retry_s: float,
        log: Log,
    ) -> None:
        self._make, self._on_open, self._on_frame, self._on_end = make, on_open, on_frame, on_end
        self._wanted, self._retry_s, self._log = wanted, retry_s, log
        self._stopping = threading.Event()
        self.problem = "not opened yet"
        """What is wrong with the sensor; empty while it delivers."""
        self._sensor: DepthSource | None = None
        self._tries = 0
        self._thread = threading.Thread(target=self._run, name="depth_sensor", daemon=True)
        self._thread.start()

    def facts(self) -> dict[str, str]:
        """What the sensor says of itself, and how often it had to be opened again."""
        sensor = self._sensor
        return {"sensor tries": str(self._tries), **({} if sensor is None else sensor.facts())}

    def stop(self) -> None:
        """End the thread and close the sensor."""
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        reported = ""
        while not self._stopping.is_set():
            try:
                if self._read_to_the_end():
                    self._on_end()
                    return
            except DfdPerceptionError as error:
                self.problem = str(error)
                if self.problem != reported:
                    self._log("error", self.problem)
                    reported = self.problem
                if isinstance(error, UsageError):
                    return  # trying again mends no user's mistake
            self._tries += 1
            self._stopping.wait(self._retry_s)

    def _read_to_the_end(self) -> bool:
        """Open and read; True at the end of a recording, False when stopped."""
        with self._make() as sensor:
            self._sensor = sensor
            self._on_open(sensor.calibration)
            self.problem = ""
            self._log("info", f"{sensor.name} is open")
            while not self._stopping.is_set():
                if not self._wanted():
                    self._stopping.wait(0.05)
                    continue
                frame = sensor.read(READ_TIMEOUT_S)
                if frame is None:
                    if sensor.exhausted:
                        return True
                    continue
                try:
                    self._on_frame(frame)
                except ImageError as error:
                    self._log("error", str(error))
        return False
