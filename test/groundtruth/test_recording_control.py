# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sessions of the recorder without ROS: static pairs, gaps, best use of what arrives."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.clock import FrameStamps
from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.core.registration import RigidTransform
from dfd_perception.errors import ImageError, RecordingError
from dfd_perception.groundtruth.recorder import GapCounter
from dfd_perception.groundtruth.recording_control import RecordingControl
from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration, RgbdFrame
from dfd_perception.groundtruth.session import RAW, SessionDescription
from dfd_perception.groundtruth.static_pairs import CameraImage
from dfd_perception.ros.recorder_node.recorder_parameters import RecorderParameters

CAMERA = DistortedCamera(intrinsics=CameraIntrinsics(width=64, height=48, fx=60.0, fy=60.0, cx=32.0, cy=24.0))
MS = 1_000_000


@pytest.fixture
def control(tmp_path):
    parameters = RecorderParameters(
        session_dir=str(tmp_path), session_name="s", capture_frames=3, record_colour=False, least_free_mb=0.0
    )
    control = RecordingControl(parameters, lambda severity, message: None)
    control.set_rig(RigCalibration(sensor=RgbdCalibration(CAMERA, None, RigidTransform.identity())))
    yield control
    control.stop()


def image(stamp_ms, moved_px=0):
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 255, (24, 32, 3)).astype(np.uint8), (256, 192), interpolation=cv2.INTER_CUBIC)
    shown = np.roll(scene, moved_px, axis=1)
    return CameraImage(stamp_ms * MS, lambda: shown, lambda: shown)


def depth(stamp_ms, depth_mm=1500):
    return RgbdFrame(depth_mm=np.full((48, 64), depth_mm, np.uint16), stamps=FrameStamps(ros_ns=stamp_ms * MS))


def test_static_pair_keeps_both_images_and_the_mode(control, tmp_path):
    with pytest.raises(RecordingError, match="topic image"):
        control.capture()
    control.add_image(image(1000))
    assert "Open the aperture" in control.capture()
    for stamp, value in ((1010, 1500), (1020, 1501)):
        control.add_depth(depth(stamp, value))
    control.add_image(image(1100))
    with pytest.raises(RecordingError, match="2 of 3 depth frames"):
        control.capture()
    control.add_depth(depth(1030, 1501))
    assert "static pair 1" in control.capture()
    control.stop()
    raw = tmp_path / "s_static" / RAW
    stored = cv2.imread(str(next((raw / "depth").iterdir())), cv2.IMREAD_UNCHANGED)
    assert (stored == 1501).all()
    assert len(list((raw / "aif").iterdir())) == len(list((raw / "image").iterdir())) == 1


def test_movement_between_the_images_discards_both(control):
    control.add_image(image(1000))
    control.capture()
    for stamp in (1010, 1020, 1030):
        control.add_depth(depth(stamp))
    control.add_image(image(1100, moved_px=6))
    with pytest.raises(RecordingError, match="moved by"):
        control.capture()
    assert "all-in-focus image taken" in control.capture()


def test_every_frame_is_accounted_for(control, tmp_path):
    control.start()
    with pytest.raises(RecordingError, match="already"):
        control.start()
    for number in range(20):
        if number != 7:
            control.add_image(image(1000 + 66 * number))
        if number != 12:
            control.add_depth(depth(1004 + 66 * number))

    def damaged():
        raise ImageError("a damaged JPEG")

    control.add_image(CameraImage((1000 + 66 * 20) * MS, damaged, damaged))
    control.add_depth(depth(1004 + 66 * 20))
    done = control.stop()
    counts = SessionDescription.read(tmp_path / "s").counts
    assert done.written == counts["moments"] == 18
    assert counts["unreadable"] == 1
    assert counts["left_unmatched"] == counts["right_unmatched"] == 1
    assert counts["image_gaps"] == counts["depth_gaps"] == 1


def test_gaps_are_counted_once_the_rate_is_known():
    gaps = GapCounter()
    for number in (0, 1, 2, 3, 4, 5, 6, 9, 10):
        gaps.add(number * 66 * MS)
    assert gaps.missing == 2


def test_clock_set_forward_is_no_hour_of_lost_frames_and_a_pause_of_the_camera_is():
    for forward_ms, pause_ms, missing in ((3_600_000, 0, 0), (0, 660, 10)):
        gaps = GapCounter()
        for number in range(20):
            late = number >= 10
            arrival_ms = number * 66 + late * pause_ms
            gaps.add((arrival_ms + late * forward_ms) * MS, arrival_ns=arrival_ms * MS)
        assert gaps.missing == missing


def test_late_frame_is_not_a_lost_one():
    gaps = GapCounter()
    for stamp_ms in (0, 66, 132, 198, 264, 330, 396, 505, 528, 594):
        gaps.add(stamp_ms * MS)
    assert gaps.missing == 0
