# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What goes to the page: numbers that give the values back, and frames that fit together."""

from __future__ import annotations

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.colormap import scene_depth_scale
from dfd_perception.view.assembly import FrameAssembler
from dfd_perception.view.frame_slot import ViewFrame
from dfd_perception.view.node_status import status_of
from dfd_perception.view.wire_format import frame_message, quantised

ALL = frozenset({"input", "deblurred", "depth", "std", "blur", "measured"})


def unpacked(message):
    """The header, and each part as an image or a map of values."""
    length = int.from_bytes(message[:4], "little")
    header = json.loads(message[4 : 4 + length])
    parts = {}
    for part in header["parts"]:
        start = 4 + length + part["offset"]
        assert start % 4 == 0
        content = message[start : start + part["length"]]
        if part["kind"] == "jpeg":
            parts[part["name"]] = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        else:
            numbers = np.frombuffer(content, "<u2").reshape(part["height"], part["width"])
            parts[part["name"]] = np.where(numbers > 0, numbers * part["unit"], np.nan)
    return header, parts


def test_a_map_comes_back_to_half_a_65535th_of_its_largest_value():
    depth_m = np.random.default_rng(0).uniform(0.3, 9.0, (60, 80)).astype(np.float32)
    depth_m[10:20, :5] = np.nan
    depth_m[0, 0] = np.inf
    numbers, unit = quantised(depth_m)
    assert unit == pytest.approx(np.nanmax(depth_m[np.isfinite(depth_m)]) / 65535)
    there = np.isfinite(depth_m)
    assert np.array_equal(numbers > 0, there)
    assert np.abs(numbers[there] * unit - depth_m[there]).max() <= 0.5 * unit * 1.01


@pytest.mark.parametrize("values", [np.full((2, 3), np.nan), np.zeros((2, 3)), np.zeros((0, 3))])
def test_a_map_without_values_or_all_zero_has_a_unit(values):
    numbers, unit = quantised(values.astype(np.float32))
    assert unit == 1.0
    assert (numbers == (0 if np.isnan(values).any() else 1)).all()


def frame_of(height=48, width=64, **parts):
    rng = np.random.default_rng(1)
    depth_m = rng.uniform(0.5, 2.0, (height, width)).astype(np.float32)
    return ViewFrame(
        stamp_ns=1_700_000_000_123_456_789,
        images={"input": np.full((height, width, 3), (200, 30, 30), np.uint8)},
        maps={"depth": depth_m, "blur": (depth_m * 4).astype(np.float32), **parts},
        camera=CameraIntrinsics(width=width, height=height, fx=50, fy=51, cx=32, cy=24),
    )


def test_only_what_is_on_the_screen_is_sent():
    frame = frame_of()
    header, parts = unpacked(frame_message(frame, frozenset({"blur"}), 640))
    assert list(parts) == ["blur"]
    assert header["has"] == ["input", "depth", "blur"]
    assert header["stamp_ns"] == "1700000000123456789"
    assert header["camera"] == {"fx": 50, "fy": 51, "cx": 32, "cy": 24}
    header, parts = unpacked(frame_message(frame, ALL, 640))
    assert np.abs(parts["input"].astype(int) - (200, 30, 30)).max() < 8
    np.testing.assert_allclose(parts["depth"], frame.maps["depth"], atol=2e-5)


def test_a_large_map_is_thinned_and_what_is_left_is_exact():
    frame = frame_of(height=300, width=500)
    header, parts = unpacked(frame_message(frame, ALL, 160))
    (depth,) = (part for part in header["parts"] if part["name"] == "depth")
    assert (depth["step"], depth["width"], depth["height"], depth["full_width"]) == (4, 125, 75, 500)
    np.testing.assert_allclose(parts["depth"], frame.maps["depth"][::4, ::4], atol=depth["unit"])
    assert max(parts["input"].shape) == 160


