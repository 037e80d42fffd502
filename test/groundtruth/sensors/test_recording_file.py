# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The real recording, read without the SDK, and recordings that are damaged."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_perception.core.depth_encoding import depth_m_from_uint16_mm
from dfd_perception.core.registration import DepthRegistration
from dfd_perception.errors import DatasetError
from dfd_perception.groundtruth.sensors.matroska import MatroskaFile
from dfd_perception.groundtruth.sensors.recording_file import AzureKinectRecording
from dfd_perception.groundtruth.sensors.rgbd_source import all_frames


@pytest.fixture
def recording(shared_data: Path) -> Path:
    return shared_data / "kinect" / "recording.mkv"


def test_the_capture_is_what_the_sdk_plays(recording: Path) -> None:
    """Numbers of pyk4a's own playback; `make test-kinect` compares every pixel."""
    with AzureKinectRecording(recording) as source:
        frames = list(all_frames(source))
        assert source.exhausted
        assert source.serial_number == "001514394512"
    assert len(frames) == 1
    frame = frames[0]
    assert frame.depth_mm.shape == (576, 640)
    assert frame.depth_mm.max() == 3690
    assert frame.stamps.device_ns == 800_222_000
    assert len(frame.colour_jpeg) == 217_095
    assert frame.colour().shape == (720, 1280, 3)


def test_calibration_is_that_of_the_sdk(recording: Path) -> None:
    with AzureKinectRecording(recording) as source:
        calibration = source.calibration
    depth, colour = calibration.depth.intrinsics, calibration.colour.intrinsics
    sdk_depth = [504.6076355, 504.73251343, 332.78106689, 348.82971191]
    sdk_colour = [611.79534912, 611.92700195, 639.30432129, 365.85290527]
    np.testing.assert_allclose([depth.fx, depth.fy, depth.cx, depth.cy], sdk_depth, atol=1e-4)
    np.testing.assert_allclose([colour.fx, colour.fy, colour.cx, colour.cy], sdk_colour, atol=1e-4)
    np.testing.assert_allclose(
        calibration.colour.distortion.coefficients(),
        [0.330121309, -2.48939657, -1.61782446e-04, -1.29445252e-04, 1.45367086, 0.208912075, -2.3029151, 1.37512755],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        calibration.colour_from_depth.translation_m, [-0.03208343, -0.00220537, 0.00388369], atol=1e-8
    )


def test_registration_agrees_with_the_sdk(recording: Path, shared_data: Path) -> None:
    """The stated tolerance: 99 % of the common pixels within 5 mm, 95 % within 2 mm, masks 98 % alike (IoU)."""
    sdk_mm = cv2.imread(str(shared_data / "rgbd" / "azure_kinect_pyk4a" / "depth.png"), cv2.IMREAD_UNCHANGED)
    assert (sdk_mm > 0).sum() == 527_952
    with AzureKinectRecording(recording) as source:
        calibration = source.calibration
        depth_m = depth_m_from_uint16_mm(next(all_frames(source)).depth_mm)
    registered_m = DepthRegistration(calibration.depth, calibration.colour, calibration.colour_from_depth).register(
        depth_m
    )
    ours, theirs = np.isfinite(registered_m), sdk_mm > 0
    both = ours & theirs
    error_mm = np.abs(registered_m[both] * 1e3 - sdk_mm[both])
    assert both.sum() / (ours | theirs).sum() > 0.98
    assert np.median(error_mm) < 0.5
    assert (error_mm <= 2).mean() > 0.95
    assert (error_mm <= 5).mean() > 0.99
    assert (error_mm <= 20).mean() > 0.998


def test_embedded_calibration_equals_the_file_beside_it(recording: Path, shared_data: Path) -> None:
    with MatroskaFile(recording) as file:
        embedded = json.loads(file.attachments["calibration.json"].rstrip(b"\0"))
    assert embedded == json.loads((shared_data / "kinect" / "calibration.json").read_text().rstrip("\0"))


@pytest.mark.parametrize("kept", [1_690_000, 700_000, 30_000])
def test_recording_cut_off_gives_its_whole_blocks(recording: Path, tmp_path: Path, kept: int) -> None:
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(recording.read_bytes()[:kept])
    with AzureKinectRecording(cut) as source:
        frames = list(all_frames(source))
    assert len(frames) == (1 if kept > 1_000_000 else 0)


def test_other_files_are_refused(recording: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.mkv"
    text.write_text("not a recording")
    for path, words in ((text, "not Matroska"), (tmp_path / "absent.mkv", "cannot be read")):
        with pytest.raises(DatasetError, match=words), AzureKinectRecording(path):
            pass
    empty = tmp_path / "empty.mkv"
    empty.write_bytes(recording.read_bytes()[:5000])
    with pytest.raises(DatasetError, match="before its first frame"), AzureKinectRecording(empty):
        pass


def element(identity: int, body: bytes) -> bytes:
    return identity.to_bytes((identity.bit_length() + 7) // 8, "big") + struct.pack(">Q", len(body) | 1 << 56) + body


JPEG = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
WHOLE = len(JPEG)


def recording_of(original: bytes, blocks: list[tuple[int, int, int]]) -> bytes:
    """The real recording's header with new clusters of (track, time in microseconds, payload bytes)."""
    header = original[: original.index(bytes.fromhex("1F43B675"))]
    body = b"".join(
        element(
            0x1F43B675,
            element(0xE7, time_us.to_bytes(4, "big"))
            + element(0xA3, bytes([0x80 | track, 0, 0, 0]) + (JPEG[:size] if track == 1 else bytes(size))),
        )
        for track, time_us, size in blocks
    )
    return header + body


def test_captures_are_put_together_by_their_stamps(recording: Path, tmp_path: Path) -> None:
    depth = 640 * 576 * 2
    path = tmp_path / "several.mkv"
    blocks = [
        (1, 100_000, WHOLE), (2, 100_000, depth),  # a pair
        (2, 200_000, depth),  # depth alone
        (1, 300_500, WHOLE), (2, 300_000, depth),  # a pair, 0.5 ms apart
        (1, 400_000, WHOLE),  # colour alone
        (2, 500_000, depth), (1, 500_000, WHOLE),  # a pair, in the other order
        (2, 600_000, depth - 4),  # damaged
        (1, 650_000, WHOLE // 2), (2, 650_000, depth),  # colour cut short: the depth alone
        (2, 700_000, depth),  # the last, alone
    ]  # fmt: skip
    path.write_bytes(recording_of(recording.read_bytes(), blocks))
    with AzureKinectRecording(path) as source:
        got = [(frame.stamps.device_ns // 1000 - 336_277, frame.has_colour) for frame in all_frames(source)]
        assert (source.depth_without_colour, source.damaged) == (3, 2)
    assert got == [
        (100_000, True),
        (200_000, False),
        (300_000, True),
        (500_000, True),
        (650_000, False),
        (700_000, False),
    ]
