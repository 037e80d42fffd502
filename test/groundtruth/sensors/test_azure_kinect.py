# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The live device with a fake pyk4a (the sensor's boundary), and the real pyk4a against our own reader."""

from __future__ import annotations

import enum
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dfd_perception.errors import ConfigError, RecordingError
from dfd_perception.groundtruth.sensors import azure_kinect
from dfd_perception.groundtruth.sensors.azure_kinect import AzureKinect, AzureKinectSettings
from dfd_perception.groundtruth.sensors.recording_file import AzureKinectRecording
from dfd_perception.groundtruth.sensors.rgbd_source import all_frames


class FakeError(Exception):
    pass


class FakeTimeoutError(FakeError):
    pass


class FakeDevice:
    """Answers as pyk4a.PyK4A does; what goes wrong is set from outside."""

    calibration_raw = ""
    printed = ""
    refuses = False
    answers: list = []

    def __init__(self, config, device_id=0):
        self.config, self.is_running = config, False

    def start(self):
        os.write(2, self.printed.encode())
        if self.refuses:
            raise FakeError
        self.is_running = True

    def stop(self):
        if self.answers and self.answers[0] is FakeError:
            raise FakeError
        self.is_running = False

    def get_capture(self, timeout):
        answer = self.answers.pop(0)
        if isinstance(answer, type):
            self.answers.insert(0, answer)
            raise answer
        return answer


@pytest.fixture
def device(monkeypatch, shared_data: Path):
    class Device(FakeDevice):
        calibration_raw = (shared_data / "kinect" / "calibration.json").read_text()
        answers: list = []

    names = {
        "ColorResolution": ["RES_720P"],
        "ImageFormat": ["COLOR_MJPG"],
        "DepthMode": ["NFOV_UNBINNED"],
        "FPS": ["FPS_15"],
    }
    module = SimpleNamespace(
        PyK4A=Device,
        Config=lambda **settings: settings,
        K4AException=FakeError,
        K4ATimeoutException=FakeTimeoutError,
        **{name: enum.Enum(name, values) for name, values in names.items()},
    )
    monkeypatch.setitem(sys.modules, "pyk4a", module)
    monkeypatch.setattr(azure_kinect, "USB_DEVICES", Path("/nonexistent"))
    return Device


def capture(stamp_us: int):
    depth = np.full((576, 640), 1500, np.uint16)
    return SimpleNamespace(depth=depth, color=np.zeros(20, np.uint8), depth_timestamp_usec=stamp_us)


def test_frames_carry_three_stamps(device):
    device.answers += [capture(1_000_000), FakeTimeoutError]
    with AzureKinect(AzureKinectSettings()) as source:
        assert source.calibration.colour.size == (720, 1280)
        frame = source.read(0.1)
        assert source.read(0.1) is None
        assert not source.exhausted
        assert source.facts()["clock restarts"] == "0"
    assert frame.stamps.device_ns == 1_000_000_000
    assert frame.stamps.ros_ns == frame.stamps.arrival_ns > 1e18
    assert frame.colour_jpeg == bytes(20)


def test_device_unplugged_in_mid_run_says_so(device):
    device.answers += [capture(1_000_000), FakeError]
    with AzureKinect(AzureKinectSettings()) as source:
        source.read(0.1)
        with pytest.raises(RecordingError, match="unplugged.*tries again"):
            source.read(0.1)


@pytest.mark.parametrize(
    ("printed", "on_usb", "advice"),
    [
        (
            "[error] depth_engine_start_helper(). Depth engine create and initialize failed with error code: 204.",
            True,
            "xvfb-run",
        ),
        ("[error] device_open failed", True, "udev"),
        ("", True, "097\\[a-e\\]"),
        ("[2026-01-01 10:00:00.204] [error] no devices", False, "No Azure Kinect is plugged in"),
    ],
)
def test_device_that_does_not_start_gives_advice(device, monkeypatch, tmp_path, capfd, printed, on_usb, advice):
    device.printed, device.refuses = printed + "\n", True
    if on_usb:
        (tmp_path / "1-2").mkdir()
        (tmp_path / "1-2" / "idVendor").write_text("045e\n")
        (tmp_path / "1-2" / "idProduct").write_text("097c\n")
        monkeypatch.setattr(azure_kinect, "USB_DEVICES", tmp_path)
    with pytest.raises(RecordingError, match=advice), AzureKinect(AzureKinectSettings()):
        pass
    assert printed in capfd.readouterr().err, "the SDK's own words must not be swallowed"


def test_without_pyk4a_the_message_says_how_to_go_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyk4a", None)
    with (
        pytest.raises(RecordingError, match="requirements/kinect.txt.*rgbd_topics"),
        AzureKinect(AzureKinectSettings()),
    ):
        pass


def test_impossible_modes_are_refused():
    with pytest.raises(ConfigError, match="depth_mode.*NFOV_UNBINNED"):
        AzureKinectSettings(depth_mode="NEAR")
    with pytest.raises(ConfigError, match="15 frames/s"):
        AzureKinectSettings(colour_mode="3072P", frames_per_second=30)


def test_our_reader_gives_every_pixel_of_the_sdk(shared_data: Path):
    """Runs where pyk4a does: `make test-kinect`."""
    pyk4a = pytest.importorskip("pyk4a", reason="pyk4a-bundle needs NumPy 1: make test-kinect", exc_type=Exception)
    path = shared_data / "kinect" / "recording.mkv"
    playback = pyk4a.PyK4APlayback(path)
    playback.open()
    capture = playback.get_next_capture()
    with AzureKinectRecording(path) as source:
        frames = list(all_frames(source))
        calibration = source.calibration
        assert json.loads(source.factory_calibration) == json.loads(playback.calibration_raw.rstrip("\0"))
    np.testing.assert_array_equal(frames[0].depth_mm, capture.depth)
    assert frames[0].colour_jpeg == capture.color.tobytes()
    assert frames[0].stamps.device_ns == capture.depth_timestamp_usec * 1000
    for camera, kind in ((calibration.depth, "DEPTH"), (calibration.colour, "COLOR")):
        kind = pyk4a.CalibrationType[kind]
        np.testing.assert_allclose(camera.intrinsics.matrix(), playback.calibration.get_camera_matrix(kind), atol=1e-4)
        sdk = playback.calibration.get_distortion_coefficients(kind)
        np.testing.assert_allclose(camera.distortion.coefficients(), sdk, rtol=1e-6)
        # Rays of pixels, by the SDK's own unprojection.
        for pixel in ((100.0, 80.0), (320.0, 288.0), (600.0, 500.0)):
            expected = playback.calibration.convert_2d_to_3d(pixel, 1000.0, kind)
            np.testing.assert_allclose(camera.rays(np.array(pixel)) * 1000, expected, atol=0.01)
    with pytest.raises(EOFError):
        playback.get_next_capture()
