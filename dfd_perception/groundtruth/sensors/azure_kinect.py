# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""An Azure Kinect on this machine, through pyk4a (also pyk4a-bundle, and Orbbec's K4A wrapper under either).

The only file that imports pyk4a. Recordings do not need it: see recording_file.py.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dfd_perception.core.clock import DeviceClock, FrameStamps
from dfd_perception.errors import ConfigError, RecordingError
from dfd_perception.groundtruth.sensors.factory_calibration import COLOUR_MODES, DEPTH_MODES, calibration_of_modes
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration, RgbdFrame

VENDOR, PRODUCTS = "045e", ("097a", "097b", "097c", "097d", "097e")
UDEV_RULE = 'SUBSYSTEM=="usb", ATTRS{idVendor}=="045e", ATTRS{idProduct}=="097[a-e]", MODE="0666"'
USB_DEVICES = Path("/sys/bus/usb/devices")

INSTALL_ADVICE = (
    "Install it (pip install -r requirements/kinect.txt in an environment with NumPy 1, or pyk4a built against the "
    "SDK), or record the topics of a camera driver: source: rgbd_topics"
)
PERMISSION_ADVICE = (
    "An Azure Kinect is plugged in, but cannot be opened. If no other program uses it, allow access: put the line  "
    f"{UDEV_RULE}  into /etc/udev/rules.d/99-k4a.rules and plug it in again"
)
ABSENT_ADVICE = "No Azure Kinect is plugged in. It needs its own power supply and a USB 3 port; then try again"
OPENGL_ADVICE = (
    "The depth engine found no OpenGL (error 204). Without a screen, give it one: run under a desktop session and "
    "export DISPLAY=:0, or start a virtual one: xvfb-run -s '-screen 0 640x480x24' ros2 launch ..."
)


def _import_pyk4a() -> ModuleType:
    try:
        import pyk4a
    except (ImportError, AttributeError) as error:  # AttributeError: compiled for NumPy 1, run with NumPy 2
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RecordingError(f"pyk4a cannot be imported ({reason}). {INSTALL_ADVICE}") from error
    return pyk4a


@dataclass(frozen=True, kw_only=True)
class AzureKinectSettings:
    """Which device, in which modes."""

    device: int = 0
    depth_mode: str = "NFOV_UNBINNED"
    colour_mode: str = "720P"
    frames_per_second: int = 15

    def __post_init__(self) -> None:
        for value, name, allowed in (
            (self.depth_mode, "depth_mode", tuple(DEPTH_MODES)),
            (self.colour_mode, "colour_mode", tuple(COLOUR_MODES)),
            (self.frames_per_second, "frames_per_second", (5, 15, 30)),
        ):
            if value not in allowed:
                raise ConfigError(f"{name} is {value!r}; expected one of {', '.join(map(str, allowed))}")
        if self.frames_per_second == 30 and (self.depth_mode == "WFOV_UNBINNED" or self.colour_mode == "3072P"):
            raise ConfigError(f"{self.depth_mode} with {self.colour_mode} runs at 15 frames/s at most, not at 30")


class AzureKinect:
    """The live device. Its colour arrives as JPEG and is kept so."""

    def __init__(self, settings: AzureKinectSettings) -> None:
        self.name = f"azure_kinect {settings.device}"
        self._settings = settings
        self._device: Any = None
        self._clock = DeviceClock()

    def __enter__(self) -> AzureKinect:
        """Open and start the device.

        Raises:
            RecordingError: no pyk4a, no device, no permission, or no OpenGL; says which, and what to do.
        """
        k4a = self._k4a = _import_pyk4a()
        settings = self._settings
        device = k4a.PyK4A(
            k4a.Config(
                color_resolution=k4a.ColorResolution[f"RES_{settings.colour_mode}"],
                color_format=k4a.ImageFormat.COLOR_MJPG,
                depth_mode=k4a.DepthMode[settings.depth_mode],
                camera_fps=k4a.FPS[f"FPS_{settings.frames_per_second}"],
                synchronized_images_only=True,
            ),
            device_id=settings.device,
        )
        with _native_messages() as messages:
            try:
                device.start()
            except k4a.K4AException as error:
                reason = error
            else:
                reason = None
        if reason is not None:
            raise RecordingError(_advice(messages())) from reason
        self._device = device
        self.factory_calibration = device.calibration_raw
        self._calibration = calibration_of_modes(self.factory_calibration, settings.depth_mode, settings.colour_mode)
        return self

    def __exit__(self, *error: object) -> None:
        device, self._device = self._device, None
        if device is not None:
            try:
                device.stop()
            except self._k4a.K4AException:
                device.is_running = False  # an unplugged device cannot be stopped; its destructor must not try again

    @property
    def calibration(self) -> RgbdCalibration:
        """Both cameras in the modes set."""
        return self._calibration

    @property
    def exhausted(self) -> bool:
        """A live sensor never ends."""
        return False

    def facts(self) -> dict[str, str]:
        """Drift of the device's clock, and how often it began anew."""
        return {"clock drift [ppm]": f"{self._clock.drift_ppm:.1f}", "clock restarts": str(self._clock.restarts)}

    def read(self, timeout_s: float) -> RgbdFrame | None:
        """The next capture with the device's stamp, its arrival, and the tracked host time.

        Raises:
            RecordingError: the device was unplugged or its stream broke.
        """
        try:
            capture = self._device.get_capture(timeout=int(timeout_s * 1e3))
            depth_mm, colour = capture.depth, capture.color
        except self._k4a.K4ATimeoutException:
            return None
        except self._k4a.K4AException as error:
            raise RecordingError(
                "the Azure Kinect's stream broke off: unplugged, or too little USB bandwidth. "
                "Plug it into a USB 3 port of its own; the recorder tries again by itself"
            ) from error
        arrival_ns = time.time_ns()
        if depth_mm is None:
            return None
        device_ns = int(capture.depth_timestamp_usec) * 1000
        stamps = FrameStamps(
            device_ns=device_ns, arrival_ns=arrival_ns, ros_ns=self._clock.host_ns(device_ns, arrival_ns)
        )
        return RgbdFrame(
            depth_mm=np.ascontiguousarray(depth_mm, np.uint16),
            stamps=stamps,
            colour_jpeg=None if colour is None else bytes(colour),
        )


def plugged_in() -> bool:
    """Whether the kernel sees an Azure Kinect on USB, whoever may open it."""
    for vendor in USB_DEVICES.glob("*/idVendor"):
        product = vendor.with_name("idProduct")
        try:
            if vendor.read_text().strip() == VENDOR and product.read_text().strip() in PRODUCTS:
                return True
        except OSError:  # unplugged while we looked
            continue
    return False


def _advice(messages: str) -> str:
    """What to tell the user of a device that did not start, from the SDK's own messages and the USB bus."""
    # With its word before it: the SDK's time stamps have three digits of milliseconds.
    if re.search(r"code:? 204\b", messages):
        return OPENGL_ADVICE
    if not plugged_in():
        return ABSENT_ADVICE
    last = messages.strip().splitlines()[-1].strip() if messages.strip() else "no message of the SDK"
    return f"{PERMISSION_ADVICE} ({last})"


@contextmanager
def _native_messages() -> Iterator[Any]:
    """Collect what the SDK's C++ prints on stderr; yields a function that returns it. It is printed all the same."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        text = ""
        try:
            yield lambda: text
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            text = file.read().decode("utf-8", "replace")
            if text:
                sys.stderr.write(text)