def test_colours_are_those_of_the_files_and_shared_with_what_was_measured():
    depth_m = np.full((100, 100), 1.0, np.float32)
    depth_m[:, 50:] = 2.0
    depth_m[0, 0] = 60.0
    frame = frame_of(100, 100, depth=depth_m, measured=depth_m * 2)
    header, _ = unpacked(frame_message(frame, ALL, 640))
    expected = scene_depth_scale(depth_m, depth_m * 2)
    shown = {"low": expected.low, "high": expected.high, "logarithmic": True}
    assert header["scales"]["depth"] == header["scales"]["measured"] == shown
    assert expected.high < 10
    assert header["scales"]["blur"]["low"] == 0


def test_two_viewers_cost_one_packing():
    frame = frame_of()
    frame_message(frame, ALL, 640)
    before = {key: id(packed) for key, packed in frame.packed.items()}
    frame_message(frame, ALL, 640)
    assert {key: id(packed) for key, packed in frame.packed.items()} == before


def test_frames_wait_for_every_topic_that_is_alive():
    assembler = FrameAssembler()
    assert assembler.add("input", 1, "i1", 0.0) == {"input": "i1"}  # nothing else was heard yet
    assert assembler.add("depth", 1, "late", 0.1) is None  # its frame has gone
    assert assembler.add("input", 2, "i2", 0.2) is None
    assert assembler.add("input", 3, "i3", 0.3) is None
    assert assembler.add("depth", 2, "d2", 0.4) == {"input": "i2", "depth": "d2"}
    # The node skipped 3 for 4.
    assert assembler.add("input", 4, "i4", 0.5) is None
    assert assembler.add("depth", 4, "d4", 0.6) == {"input": "i4", "depth": "d4"}
    # The node has died: after two seconds, many of its periods, images come alone.
    assert assembler.add("input", 5, "i5", 1.0) is None
    assert assembler.add("input", 9, "i9", 3.0) == {"input": "i9"}


def test_a_bag_that_loops_goes_on():
    assembler = FrameAssembler()
    assert assembler.add("input", 9_000_000_000, "end", 0.0)
    assert assembler.add("input", 1_000_000_000, "start", 0.1) == {"input": "start"}


def test_memory_does_not_grow_while_a_topic_is_silent():
    assembler = FrameAssembler()
    assembler.add("depth", 1, "d", 0.0)
    for stamp in range(2, 500):
        assembler.add("input", stamp, "i", 0.001 * stamp)
    assert assembler.waiting <= 128


def test_memory_is_bounded_by_the_size_of_the_images_too():
    assembler = FrameAssembler()
    assembler.add("depth", 1, "d", 0.0)
    large = SimpleNamespace(data=bytes(6_000_000))
    for stamp in range(2, 40):
        assembler.add("input", stamp, large, 0.01 * stamp)
    assert assembler.waiting <= 10


@pytest.mark.parametrize(("size", "with_its_image"), [(0, True), (900_000, False)])
def test_a_node_much_slower_than_its_camera_is_shown_answer_by_answer(size, with_its_image):
    """30 images a second, each third second an answer that took three: no frame in between comes without depth."""
    assembler = FrameAssembler()
    image = SimpleNamespace(data=bytes(size))
    shown = []
    for number in range(600):
        now_s, stamp_ns = number / 30, number * 33_333_333
        shown.append(assembler.add("input", stamp_ns, image, now_s))
        if number >= 90 and number % 90 == 0:
            shown.append(assembler.add("depth", (number - 90) * 33_333_333, "depth", now_s))
    frames = [parts for parts in shown[100:] if parts is not None]
    assert len(frames) >= 4, "all but those whose images came before the first answer"
    assert all(parts.get("depth") == "depth" for parts in frames)
    assert all(("input" in parts) is with_its_image for parts in frames)


def test_diagnostics_become_plots():
    values = {
        "state": "active", "rate in [1/s]": "29.97", "rate out [1/s]": "12.5", "inference p50 [ms]": "61.2",
        "inference p95 [ms]": "80", "NaN ratio": "0.0312", "frame age [s]": "nan", "total p50 [ms]": "nan",
    }  # fmt: skip
    status = status_of(1, "no camera_info", values, 5.0)
    assert status.series == {"rate in": 29.97, "rate out": 12.5, "inference": 61.2, "without depth": 0.0312}
    assert (status.level, status.values["state"]) == (1, "active")
